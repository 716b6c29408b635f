"""Half a clip, or two clips of a person and emotion in one: speech of other lengths."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persona.audio import RATE, speech
from persona.corpora.base import LABELS, Corpus
from persona.corpora.crema_d import CremaD
from persona.corpora.derived import Derived

if TYPE_CHECKING:
    from pandas import DataFrame

VERSION = 1
"""Raised by hand whenever a phrase gets other samples than before."""

PAUSE = (0.1, 1.0)
"""Seconds of the pause in every other joined clip."""

_QUIET = 10 ** (-50 / 20)  # of the pause, as a share of the first clip's level
_SEED = 0


@dataclass(frozen=True)
class Phrase:
    """A part of one clip, or two clips one after the other.

    half : 0 or 1, the first or the second half of the speech of one clip; None: all of it.
    pause : seconds of near silence between two clips.
    """

    originals: tuple[str, ...]
    half: int | None = None
    pause: float = 0.0

    @property
    def name(self) -> str:
        if self.half is not None:
            return f"{self.originals[0]} {('first', 'second')[self.half]} half"
        apart = f" {self.pause:.2f} s apart" if self.pause else ""
        return " and ".join(self.originals) + apart


class Phrases(Derived):
    """Speech of a corpus's clips, in other lengths.

    corpus : the originals, default `CremaD()`.
    kind : "halves", one half of the speech of every clip, the first or the second at random; or
        "joined", two clips of a speaker and emotion, each used once, every other pair with a pause
        of `PAUSE` between them, that holds noise 50 dB below the first clip.
    folder : of CREMA-D's audio, where no corpus is given.
    """

    def __init__(
        self,
        corpus: Corpus | None = None,
        kind: str = "halves",
        folder: Path | str | None = None,
    ) -> None:
        self.corpus = CremaD(folder=folder) if corpus is None else corpus
        self.kind = kind
        self.name = f"{self.corpus.name}-{kind}"
        shown = {"halves": "halves of clips", "joined": "two clips joined"}[kind]
        self.title = f"{self.corpus.title}, {shown}"
        self.licence, self.citation = self.corpus.licence, self.corpus.citation
        self.language = self.corpus.language

    def clips(self) -> "DataFrame":
        """Phrases with their originals' labels, sorted by name.

        Further columns: original (a tuple of the clips whose speech it holds).
        """
        import pandas

        originals = self._originals.set_index("clip")[list(LABELS)]
        rows = [
            {"clip": name, "original": phrase.originals, "first": phrase.originals[0]}
            for name, phrase in self.phrases.items()
        ]
        table = pandas.DataFrame(rows).join(originals, on="first").drop(columns="first")
        return table.sort_values("clip", ignore_index=True)

    @cached_property
    def phrases(self) -> dict[str, Phrase]:
        """Every phrase by its name."""
        made = self._halves() if self.kind == "halves" else self._joined()
        return {phrase.name: phrase for phrase in made}

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        return {name: phrase.originals for name, phrase in self.phrases.items()}

    def recipe(self, clip: str) -> dict[str, Any]:
        phrase = self.phrases[clip]
        return {"half": phrase.half, "pause": phrase.pause, "version": VERSION,
                **speech.provenance()}  # fmt: skip

    def made(self, clip: str) -> np.ndarray:
        phrase = self.phrases[clip]
        spoken = [_spoken(self.corpus.waveform(name)) for name in phrase.originals]
        if phrase.half is not None:
            middle = len(spoken[0]) // 2
            return spoken[0][middle:] if phrase.half else spoken[0][:middle]
        rng = np.random.default_rng(zlib.crc32(clip.encode()))
        silence = rng.standard_normal(round(phrase.pause * RATE))
        level = float(np.sqrt(np.mean(spoken[0] ** 2, dtype=float)))
        return np.concatenate([spoken[0], _QUIET * level * silence, spoken[1]])

    @cached_property
    def _originals(self) -> "DataFrame":
        return self.corpus.clips()

    def _halves(self) -> list[Phrase]:
        clips = self._originals["clip"].tolist()
        # At random, for in the order of their names every other clip is of certain emotions.
        halves = np.random.default_rng(_SEED).integers(0, 2, len(clips)).tolist()
        return [Phrase((clip,), half) for clip, half in zip(clips, halves, strict=True)]

    def _joined(self) -> list[Phrase]:
        rng = np.random.default_rng(_SEED)
        pairs: list[tuple[str, str]] = []
        for _, clips in self._originals.groupby(["speaker", "emotion"], sort=True)["clip"]:
            order = rng.permutation(clips.to_numpy()).tolist()
            pairs += zip(order[::2], order[1::2], strict=False)
        pauses = rng.uniform(*PAUSE, len(pairs)).round(2)
        return [
            Phrase(pair, pause=float(pause) if number % 2 else 0.0)
            for number, (pair, pause) in enumerate(zip(pairs, pauses, strict=True))
        ]


def joined(folder: Path | str | None = None) -> Phrases:
    """Two clips of CREMA-D in one; `folder` as of `Phrases`."""
    return Phrases(kind="joined", folder=folder)


def _spoken(waveform: np.ndarray) -> np.ndarray:
    """The speech of a clip; all of it where none is found, as extraction does."""
    found = speech.only(waveform)
    return found.samples if found.seconds else waveform - waveform.mean()
