"""The audio of CREMA-D on disk, every file of it checked by SHA-256."""

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from persona import paths
from persona.corpora import crema
from persona.errors import CorpusError

_NAMED = 5
_HOW_TO_GET_IT = (
    "run `persona corpus fetch`, or `persona corpus fetch --from DIR` if you have a copy."
)


class Problem(NamedTuple):
    """A clip whose file cannot be used, and why ("missing", "corrupt", or what went wrong)."""

    clip: str
    reason: str

    def __str__(self) -> str:
        return f"{self.clip}.wav: {self.reason}"


def default_folder() -> Path:
    """Where the WAV files are kept unless a folder is given: `audio/crema-d` in the data folder."""
    return paths.data() / "audio" / "crema-d"


def verify(folder: Path | None = None, clips: Collection[str] | None = None) -> list[Problem]:
    """Check every WAV file in a folder by SHA-256.

    Parameters
    ----------
    folder : default `default_folder()`.
    clips : names of the clips to check, default all 7,442.

    Returns
    -------
    One `Problem` per clip that is missing or corrupt, sorted by clip; empty if all is well.
    """
    folder = default_folder() if folder is None else Path(folder)
    table = crema.clips("all")
    if clips is not None:
        table = table[table["clip"].isin(clips)]

    def check(clip: str, digest: str) -> Problem | None:
        try:
            data = (folder / f"{clip}.wav").read_bytes()
        except FileNotFoundError:
            return Problem(clip, "missing")
        except OSError as error:
            return Problem(clip, f"unreadable ({error.strerror})")
        return None if sha256(data) == digest else Problem(clip, "corrupt")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checked = pool.map(check, table["clip"], table["wav_sha256"])
        return [problem for problem in checked if problem]


def locate(folder: Path | None = None, clips: Collection[str] | None = None) -> Path:
    """Folder of the WAV files, every one of them verified.

    Parameters
    ----------
    folder : default `default_folder()`.
    clips : names of the clips that are needed, default all 7,442.

    Raises
    ------
    CorpusError : the folder is missing, or a clip in it is missing or corrupt.
    """
    folder = default_folder() if folder is None else Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"The audio of CREMA-D is not in {folder}: {_HOW_TO_GET_IT}")
    if problems := verify(folder, clips):
        raise CorpusError(f"{summary(problems)} in {folder}: {_HOW_TO_GET_IT}")
    return folder


def summary(problems: Sequence[Problem]) -> str:
    """How many clips have a problem, and the first of them."""
    clips = "1 clip" if len(problems) == 1 else f"{len(problems):,} clips"
    return f"{clips} of CREMA-D missing or corrupt ({first(problems)})"


def first(things: Sequence[object]) -> str:
    """The first few things, and how many more there are."""
    more = [f"and {len(things) - _NAMED:,} more"] if len(things) > _NAMED else []
    return ", ".join([str(thing) for thing in things[:_NAMED]] + more)


@contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """Scratch folder for unfinished files on the disk of `folder`, cleared before and after.

    Files are finished here and then moved to their names in one step, so no run, however it
    ends, leaves part of a file under the name of a clip.
    """
    scratch = folder / ".incoming"
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        yield scratch
    except OSError as error:
        raise CorpusError(f"{folder} cannot be written to ({error.strerror}).") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def sha256(data: bytes) -> str:
    """SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
