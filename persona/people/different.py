"""How much different speech was heard."""

from collections.abc import Iterable

import numpy as np

ALIKE = 0.85
"""Cosine of two windows' embeddings from which they are the same speech, said or played again."""

MANY = 32
"""Different windows after which no more are counted, so that memory does not grow."""


class Different:
    """How many different windows were heard: those unlike all that came before, at most `most`."""

    def __init__(self, embeddings: Iterable[np.ndarray] = (), most: int = MANY) -> None:
        self._kept: list[np.ndarray] = []
        self._most = most
        for embedding in embeddings:
            self.hear(embedding)

    def hear(self, embedding: np.ndarray) -> bool:
        """Whether it is another than those before, and counts; embedding : shape (dimension,)."""
        unit = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        if len(self._kept) == self._most or any(unit @ other >= ALIKE for other in self._kept):
            return False
        self._kept.append(unit)
        return True

    def join(self, other: "Different") -> None:
        """Hear what another heard, too."""
        for embedding in other._kept:
            self.hear(embedding)

    def copy(self) -> "Different":
        made = Different(most=self._most)
        made._kept = [*self._kept]
        return made

    def __len__(self) -> int:
        return len(self._kept)
