"""The audio of CREMA-D on disk: download it, import a copy, check it; all of it by SHA-256."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from persona import paths
from persona.corpora import wav
from persona.corpora.crema import COMMIT, clips
from persona.errors import CorpusError

if TYPE_CHECKING:
    from pandas import DataFrame

BASE_URL = (
    "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/"
    f"{COMMIT}/AudioWAV/"
)
_ROUNDS = 3
_PAUSE = 2.0
_GIVE_UP = 24
_TIMEOUT = 30
_NAMED = 5
_POINTER_START = b"version https://git-lfs"


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
    table = _table()
    if clips is not None:
        table = table[table["clip"].isin(clips)]

    def check(clip: str, digest: str) -> Problem | None:
        try:
            data = (folder / f"{clip}.wav").read_bytes()
        except FileNotFoundError:
            return Problem(clip, "missing")
        except OSError as error:
            return Problem(clip, f"unreadable ({error.strerror})")
        return None if _sha256(data) == digest else Problem(clip, "corrupt")

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
        raise CorpusError(
            f"The audio of CREMA-D is not in {folder}: run `persona corpus fetch`, "
            "or `persona corpus fetch --from DIR` if you have a copy."
        )
    if problems := verify(folder, clips):
        raise CorpusError(
            f"{_summary(problems)} in {folder}: run `persona corpus fetch`, "
            "or `persona corpus fetch --from DIR` if you have a copy."
        )
    return folder


def fetch(folder: Path | None = None, *, base_url: str = BASE_URL, jobs: int = 8) -> Path:
    """Download every WAV file that is missing or corrupt, and verify it by SHA-256.

    A file appears under its name only when it is whole and right, so the download may be
    interrupted at any time and run again. Failed files are tried three times; when nothing
    but failures comes back the rest is left for another run.

    Parameters
    ----------
    folder : where to keep the files, default `default_folder()`.
    base_url : address that the file names are appended to, default `BASE_URL`.
    jobs : downloads at the same time.

    Returns
    -------
    The folder, now complete.

    Raises
    ------
    CorpusError : some clips could not be had; it says how many, names the first ones and why.
    """
    from tqdm import tqdm

    folder = default_folder() if folder is None else Path(folder)
    left = {problem.clip: problem for problem in verify(folder)}
    table = _table().set_index("clip")
    total = int(table.loc[list(left), "wav_bytes"].sum())
    with (
        _incoming(folder) as incoming,
        tqdm(total=total, desc="CREMA-D", unit="B", unit_scale=True, disable=not left) as bar,
    ):

        def get(clip: str) -> None:
            name = f"{clip}.wav"
            _download(base_url.rstrip("/") + "/" + name, table.at[clip, "wav_sha256"],
                      incoming / name)
            os.replace(incoming / name, folder / name)
            bar.update(int(table.at[clip, "wav_bytes"]))

        for attempt in range(_ROUNDS):
            if attempt and left:
                time.sleep(_PAUSE * attempt)
            if not _one_round(get, left, jobs):
                break
    if left:
        raise CorpusError(
            f"{_summary(list(left.values()))} in {folder}: run `persona corpus fetch` again; "
            "what has arrived is kept."
        )
    return folder


def _one_round(get: Callable[[str], None], left: dict[str, Problem], jobs: int) -> bool:
    """Try each clip left once, drop those that arrive; False if it was given up halfway."""
    import requests

    pool = ThreadPoolExecutor(jobs)
    pending = {pool.submit(get, clip): clip for clip in left}
    failures_in_a_row = 0
    try:
        for future in as_completed(pending):
            clip = pending[future]
            try:
                future.result()
            except (requests.RequestException, OSError, ValueError) as error:
                left[clip] = Problem(clip, _reason(error))
                failures_in_a_row += 1
                if failures_in_a_row == _GIVE_UP:
                    return False
            else:
                del left[clip]
                failures_in_a_row = 0
        return True
    finally:
        # Downloads under way finish or fail by themselves; on Ctrl-C too.
        pool.shutdown(cancel_futures=True)


def _download(url: str, digest: str, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    pooch.retrieve(
        url,
        known_hash=f"sha256:{digest}",
        fname=path.name,
        path=path.parent,
        downloader=pooch.HTTPDownloader(timeout=_TIMEOUT, chunk_size=1 << 16),
    )


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.RequestException):
        return "the connection failed or was cut"
    if isinstance(error, OSError):
        return f"cannot be written ({error.strerror})"
    return "what the server sent is corrupt"


def import_copy(source: Path, folder: Path | None = None) -> dict[str, str]:
    """Import a local copy of CREMA-D, WAV or FLAC, found anywhere below a folder.

    A FLAC file must decode to the samples of the official WAV, which is rebuilt from it. A file
    with an unknown name is imported when its SHA-256 is that of a clip still wanted, as with
    older copies that call `1040_ITH_SAD_XX.wav` `1040_ITH_SAD_X.wav`; else it is ignored. Clips
    that the destination already holds are kept.

    Parameters
    ----------
    source : folder of the copy.
    folder : where to keep the files, default `default_folder()`.

    Returns
    -------
    Files that were imported under another name than theirs: {name of the file: name of the clip}.

    Raises
    ------
    CorpusError : the source is missing, a file in it is wrong, or clips are still missing; all
        that is right has been imported nonetheless.
    """
    from tqdm import tqdm

    folder = default_folder() if folder is None else Path(folder)
    source = Path(source)
    if not source.is_dir():
        raise CorpusError(f"{source} is not a folder: name the folder that holds the WAV or FLAC.")
    files = sorted(p for p in source.rglob("*") if p.suffix.lower() in {".wav", ".flac"})
    wanted = {problem.clip: problem for problem in verify(folder)}
    digests = dict(zip(*(_table()[name] for name in ("clip", "wav_sha256")), strict=True))
    renamed, strangers = {}, []
    with _incoming(folder) as incoming:

        def accept(clip: str, data: bytes) -> None:
            (incoming / clip).write_bytes(data)
            os.replace(incoming / clip, folder / f"{clip}.wav")
            del wanted[clip]

        for path in tqdm(files, desc="Importing CREMA-D", unit="file"):
            if path.stem not in digests:
                strangers.append(path)
            elif path.stem in wanted:
                data, reason = _official_wav(path)
                if _sha256(data) == digests[path.stem]:
                    accept(path.stem, data)
                else:
                    wanted[path.stem] = Problem(path.stem, f"{reason} ({path})")
        for path in strangers if wanted else ():
            data, _ = _official_wav(path)
            for clip in [c for c in wanted if digests[c] == _sha256(data)]:
                accept(clip, data)
                renamed[path.name] = clip
    if wanted:
        raise CorpusError(_import_summary(list(wanted.values()), len(digests), source, folder))
    return renamed


def _official_wav(path: Path) -> tuple[bytes, str]:
    """The WAV file that a copy stands for, and what is wrong with it should its hash be wrong."""
    import soundfile

    try:
        data = path.read_bytes()
        if data.startswith(_POINTER_START):
            return data, "a Git LFS pointer instead of audio"
        if path.suffix.lower() == ".flac":
            with soundfile.SoundFile(path) as flac:
                if (flac.samplerate, flac.channels, flac.subtype) != (wav.RATE, 1, "PCM_16"):
                    return b"", "not 16 kHz, mono, 16-bit"
                data = wav.with_header(flac.read(dtype="int16").astype("<i2").tobytes())
    except (OSError, soundfile.LibsndfileError):
        return b"", "unreadable"
    return data, "wrong content"


def _import_summary(problems: list[Problem], total: int, source: Path, folder: Path) -> str:
    missing = [problem for problem in problems if problem.reason == "missing"]
    wrong = [problem for problem in problems if problem.reason != "missing"]
    parts = [f"{total - len(problems):,} of {total:,} clips are now in {folder}"]
    if wrong:
        parts.append(f"{len(wrong):,} wrong and not imported ({_first(wrong)})")
    if missing:
        names = _first([f"{problem.clip}.wav" for problem in missing])
        parts.append(f"{len(missing):,} missing from {source} ({names})")
    return "; ".join(parts) + ": run `persona corpus fetch` to download the rest."


def _summary(problems: list[Problem]) -> str:
    return f"{len(problems):,} clips of CREMA-D are missing or corrupt ({_first(problems)})"


def _first(things: list) -> str:
    more = [f"and {len(things) - _NAMED:,} more"] if len(things) > _NAMED else []
    return ", ".join([str(thing) for thing in things[:_NAMED]] + more)


@contextmanager
def _incoming(folder: Path) -> Iterator[Path]:
    """Scratch folder on the same disk for unfinished files, cleared of what a killed run left."""
    incoming = folder / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        yield incoming
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _table() -> "DataFrame":
    return clips("all")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
