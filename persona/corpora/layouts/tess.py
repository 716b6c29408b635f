"""TESS (Pichora-Fuller and Dupuis 2020): `OAF_back_angry.wav`, an older and a younger actress.

Speaker, word, emotion (ps: pleasant surprise); ages 64 and 26 (doi.org/10.5683/SP2/E8H2MF). Two
speakers cannot be dealt into folds by speaker: join it with other corpora, or test on it.
Tried on the published names of its 2,800 clips (as EmoBox lists them), not on its audio.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import emotion, named

HOLDS = "OAF_back_angry.wav"

AGES = {"O": 64, "Y": 26}

NAME = r"(?P<speaker>[OY])AF?_(?P<word>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)"
"""One published name lacks the F: OA_bite_neutral."""


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    for file, part in named(folder, NAME):
        yield {
            "file": file,
            "speaker": f"{part['speaker']}AF",
            "emotion": emotion(part["emotion"].replace("ps", "surprise")),
            "gender": "female",
            "age": AGES[part["speaker"]],
            "sentence": part["word"],
        }
