"""Clips made from those of another corpus whenever they are asked for."""

from abc import abstractmethod
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any

import numpy as np

from persona.corpora.base import Corpus, Problem, pcm
from persona.errors import CorpusError
from persona.keeping import store


class Derived(Corpus):
    """A corpus without files, made from another one's clips.

    One of one's own defines `clips`, `parts`, `made` and `recipe`.

    corpus : the originals.
    """

    corpus: Corpus

    @property
    @abstractmethod
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The originals whose audio is in each clip, by its name."""

    @abstractmethod
    def made(self, clip: str) -> np.ndarray:
        """A clip of `parts` from its originals: float, shape (n,), 16 kHz."""

    @abstractmethod
    def recipe(self, clip: str) -> dict[str, Any]:
        """All that decides the samples of a clip besides its originals, as plain JSON values."""

    def file(self, clip: str) -> Path:
        raise CorpusError(f"{clip} is made when it is read: it has no file.")

    def state(self, audio: bool = False) -> Hashable | None:
        state = self.corpus.state(audio)
        return state and (state, self.name)

    def waveform(self, clip: str) -> np.ndarray:
        """A clip, rounded and clipped to 16 bits as a recording would be: float32, shape (n,)."""
        self._originals_of(clip)
        return np.frombuffer(pcm(self.made(clip)), "<i2").astype(np.float32) / 32768

    def digests(self) -> dict[str, str]:
        """What every clip is made of: the audio of its originals, and how."""
        digest = self.corpus.digests()
        return {
            clip: store.fingerprint(
                {**self.recipe(clip), "name": clip, "audio": [digest[part] for part in parts]}
            )
            for clip, parts in self.parts.items()
        }

    def problems(self, clips: Collection[str] | None = None) -> list[Problem]:
        """Clips whose originals cannot be used, and why; order as of `Corpus`."""
        names = self.parts if clips is None else clips
        needed = {clip: self._originals_of(clip) for clip in names}
        found = self.corpus.problems(sorted({part for parts in needed.values() for part in parts}))
        reason = {problem.clip: problem.reason for problem in found}
        unusable = [
            Problem(clip, next(reason[part] for part in parts if part in reason))
            for clip, parts in needed.items()
            if not reason.keys().isdisjoint(parts)
        ]
        return sorted(unusable, key=lambda problem: (problem.reason == "missing", problem.clip))

    def _originals_of(self, clip: str) -> tuple[str, ...]:
        try:
            return self.parts[clip]
        except KeyError as error:
            raise CorpusError(f"{self.title} has no clip {clip}.") from error
