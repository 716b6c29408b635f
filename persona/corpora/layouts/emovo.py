"""EMOVO (Costantini et al. 2014), acted Italian: `f1/dis-f1-b1.wav`.

Emotion, actor, sentence. Genders are in the names; ages as EmoBox states them, whose mean is the
paper's 27.1. Tried on the published names of its 588 clips (as EmoBox lists them), not on its
audio.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import named

HOLDS = "f1/dis-f1-b1.wav"

EMOTIONS = {
    "dis": "disgust", "gio": "happy", "neu": "neutral", "pau": "fear", "rab": "anger",
    "sor": "surprise", "tri": "sad",
}  # fmt: skip

AGES = {"f1": 28, "f2": 23, "f3": 25, "m1": 30, "m2": 27, "m3": 30}


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    name = r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<actor>[fm][123])-(?P<sentence>\w+)"
    for file, part in named(folder, name):
        yield {
            "file": file,
            "speaker": part["actor"],
            "emotion": EMOTIONS[part["emotion"]],
            "gender": "female" if part["actor"].startswith("f") else "male",
            "age": AGES[part["actor"]],
            "sentence": part["sentence"],
        }
