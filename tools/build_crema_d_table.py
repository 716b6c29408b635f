"""Build data/crema-d/ from a checkout of the official repository and its audio.

python tools/build_crema_d_table.py CREMA-D --audio AudioWAV
"""

import argparse
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from persona.audio import RATE
from persona.corpora.crema_d import CODES, COMMIT, CremaD, wav
from persona.errors import CorpusError
from persona.keeping import store
from persona.labels import EMOTIONS

COLUMNS = (
    "clip", "speaker", "age", "gender", "race", "ethnicity", "sentence", "emotion", "level",
    "seconds", "wav_sha256", "wav_bytes", "voice_vote", "silent",
)  # fmt: skip
HEADER_BYTES = len(wav(b""))

_LETTERS = dict(zip("ADFHNS", EMOTIONS, strict=True))
_DEMOGRAPHICS = "VideoDemographics.csv"
_VOTES = "processedResults/summaryTable.csv"
_COUNTS = "processedResults/tabulatedVotes.csv"
_BY_VOICE = 100_000  # rows from here to 199,999 count votes on the voice, later ones on the face
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


def is_silent(samples: np.ndarray) -> bool:
    """Whether a waveform, shape (n,), is digital silence: no sample differs from the first."""
    return bool(np.all(samples == samples[:1]))


def build_table(
    official: Path, out: Path | None = None, *, audio: Path | None = None, commit: str = COMMIT
) -> pd.DataFrame:
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
    DataFrame as of `CremaD("all").clips()`.

    Raises
    ------
    CorpusError : an official file or label is missing, or audio differs from its pointer or from
        the corpus's WAV layout.
    """
    names = sorted(path.stem for path in (official / "AudioWAV").glob("*.wav"))
    needed = (official / _DEMOGRAPHICS, official / _VOTES)
    if not names or not all(path.is_file() for path in needed):
        raise CorpusError(
            f"{official} is not a checkout of CREMA-D: it needs {_DEMOGRAPHICS}, {_VOTES} "
            "and AudioWAV/*.wav."
        )
    actors = pd.read_csv(needed[0], keep_default_na=False).set_index("ActorID").to_dict("index")
    crowd = pd.read_csv(needed[1], keep_default_na=False)
    votes = dict(zip(crowd["FileName"], crowd["VoiceVote"], strict=True))
    rows = []
    for name in tqdm(names, desc="Scanning CREMA-D", unit="clip"):
        pointer = (official / "AudioWAV" / f"{name}.wav").read_bytes()
        data = pointer if audio is None else _read(audio / f"{name}.wav")
        rows.append(_labels(name, actors, votes) | _measurements(name, pointer, data))
    table = pd.DataFrame(rows)[list(COLUMNS)]
    write(
        CremaD, table, store.shipped() / CremaD.name if out is None else out,
        made_by="tools/build_crema_d_table.py",
        source="https://github.com/CheyneyComputerScience/CREMA-D",
        commit=commit,
        inputs_sha256={
            name: hashlib.sha256((official / name).read_bytes()).hexdigest()
            for name in (_DEMOGRAPHICS, _VOTES)
        },
    )  # fmt: skip
    return table


def build_votes(official: Path, out: Path | None = None, *, commit: str = COMMIT) -> Path:
    """Write `votes.parquet`: how many listeners heard each emotion by the voice alone.

    official, out, commit : as of `build_table`. Raises `CorpusError` where the counts are missing.
    """
    try:
        counts = pd.read_csv(official / _COUNTS, index_col=0, keep_default_na=False)
    except OSError as error:
        raise CorpusError(f"{official} holds no {_COUNTS}: check out all of it.") from error
    counts = counts[counts.index // _BY_VOICE == 1].sort_values("fileName")
    columns = {name: counts[letter].to_numpy("int8") for letter, name in _LETTERS.items()}
    file = (store.shipped() / CremaD.name if out is None else out) / "votes.parquet"
    provenance = {
        "made_by": "tools/build_crema_d_table.py",
        "source": f"https://github.com/CheyneyComputerScience/CREMA-D/blob/{commit}/{_COUNTS}",
        "source_sha256": hashlib.sha256((official / _COUNTS).read_bytes()).hexdigest(),
        "licence": CremaD.licence,
        "citation": CremaD.citation,
    }
    store.write_table(file, {"clip": counts["fileName"].to_numpy()} | columns, provenance)
    return file


def write(corpus: type, table: pd.DataFrame, out: Path, **provenance: Any) -> None:
    """Write the clip table of a published corpus, and what made it."""
    text = table.to_csv(index=False, lineterminator="\n").encode()
    lines = (f"{c} {d}\n" for c, d in table[["clip", corpus.digest_column]].itertuples(index=False))
    store.write_bytes(out / "clips.csv", text)
    store.write_json(
        out / "provenance.json",
        {
            "table": "clips.csv",
            "rows": len(table),
            "sha256": hashlib.sha256(text).hexdigest(),
            "fingerprint": hashlib.sha256("".join(lines).encode()).hexdigest(),
            "licence": corpus.licence,
            "citation": corpus.citation,
            **provenance,
        },
    )


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
            "emotion": CODES[emotion],
            "level": level,
            "voice_vote": ":".join(_LETTERS[letter] for letter in vote.split(":")),
        }
    except (KeyError, ValueError) as error:
        raise CorpusError(f"The official files do not label the clip {name} ({error}).") from error


def _measurements(name: str, pointer: bytes, data: bytes) -> dict[str, object]:
    samples = data[HEADER_BYTES:]
    digest = hashlib.sha256(data).hexdigest()
    if _POINTER.fullmatch(data):
        raise CorpusError(
            f"{name}.wav is a Git LFS pointer: give the folder of the WAV files as `audio`."
        )
    if data != wav(samples):
        raise CorpusError(f"{name}.wav is not a 16 kHz, mono, 16-bit WAV with a 44-byte header.")
    promised = _POINTER.fullmatch(pointer)
    if promised and (promised[1].decode(), int(promised[2])) != (digest, len(data)):
        raise CorpusError(f"The audio of {name}.wav is not the one its Git LFS pointer names.")
    return {
        "seconds": len(samples) / 2 / RATE,
        "wav_sha256": digest,
        "wav_bytes": len(data),
        "silent": is_silent(np.frombuffer(samples, "<i2")),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("official", type=Path, help="checkout of the official repository")
    parser.add_argument("--audio", type=Path, help="folder of the WAV files")
    given = parser.parse_args()
    build_table(given.official, audio=given.audio)
    build_votes(given.official)
