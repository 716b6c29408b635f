"""Building data/crema-d/clips.csv from a checkout of the official repository and its audio."""

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from persona import paths
from persona.corpora import wav
from persona.corpora.crema import COLUMNS, COMMIT, EMOTIONS, corpus_hash
from persona.errors import CorpusError

if TYPE_CHECKING:
    from pandas import DataFrame

_CODES = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), EMOTIONS, strict=True))
_LETTERS = dict(zip("ADFHNS", EMOTIONS, strict=True))
_DEMOGRAPHICS = "VideoDemographics.csv"
_VOTES = "processedResults/summaryTable.csv"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


def is_silent(samples: np.ndarray) -> bool:
    """Whether a waveform, shape (n,), is digital silence: no sample differs from the first."""
    return bool(np.all(samples == samples[:1]))


def build_table(
    official: Path, out: Path | None = None, *, audio: Path | None = None, commit: str = COMMIT
) -> "DataFrame":
    """Write `clips.csv` and `provenance.json` from the official files.

    Parameters
    ----------
    official : checkout of the official repository: VideoDemographics.csv,
        processedResults/summaryTable.csv and AudioWAV/*.wav, the last either audio or Git LFS
        pointers.
    out : folder to write to, default `crema-d` in the data folder.
    audio : folder of the WAV files, which are scanned for silence; default `official/AudioWAV`.
    commit : commit of the checkout, recorded in the provenance.

    Returns
    -------
    DataFrame as of `persona.corpora.clips("all")`.

    Raises
    ------
    CorpusError : an official file or label is missing, or audio differs from its pointer or from
        the corpus's WAV layout.
    """
    import pandas
    from tqdm import tqdm

    out = paths.data() / "crema-d" if out is None else out
    names = sorted(path.stem for path in (official / "AudioWAV").glob("*.wav"))
    needed = (official / _DEMOGRAPHICS, official / _VOTES)
    if not names or not all(path.is_file() for path in needed):
        raise CorpusError(
            f"{official} is not a checkout of CREMA-D: it needs {_DEMOGRAPHICS}, {_VOTES} "
            "and AudioWAV/*.wav."
        )
    actors = pandas.read_csv(needed[0], keep_default_na=False).set_index("ActorID").to_dict("index")
    crowd = pandas.read_csv(needed[1], keep_default_na=False)
    votes = dict(zip(crowd["FileName"], crowd["VoiceVote"], strict=True))
    rows = []
    for name in tqdm(names, desc="Scanning CREMA-D", unit="clip"):
        pointer = (official / "AudioWAV" / f"{name}.wav").read_bytes()
        data = pointer if audio is None else _read(audio / f"{name}.wav")
        rows.append(_labels(name, actors, votes) | _measurements(name, pointer, data))
    table = pandas.DataFrame(rows)[list(COLUMNS)]
    _write(table, official, out, commit)
    return table


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"The audio file {path} cannot be read ({error.strerror}).") from error


def _labels(name: str, actors: dict, votes: dict[str, str]) -> dict[str, object]:
    try:
        speaker, sentence, emotion, level = name.split("_")
        actor, vote = actors[int(speaker)], votes[name]
        return {
            "clip": name,
            "speaker": int(speaker),
            "age": int(actor["Age"]),
            "gender": {"Female": "female", "Male": "male"}[actor["Sex"]],
            "race": actor["Race"],
            "ethnicity": actor["Ethnicity"],
            "sentence": sentence,
            "emotion": _CODES[emotion],
            "level": level,
            "voice_vote": ":".join(_LETTERS[letter] for letter in vote.split(":")),
        }
    except (KeyError, ValueError) as error:
        raise CorpusError(f"The official files do not label the clip {name} ({error}).") from error


def _measurements(name: str, pointer: bytes, data: bytes) -> dict[str, object]:
    pcm = data[wav.HEADER_BYTES :]
    digest = hashlib.sha256(data).hexdigest()
    if _POINTER.fullmatch(data):
        raise CorpusError(
            f"{name}.wav is a Git LFS pointer: give the folder of the WAV files as `audio`."
        )
    if data != wav.with_header(pcm):
        raise CorpusError(f"{name}.wav is not a 16 kHz, mono, 16-bit WAV with a 44-byte header.")
    promised = _POINTER.fullmatch(pointer)
    if promised and (promised[1].decode(), int(promised[2])) != (digest, len(data)):
        raise CorpusError(f"The audio of {name}.wav is not the one its Git LFS pointer names.")
    return {
        "seconds": len(pcm) / wav.BYTES_PER_SECOND,
        "wav_sha256": digest,
        "wav_bytes": len(data),
        "silent": is_silent(np.frombuffer(pcm, "<i2")),
    }


def _write(table: "DataFrame", official: Path, out: Path, commit: str) -> None:
    text = table.to_csv(index=False, lineterminator="\n").encode()
    provenance = {
        "table": "clips.csv",
        "rows": len(table),
        "sha256": hashlib.sha256(text).hexdigest(),
        "corpus_hash": corpus_hash(table),
        "made_by": "persona.corpora.build_table",
        "source": "https://github.com/CheyneyComputerScience/CREMA-D",
        "commit": commit,
        "license": "ODbL-1.0 (database), DbCL-1.0 (contents)",
        "inputs_sha256": {
            name: hashlib.sha256((official / name).read_bytes()).hexdigest()
            for name in (_DEMOGRAPHICS, _VOTES)
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "clips.csv").write_bytes(text)
    (out / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
