"""The audio of CREMA-D: downloaded from its official repository, or imported from a copy."""

import os
import shutil
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from persona import audio
from persona.corpora.base import Problem, pcm, summary
from persona.corpora.crema_d import COMMIT, CremaD, wav
from persona.errors import AudioError, CorpusError
from persona.keeping import progress, store

if TYPE_CHECKING:
    from pooch import Pooch

BASE_URL = (
    f"https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/{COMMIT}/AudioWAV/"
)
"""Address of the official WAV files (Git LFS contents) at `COMMIT`."""

_AT_ONCE = 8
_RETRIES = 2
_FAILURES_IN_A_ROW = 24
_TIMEOUT = 30
_POINTER = b"version https://git-lfs"


def locate(folder: Path | None = None) -> Path:
    """Folder of the audio, default `audio_folder("crema-d")`, every clip verified by SHA-256.

    Raises `CorpusError` where the folder, or a clip in it, is missing or damaged.
    """
    corpus = CremaD("all", folder)
    if not corpus.folder.is_dir():
        raise CorpusError(f"The audio of CREMA-D is not in {corpus.folder}: {corpus.hint}")
    if problems := corpus.problems():
        raise CorpusError(f"{summary(problems)} in {corpus.folder}: {corpus.hint}")
    return corpus.folder


def fetch(folder: Path | None = None, *, base_url: str = BASE_URL) -> Path:
    """Download every WAV file that is missing or damaged, and verify it by SHA-256.

    A file appears under its name only when it is whole and right, so the download may be
    interrupted at any time and run again. It ends early when nothing but failures comes back.

    Parameters
    ----------
    folder : where to keep the files, default `audio_folder("crema-d")`.
    base_url : address that the file names are appended to, default `BASE_URL`.

    Returns
    -------
    The folder, now complete.

    Raises
    ------
    CorpusError : some clips could not be had; it says how many, names the first ones and why.
    """
    import pooch

    corpus = CremaD("all", folder)
    folder = corpus.folder
    if not (found := corpus.problems()):
        return folder
    with _incoming(folder) as scratch:
        # A run that this one waited for may have brought some of them.
        left = {p.clip: p for p in corpus.problems([problem.clip for problem in found])}
        table = corpus.table.set_index("clip").loc[list(left)]
        registry = {f"{clip}.wav": f"sha256:{sha}" for clip, sha in table["wav_sha256"].items()}
        source = pooch.create(scratch, base_url, registry=registry, retry_if_failed=_RETRIES)
        sizes = table["wav_bytes"].to_dict()
        with (
            progress.bar(
                None, "CREMA-D", total=sum(sizes.values()), unit="B", unit_scale=True
            ) as bar,
            closing(_download(source, list(left), folder)) as outcomes,
        ):
            for clip, failure in outcomes:
                if failure:
                    left[clip] = Problem(clip, failure)
                else:
                    del left[clip]
                    bar.update(sizes[clip])
    if left:
        raise CorpusError(
            f"{summary(list(left.values()))} in {folder}: run `persona corpus fetch` again; "
            "what has arrived is kept."
        )
    return folder


def _download(
    source: "Pooch", clips: list[str], folder: Path
) -> Generator[tuple[str, str | None], None, None]:
    """Yield each clip as it comes back, with what went wrong or None."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT, chunk_size=1 << 16)

    def get(clip: str) -> None:
        whole = source.fetch(f"{clip}.wav", downloader=downloader)
        os.replace(whole, folder / f"{clip}.wav")

    pool = ThreadPoolExecutor(_AT_ONCE)
    pending = {pool.submit(get, clip): clip for clip in clips}
    failures_in_a_row = 0
    try:
        for future in as_completed(pending):
            error = future.exception()
            failures_in_a_row = failures_in_a_row + 1 if error else 0
            yield pending[future], _reason(error) if error else None
            if failures_in_a_row == _FAILURES_IN_A_ROW:
                return
    finally:
        pool.shutdown(cancel_futures=True)


def _reason(error: BaseException) -> str:
    import requests

    match error:
        case requests.HTTPError(response=requests.Response(status_code=code)):
            return f"the server answered {code}"
        case requests.RequestException():
            return "no connection, or it was cut"
        case OSError():
            return f"cannot be written ({error.strerror})"
        case ValueError():
            return "corrupt"
    raise error


def import_copy(source: Path, folder: Path | None = None) -> dict[str, str]:
    """Import a local copy of CREMA-D, WAV or FLAC, found anywhere below a folder.

    A file must decode to the samples of the official WAV, which is rebuilt from it. A file with an
    unknown name is imported when it holds the audio of a clip still wanted, as with older copies
    that call `1040_ITH_SAD_XX.wav` `1040_ITH_SAD_X.wav`; else it is ignored. Clips that the
    destination already holds are kept.

    Parameters
    ----------
    source : folder of the copy.
    folder : where to keep the files, default `audio_folder("crema-d")`.

    Returns
    -------
    Files that were imported under another name than theirs: {name of the file: name of the clip}.

    Raises
    ------
    CorpusError : the source is missing, a file in it is wrong, or clips are still missing; all
        that is right has been imported nonetheless.
    """
    corpus = CremaD("all", folder)
    if not (source := Path(source)).is_dir():
        raise CorpusError(f"{source} is not a folder: name the folder that holds the WAV or FLAC.")
    digests, renamed = corpus.digests(), {}
    copies = [path for path in source.rglob("*") if path.suffix.lower() in {".wav", ".flac"}]
    copies.sort(key=lambda path: (path.stem not in digests, path))
    with _incoming(corpus.folder) as scratch:
        left = {problem.clip: problem for problem in corpus.problems()}
        for path in progress.bar(copies, "Importing CREMA-D", unit="file"):
            own = [path.stem] if path.stem in digests else list(left)
            if not (wanted := [clip for clip in own if clip in left]):
                continue
            samples, fault = _decoded(path)
            digest = corpus.digest(samples)
            for clip in wanted:
                if digest == digests[clip]:
                    (scratch / clip).write_bytes(wav(samples))
                    os.replace(scratch / clip, corpus.folder / f"{clip}.wav")
                    del left[clip]
                    if path.stem != clip:
                        renamed[path.name] = clip
                elif path.stem == clip:
                    left[clip] = Problem(clip, f"{path} is {fault}")
    if left:
        raise CorpusError(
            f"{summary(list(left.values()))} in {source}: `persona corpus fetch` downloads them; "
            f"the other {len(digests) - len(left):,} clips are now in {corpus.folder}."
        )
    return renamed


def _decoded(path: Path) -> tuple[bytes, str]:
    """Samples of a copy, and what it is should they not be the published ones."""
    if not path.is_file():
        return b"", "not a regular file"
    try:
        found = audio.read(path, accept_silence=True)
    except AudioError:
        with path.open("rb") as opened:
            pointer = opened.read(len(_POINTER)) == _POINTER
        return b"", "a Git LFS pointer, not audio" if pointer else "not readable"
    notes = f" ({', '.join(found.notes)})" if found.notes else ""
    return pcm(found.samples), f"not the published audio{notes}"


@contextmanager
def _incoming(folder: Path) -> Iterator[Path]:
    """Scratch folder for unfinished files on the disk of `folder`, cleared before and after.

    Files are finished here and then moved to their names in one step, so no run, however it
    ends, leaves part of a file under the name of a clip. A second run waits for the first.
    """
    scratch = folder / ".incoming"
    with store.lock(folder / "incoming"):
        try:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            yield scratch
        except OSError as error:
            raise CorpusError(f"{folder} cannot be written to ({error.strerror}).") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
