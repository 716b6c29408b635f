"""What the page and the widget offer to try, and what they say that an answer is worth."""

from pathlib import Path
from typing import Any

from persona.corpora.crema_d import CODES, SENTENCES
from persona.keeping import store

WORTH = Path(__file__).resolve().parent / "static" / "worth.json"
"""Computed by `persona.study.worth.answers`."""


def offered(fingerprint: str) -> dict[str, Any]:
    """`clips` of actors that ship, and of the model that ships `worth` and `sentences`.

    fingerprint : of the model that answers. Of another one it is not known what its answers are
    worth, nor whether it was trained on these sentences.

    A clip has its file's `name`, the `emotion` that was meant and the `sentence` that is said.
    """
    worth = store.read_json(WORTH)
    ours = {"worth": worth, "sentences": list(SENTENCES.values())}
    return {"clips": clips(), **(ours if worth["model"] == fingerprint else {})}


def clips() -> list[dict[str, str]]:
    """By emotion, the order of `labels.EMOTIONS`; none where the package has no recordings."""
    found = []
    for file in sorted(_folder().glob("*.flac")):
        _, sentence, emotion, _ = file.stem.split("_")
        found.append(
            {"name": file.name, "emotion": CODES[emotion], "sentence": SENTENCES[sentence]}
        )
    return sorted(found, key=lambda clip: clip["emotion"])


def clip(name: str) -> bytes:
    """The file of one of `clips`."""
    return (_folder() / name).read_bytes()


def _folder() -> Path:
    return store.shipped() / "listening"
