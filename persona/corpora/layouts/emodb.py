"""EmoDB (Burkhardt et al. 2005), all 535 clips, boredom too: `wav/03a01Fa.wav`.

Speaker, text, emotion by its German initial, version. Names, genders and ages as documented at
emodb.bilderbar.info. Tried on the whole corpus.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import named

HOLDS = "03a01Fa.wav"

EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happy", "N": "neutral",
    "T": "sad",
}  # fmt: skip
"""Emotion by the sixth character of a clip's name."""

SPEAKERS = {
    3: ("male", 31), 8: ("female", 34), 9: ("female", 21), 10: ("male", 32), 11: ("male", 26),
    12: ("male", 30), 13: ("female", 32), 14: ("female", 35), 15: ("male", 25), 16: ("female", 31),
}  # fmt: skip
"""Gender and age in years by the number that begins a clip's name."""


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    for file, part in named(folder, r"(?P<speaker>0[389]|1[0-6])[ab]\d\d(?P<emotion>[WLEAFNT])\w"):
        gender, age = SPEAKERS[int(part["speaker"])]
        emotion = EMOTIONS[part["emotion"]]
        row = {"file": file, "speaker": part["speaker"], "emotion": emotion}
        yield {**row, "gender": gender, "age": age}
