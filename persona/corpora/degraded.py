"""Degraded copies of a corpus's clips: made from the original audio whenever they are asked for."""

import zlib
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persona.audio import degradations
from persona.corpora.base import LABELS, Corpus
from persona.corpora.crema_d import CremaD
from persona.corpora.derived import Derived
from persona.errors import CorpusError
from persona.keeping import store

if TYPE_CHECKING:
    from pandas import DataFrame

KINDS = ("training", "test")
VOICES = 4
"""Other speakers' clips in a babble."""

CONDITIONS = (
    ("none", 0),
    *((noise, snr) for noise in ("white", "babble") for snr in (20, 10, 5, 0)),
    ("telephone", 0),
    *(("mp3", rate) for rate in (128, 64, 32)),
    *(("short", seconds) for seconds in (2, 1, 0.5)),
    *(("level", decibels) for decibels in (-20, 10)),
)  # fmt: skip
"""Kind and amount of every test."""

_SHARES = {
    "white": 0.25, "babble": 0.25, "telephone": 0.125, "mp3": 0.125, "short": 0.125, "level": 0.125,
}  # fmt: skip
_RANGES = {"white": (0, 20), "babble": (0, 20), "telephone": (0, 0), "short": (0.5, 2),
           "level": (-20, 10)}  # fmt: skip


def condition(kind: str, amount: float) -> str:
    """What a kind and amount of degradation is called, e.g. "babble, 5 dB"."""
    amount = round(amount, 2)
    return {
        "none": "as recorded",
        "white": f"white noise, {amount:g} dB",
        "babble": f"babble, {amount:g} dB",
        "telephone": "telephone band",
        "mp3": f"MP3, {amount:g} kbit/s",
        "short": f"middle {amount:g} s",
        "level": f"level {amount:+g} dB",
    }[kind]


@dataclass(frozen=True)
class Copy:
    """One degraded copy of a clip.

    kind : "none", "white", "babble" (amount: SNR in dB), "telephone", "mp3" (kbit/s), "short"
        (seconds) or "level" (dB).
    voices : clips that a babble is made of.
    """

    original: str
    kind: str
    amount: float = 0
    voices: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        return condition(self.kind, self.amount)

    @property
    def name(self) -> str:
        return f"{self.original} {self.condition}"

    def made(self, waveform: np.ndarray, voices: Sequence[np.ndarray] = ()) -> np.ndarray:
        """The copy of a waveform, shape (n,); its white noise depends on its name only."""
        match self.kind:
            case "none":
                return waveform
            case "white":
                rng = np.random.default_rng(zlib.crc32(self.name.encode()))
                noise = rng.standard_normal(len(waveform))
                return degradations.with_noise(waveform, noise, self.amount)
            case "babble":
                noise = degradations.babble(voices, len(waveform))
                return degradations.with_noise(waveform, noise, self.amount)
            case "telephone":
                return degradations.telephone(waveform)
            case "mp3":
                return degradations.mp3(waveform, int(self.amount))
            case "short":
                return degradations.shortened(waveform, self.amount)
            case "level":
                return degradations.amplified(waveform, self.amount)
        raise ValueError(f"There is no degradation {self.kind!r}.")


class Degraded(Derived):
    """Degraded copies of a corpus as a corpus of their own.

    corpus : the originals, default `CremaD()`.
    kind : "training", one copy of every clip, of a kind and amount drawn at random: noise at 0 to
        20 dB, the telephone band, MP3 at 32 to 128 kbit/s, the middle 0.5 to 2 s, or a level of
        -20 to +10 dB, noises twice as often as the rest; or "test", every one of `CONDITIONS` of
        every clip.
    seed : of what is drawn.
    subset : names of the originals to copy, whose speakers alone babble; default all.
    folder : of CREMA-D's audio, where no corpus is given.

    Raises `CorpusError` for an unknown kind or clip, or where too few speakers are there to babble.
    """

    def __init__(
        self,
        corpus: Corpus | None = None,
        kind: str = "training",
        seed: int = 0,
        subset: Collection[str] | None = None,
        folder: Path | str | None = None,
    ) -> None:
        if kind not in KINDS:
            raise CorpusError(
                f"There is no kind {kind!r} of copies: use one of {', '.join(KINDS)}."
            )
        self.corpus = CremaD(folder=folder) if corpus is None else corpus
        self.kind, self.seed = kind, seed
        self.subset = None if subset is None else frozenset(subset)
        self.name = f"{self.corpus.name}-degraded" + ("" if kind == "training" else f"-{kind}")
        self.title = f"{self.corpus.title}, degraded copies ({kind})"
        self.licence, self.citation = self.corpus.licence, self.corpus.citation
        self.language = self.corpus.language

    def clips(self) -> "DataFrame":
        """Copies with their originals' labels, sorted by name.

        Further columns: original (the clip that was copied), kind, amount and condition of the
        degradation, audible (a tuple of every speaker in it; see `within`).
        """
        import pandas

        originals = self._originals.set_index("clip")
        speaker = originals["speaker"].to_dict()
        rows = [
            {
                "clip": name, "original": copy.original, "kind": copy.kind, "amount": copy.amount,
                "condition": copy.condition,
                "audible": tuple(speaker[c] for c in (copy.original, *copy.voices)),
            }
            for name, copy in self.copies.items()
        ]  # fmt: skip
        table = pandas.DataFrame(rows).join(originals[list(LABELS)], on="original")
        return table.sort_values("clip", ignore_index=True)

    def state(self, audio: bool = False) -> Hashable | None:
        state = super().state(audio)
        return state and (state, self.seed, self.subset)

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        return {name: (copy.original, *copy.voices) for name, copy in self.copies.items()}

    def made(self, clip: str) -> np.ndarray:
        copy = self.copies[clip]
        voices = [self.corpus.waveform(voice) for voice in copy.voices]
        return copy.made(self.corpus.waveform(copy.original), voices)

    def recipe(self, clip: str) -> dict[str, Any]:
        return {**asdict(self.copies[clip]), "version": degradations.VERSION}

    @cached_property
    def copies(self) -> dict[str, Copy]:
        """Every copy by its name."""
        rng = np.random.default_rng(self.seed)
        copies = (
            Copy(clip, kind, amount, self._voices(speaker, rng) if kind == "babble" else ())
            for clip, speaker, kind, amount in self._drawn(rng)
        )
        return {copy.name: copy for copy in copies}

    @cached_property
    def _originals(self) -> "DataFrame":
        table = self.corpus.clips()
        if self.subset is not None:
            if unknown := sorted(self.subset - set(table["clip"])):
                raise CorpusError(f"{self.corpus.title} has no clip {unknown[0]}.")
            table = table[table["clip"].isin(self.subset)].reset_index(drop=True)
        if (speakers := table["speaker"].nunique()) <= VOICES:
            raise CorpusError(
                f"{self.corpus.title} has too few speakers here ({speakers}): a babble needs "
                f"{VOICES} others."
            )
        return table

    def _drawn(self, rng: np.random.Generator) -> Iterator[tuple[str, Any, str, float]]:
        """Clip, its speaker, kind and amount of every copy."""
        clips = list(zip(self._originals["clip"], self._originals["speaker"], strict=True))
        if self.kind == "test":
            for kind, amount in CONDITIONS:
                yield from ((clip, speaker, kind, amount) for clip, speaker in clips)
            return
        kinds = rng.choice(list(_SHARES), len(clips), p=list(_SHARES.values()))
        for (clip, speaker), kind in zip(clips, kinds, strict=True):
            amount = rng.choice([32, 64, 128]) if kind == "mp3" else rng.uniform(*_RANGES[kind])
            yield clip, speaker, str(kind), float(amount)

    def _voices(self, speaker: Any, rng: np.random.Generator) -> tuple[str, ...]:
        """A clip of each of `VOICES` speakers other than `speaker`."""
        others = [other for other in self._clips_of if other != speaker]
        chosen = rng.choice(len(others), VOICES, replace=False)
        return tuple(str(rng.choice(self._clips_of[others[number]])) for number in chosen)

    @cached_property
    def _clips_of(self) -> dict[Any, np.ndarray]:
        groups = self._originals.groupby("speaker", sort=False)["clip"]
        return {speaker: clips.to_numpy() for speaker, clips in groups}


def tested(folder: Path | str | None = None) -> Degraded:
    """Test copies of 546 clips of CREMA-D, one of every speaker and emotion.

    folder : of CREMA-D's audio, default as of `CremaD`.
    """
    chosen = store.read_json(store.shipped() / CremaD.name / "tested.json")["clips"]
    return Degraded(kind="test", subset=chosen, folder=folder)


def within(clips: "DataFrame", speakers: Collection[Any]) -> np.ndarray:
    """Which clips a fold with these speakers may train on: nobody else is audible in them.

    clips : table of a corpus, with a column `audible` or `speaker`. Returns booleans, shape (n,).
    """
    if "audible" not in clips:
        return clips["speaker"].isin(list(speakers)).to_numpy()
    known = set(speakers)
    return np.array([known.issuperset(audible) for audible in clips["audible"]], dtype=bool)


def made_of(clips: "DataFrame", names: Collection[str]) -> np.ndarray:
    """Which clips have all of their originals among these names.

    clips : table of a corpus with a column `original`, of names or tuples of names. Returns
    booleans, shape (n,).
    """
    known = set(names)
    originals = ((one,) if isinstance(one, str) else one for one in clips["original"])
    return np.array([known.issuperset(each) for each in originals], dtype=bool)
