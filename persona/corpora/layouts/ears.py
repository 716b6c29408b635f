"""EARS (Richter et al. 2024), acted English: `p001/emo_anger_sentences.wav` and a table of people.

The names of files and the table of speakers are those of github.com/facebookresearch/ears_dataset,
whose ages are ranges of ten years, taken as their middle. Of what is spoken otherwise than with an
emotion, the regular readings are listed, without one; whispers, shouts, cries and songs are not.
Tried on made trees only, and on the values of the real table of speakers.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import Coded, Row, audio, emotion, gender
from persona.errors import CorpusError
from persona.keeping import store

HOLDS = "p001/emo_anger_sentences.wav and speaker_statistics.json"


def clips(folder: Path) -> Iterator[Row]:
    """Rows of the corpus in a folder."""
    file = folder / "speaker_statistics.json"
    if not file.is_file():
        raise CorpusError(f"{folder} holds no {file.name}: name the folder that holds {HOLDS}.")
    people: dict[str, dict[str, Any]] = store.read_json(file)
    for file in audio(folder):
        speaker = file.parent.name
        felt = re.fullmatch(r"emo_([a-z]+)_(?:sentences|freeform)", file.stem)
        if speaker in people and (felt or file.stem.endswith("_regular")):
            low, _, high = people[speaker]["age"].partition("-")
            yield {
                "file": file,
                "speaker": speaker,
                "emotion": emotion(felt[1]) if felt else "",
                "gender": gender(people[speaker]["gender"]),
                "age": (int(low) + int(high)) / 2 if high else "",
            }


LAYOUT = Coded(HOLDS, clips)
