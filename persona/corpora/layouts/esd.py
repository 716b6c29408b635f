"""ESD (Zhou et al. 2021), the same sentences in five emotions: `0011/Angry/0011_000351.wav`.

Speakers 1 to 10 speak Mandarin, the others English; genders as in the archive's ReadMe. Some copies
have folders `train`, `test` and `evaluation` below the emotions. Ages are not published. Tried on
made trees only, not on the corpus.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import emotion, named

HOLDS = "0011/Angry/0011_000351.wav"

EMOTIONS = {"Angry", "Happy", "Neutral", "Sad", "Surprise"}
WOMEN = {1, 2, 3, 7, 9, 15, 16, 17, 18, 19}


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    for file, part in named(folder, r"(?P<speaker>00[012]\d)_\d{6}"):
        folders = [name for name in file.parts[-3:-1] if name in EMOTIONS]
        speaker = int(part["speaker"])
        if folders and 1 <= speaker <= 20:
            yield {
                "file": file,
                "speaker": part["speaker"],
                "emotion": emotion(folders[0]),
                "gender": "female" if speaker in WOMEN else "male",
                "language": "zh" if speaker <= 10 else "en",
            }
