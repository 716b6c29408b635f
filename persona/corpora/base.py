"""What a corpus is: labelled clips, their audio, and a fingerprint that covers both."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from persona import audio
from persona.errors import CorpusError, PersonaError
from persona.keeping import store

if TYPE_CHECKING:
    from pandas import DataFrame

LABELS = ("speaker", "gender", "age", "emotion")
"""Columns that every table of clips has besides `clip`."""

_NAMED = 5


class Problem(NamedTuple):
    """A clip whose audio cannot be used, and why ("missing", "corrupt", or what went wrong)."""

    clip: str
    reason: str

    def __str__(self) -> str:
        return f"{self.clip}: {self.reason}"


class Corpus(ABC):
    """Labelled clips and their audio.

    A corpus of one's own defines the attributes, `clips` and `file`; the rest follows.

    name : what it is called on the command line and in names of files.
    title, licence, citation : as people write them.
    language : of what is spoken, as an ISO 639-1 code.
    """

    name: str
    title: str
    licence: str = "unknown"
    citation: str = "unknown"
    language: str = "unknown"

    @abstractmethod
    def clips(self) -> "DataFrame":
        """Clips with their labels, sorted by `clip`.

        Columns: clip (a name that occurs once), speaker, gender (of `labels.GENDERS`), age (years)
        and emotion. A label that is not known is NaN or None. A corpus may have further columns.
        """

    @abstractmethod
    def file(self, clip: str) -> Path:
        """The regular file that holds a clip; `CorpusError` where there is none."""

    def state(self, audio: bool = False) -> Hashable | None:
        """Equal only while `clips` answers the same, and `digests` too if `audio`.

        None, unless a corpus says better: not known, so that neither is kept in memory.
        """
        return None

    def waveform(self, clip: str) -> np.ndarray:
        """A clip's audio: float32, shape (n,), mono, 16 kHz.

        Raises `CorpusError` or `AudioError` where it is missing, damaged or not what it should be.
        """
        return audio.read(self.file(clip), accept_silence=True).samples

    def check(self, clip: str) -> None:
        """Raise what `waveform` would raise."""
        self.waveform(clip)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the audio of every clip, by its name."""
        names = self.clips()["clip"].tolist()
        with ThreadPoolExecutor() as pool:
            return dict(zip(names, pool.map(store.sha256, map(self.file, names)), strict=True))

    def fingerprint(self) -> str:
        """Names audio: SHA-256 over the lines `clip SHA-256-of-its-audio`, sorted by clip, of all
        clips that `digests` knows.
        """
        lines = "".join(f"{clip} {digest}\n" for clip, digest in sorted(self.digests().items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def problems(self, clips: Collection[str] | None = None) -> list[Problem]:
        """Clips whose audio cannot be used: the damaged, then the missing, each sorted by name.

        clips : names of the clips to try, default all.
        """
        names = self.clips()["clip"] if clips is None else clips
        with ThreadPoolExecutor() as pool:
            found = [problem for problem in pool.map(self._problem, names) if problem]
        return sorted(found, key=lambda problem: (problem.reason == "missing", problem.clip))

    def _problem(self, clip: str) -> Problem | None:
        try:
            self.file(clip)
        except CorpusError:
            return Problem(clip, "missing")
        try:
            self.check(clip)
        except PersonaError:
            return Problem(clip, "corrupt")
        return None


class Published(Corpus):
    """A corpus that others publish: its clip table ships with this project, its audio does not.

    The table holds the SHA-256 of every clip's audio, and no other audio is answered with.

    folder : where the audio is, default `audio/<name>` among what the user made.
    """

    hint: ClassVar[str] = "name the folder that holds its audio."
    digest_column: ClassVar[str] = "pcm_sha256"
    types: ClassVar[dict[str, type]] = {"clip": str}
    """Columns of the table that are not to be guessed from their values."""

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = audio_folder(self.name) if folder is None else Path(folder)

    def clips(self) -> "DataFrame":
        return self.table.copy()

    def state(self, audio: bool = False) -> Hashable | None:
        return store.state(self._file)

    def file(self, clip: str) -> Path:
        stem = self.stem(clip)
        for suffix in (".wav", ".flac", ".WAV"):
            if (file := self.folder / f"{stem}{suffix}").is_file():
                return file
        raise CorpusError(f"The clip {clip} of {self.title} is not in {self.folder}: {self.hint}")

    def waveform(self, clip: str) -> np.ndarray:
        waveform = super().waveform(clip)
        if self.digest(pcm(waveform)) != self.known.get(clip):
            raise CorpusError(
                f"{self.file(clip)} does not hold the audio that {self.title} publishes as {clip}: "
                "get it again."
            )
        return waveform

    def digests(self) -> dict[str, str]:
        return self.known.copy()

    def stem(self, clip: str) -> str:
        """Path of a clip below the folder, without its extension."""
        return clip

    @staticmethod
    def digest(samples: bytes) -> str:
        """SHA-256 of 16-bit samples, as the clip table states it; of any lossless container."""
        return hashlib.sha256(samples).hexdigest()

    @property
    def _file(self) -> Path:
        return store.shipped() / self.name / "clips.csv"

    @cached_property
    def table(self) -> "DataFrame":
        """The whole clip table as it ships."""
        import pandas

        try:
            return pandas.read_csv(self._file, keep_default_na=False, dtype=self.types)
        except FileNotFoundError as error:
            raise CorpusError(
                f"The table of clips {self._file} is missing: restore it from the repository, "
                f"or point PERSONA_DATA to the folder that holds {self.name}/clips.csv."
            ) from error

    @cached_property
    def known(self) -> dict[str, str]:
        """SHA-256 of every clip's audio, by its name."""
        return dict(zip(self.table["clip"], self.table[self.digest_column], strict=True))


def audio_folder(name: str) -> Path:
    """Where the audio of a corpus is kept unless a folder is given.

    `audio/<name>` among what the user made, or of what came with a checkout if it is there.
    """
    found = store.find("audio", name)
    return found if found.is_dir() else store.made() / "audio" / name


def pcm(waveform: np.ndarray) -> bytes:
    """Little-endian 16-bit samples of a float waveform, shape (n,); exact if it came from such."""
    return np.rint(waveform * 32768).clip(-32768, 32767).astype("<i2").tobytes()


def summary(problems: Sequence[Problem]) -> str:
    """How many clips are damaged and how many are missing, and the first of either."""
    missing = [problem.clip for problem in problems if problem.reason == "missing"]
    damaged = [str(problem) for problem in problems if problem.reason != "missing"]
    kinds = {"damaged": damaged, "missing": missing}
    return ", ".join(
        f"{len(found):,} {'clip' if len(found) == 1 else 'clips'} {kind} "
        f"({', '.join(found[:_NAMED])}{', ...' if len(found) > _NAMED else ''})"
        for kind, found in kinds.items()
        if found
    )
