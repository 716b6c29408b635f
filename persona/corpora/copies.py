"""Import of a local copy of CREMA-D's audio, as WAV or FLAC."""

import os
from collections.abc import Sequence
from pathlib import Path

from persona.corpora import crema, files, wav
from persona.corpora.files import Problem
from persona.errors import CorpusError

_POINTER = b"version https://git-lfs"


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

    folder = files.default_folder() if folder is None else Path(folder)
    source = Path(source)
    if not source.is_dir():
        raise CorpusError(f"{source} is not a folder: name the folder that holds the WAV or FLAC.")
    wanted = {problem.clip: problem for problem in files.verify(folder)}
    table = crema.clips("all")
    digests = dict(zip(table["clip"], table["wav_sha256"], strict=True))
    renamed, strangers = {}, []
    with files.incoming(folder) as scratch:

        def accept(clip: str, data: bytes) -> None:
            (scratch / clip).write_bytes(data)
            os.replace(scratch / clip, folder / f"{clip}.wav")
            del wanted[clip]

        copies = sorted(p for p in source.rglob("*") if p.suffix.lower() in {".wav", ".flac"})
        for path in tqdm(copies, desc="Importing CREMA-D", unit="file"):
            clip = path.stem
            if clip not in digests:
                strangers.append(path)
            elif clip in wanted:
                data, fault = _official_wav(path)
                if files.sha256(data) == digests[clip]:
                    accept(clip, data)
                else:
                    wanted[clip] = Problem(clip, f"{path} is {fault}")
        for path in strangers if wanted else ():
            digest = files.sha256(data := _official_wav(path)[0])
            for clip in [clip for clip in wanted if digests[clip] == digest]:
                accept(clip, data)
                renamed[path.name] = clip
    if wanted:
        raise CorpusError(_shortfall(list(wanted.values()), len(digests), source, folder))
    return renamed


def _official_wav(path: Path) -> tuple[bytes, str]:
    """The WAV file that a copy stands for, and what it is should that not be the official one."""
    import soundfile

    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".flac":
            with soundfile.SoundFile(path) as flac:
                if (flac.samplerate, flac.channels, flac.subtype) != (wav.RATE, 1, "PCM_16"):
                    return b"", "not 16 kHz, mono, 16-bit"
                data = wav.with_header(flac.read(dtype="int16").astype("<i2").tobytes())
    except (OSError, soundfile.LibsndfileError):
        return b"", "unreadable"
    return data, "a Git LFS pointer, not audio" if data.startswith(_POINTER) else "corrupt"


def _shortfall(problems: Sequence[Problem], total: int, source: Path, folder: Path) -> str:
    missing = [f"{problem.clip}.wav" for problem in problems if problem.reason == "missing"]
    wrong = [problem.reason for problem in problems if problem.reason != "missing"]
    parts = [f"{total - len(problems):,} of {total:,} clips are now in {folder}"]
    if wrong:
        parts.append(f"{len(wrong):,} wrong and not imported ({files.first(wrong)})")
    if missing:
        parts.append(f"{len(missing):,} not found in {source} ({files.first(missing)})")
    return "; ".join(parts) + ": `persona corpus fetch` downloads the rest."
