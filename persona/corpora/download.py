"""Download of CREMA-D's audio from its official repository."""

import os
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path

from persona.corpora import crema, files
from persona.corpora.files import Problem
from persona.errors import CorpusError

BASE_URL = (
    "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/"
    f"{crema.COMMIT}/AudioWAV/"
)
"""Address of the official WAV files (Git LFS contents) at `COMMIT`."""

_ROUNDS = 3
_PAUSE = 2.0
_FAILURES_IN_A_ROW = 24
_TIMEOUT = 30


def fetch(folder: Path | None = None, *, base_url: str = BASE_URL, jobs: int = 8) -> Path:
    """Download every WAV file that is missing or corrupt, and verify it by SHA-256.

    A file appears under its name only when it is whole and right, so the download may be
    interrupted at any time and run again. Clips that fail are tried in three rounds; a round
    ends early when nothing but failures comes back.

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

    folder = files.default_folder() if folder is None else Path(folder)
    left = {problem.clip: problem for problem in files.verify(folder)}
    if not left:
        return folder
    table = crema.clips("all").set_index("clip").loc[list(left)]
    sizes, digests = table["wav_bytes"].to_dict(), table["wav_sha256"].to_dict()
    with (
        files.incoming(folder) as scratch,
        tqdm(total=sum(sizes.values()), desc="CREMA-D", unit="B", unit_scale=True) as bar,
    ):

        def get(clip: str) -> None:
            name = f"{clip}.wav"
            _download(f"{base_url.rstrip('/')}/{name}", digests[clip], scratch / name)
            os.replace(scratch / name, folder / name)

        for attempt in range(_ROUNDS):
            if attempt and left:
                time.sleep(_PAUSE * attempt)
            with closing(_one_round(get, list(left), jobs)) as outcomes:
                for clip, failure in outcomes:
                    if failure:
                        left[clip] = Problem(clip, failure)
                    else:
                        del left[clip]
                        bar.update(sizes[clip])
    if left:
        raise CorpusError(
            f"{files.summary(_tried_first(left))} in {folder}: run `persona corpus fetch` again; "
            "what has arrived is kept."
        )
    return folder


def _one_round(
    get: Callable[[str], None], clips: list[str], jobs: int
) -> Generator[tuple[str, str | None], None, None]:
    """Get each clip once; yield it with what went wrong, or None, as each comes back."""
    pool = ThreadPoolExecutor(jobs)
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


def _tried_first(left: dict[str, Problem]) -> list[Problem]:
    """Problems that say why a download failed, before those of clips not yet tried."""
    return sorted(left.values(), key=lambda problem: problem.reason == "missing")
