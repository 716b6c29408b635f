"""RAVDESS (Livingstone and Russo 2018), its speech: `Actor_01/03-01-05-01-02-01-01.wav`.

Modality, vocal channel, emotion, intensity, statement, repetition, actor; odd actors are men
(zenodo.org/records/1188976). Songs and films are left out. Ages of actors are not published.
Tried on the published names of its 1,440 clips (as EmoBox lists them), not on its audio.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import emotion, named

HOLDS = "Actor_01/03-01-05-01-02-01-01.wav"

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""By their numbers, from 1."""

NAME = r"03-01-0(?P<emotion>[1-8])-0(?P<level>[12])-0(?P<sentence>[12])-0[12]-(?P<actor>\d\d)"


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder; `level` is normal or strong."""
    for file, part in named(folder, NAME):
        yield {
            "file": file,
            "speaker": part["actor"],
            "emotion": emotion(EMOTIONS[int(part["emotion"]) - 1]),
            "gender": "male" if int(part["actor"]) % 2 else "female",
            "level": ("normal", "strong")[int(part["level"]) - 1],
            "sentence": part["sentence"],
        }
