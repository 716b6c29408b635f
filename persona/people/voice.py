"""A person's usual voice: what is always there when they speak is no feeling.

An offset is how the mean of a person's embeddings differs from everybody's. It is taken away before
emotion is read, and shrunk, as the mean of a few phrases is uncertain. What is heard of a person
need not be a fair mix of emotions: so the mix is estimated along, and what it would do to anybody's
mean is taken away first. Gender and age are read without it, for it holds them.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SHRINK, SHRINK_PLAIN = 4.0, 2.0
"""Phrases that everybody's usual voice weighs against a person's: of any mix, of plain ones."""

STEPS, DAMPING = 8, 0.5
"""Of the estimate of the mix, and the share of each step that is taken."""


@dataclass(frozen=True)
class Voice:
    """How a person's usual voice differs from everybody's.

    offset : float32, shape (d,), to be taken from embeddings before emotion is read.
    phrases : how many different windows it rests on. plain : whether they were known to be plain.
    made_for : SHA-256 of the model by which it was learnt.
    """

    offset: np.ndarray
    phrases: int
    plain: bool
    made_for: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which a browser keeps: the offset in base64."""
        text = base64.b64encode(self.offset.astype("<f4").tobytes()).decode()
        return {**vars(self), "offset": text}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> "Voice":
        offset = np.frombuffer(base64.b64decode(kept["offset"]), "<f4")
        return cls(offset, kept["phrases"], kept["plain"], kept["made_for"])


def learn(
    embeddings: np.ndarray,
    usual: np.ndarray,
    emotions: Callable[[np.ndarray], np.ndarray],
    plain: int | None = None,
) -> np.ndarray:
    """The offset of the person whose different phrases these are, float32, shape (d,).

    Parameters
    ----------
    embeddings : shape (n, d).
    usual : as of `voices.usual`, shape (1 + C, d).
    emotions : probabilities, shape (n, C), of embeddings less an offset.
    plain : the class that all phrases are known to be of; None: the mix is estimated.
    """
    everybody, differs = usual[0], usual[1:]
    away = embeddings.mean(axis=0) - everybody
    if plain is not None:
        share = len(embeddings) / (len(embeddings) + SHRINK_PLAIN)
        return (share * (away - differs[plain])).astype(np.float32)
    share = len(embeddings) / (len(embeddings) + SHRINK)
    offset = np.zeros_like(everybody)
    for _ in range(STEPS):
        mix = emotions(embeddings - offset).mean(axis=0)
        offset += DAMPING * (share * (away - mix @ differs) - offset)
    return offset.astype(np.float32)
