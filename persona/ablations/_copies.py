"""Degraded copies of clips: what is done to them, and feature tables of the results."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import audio, degradations, features, paths, predictions
from persona.audio import RATE
from persona.errors import CorpusError
from persona.features import FeatureTable

VOICES = 4
"""Other speakers' clips in a babble."""


@dataclass(frozen=True)
class Copy:
    """One degraded copy of a clip.

    kind : "none", "white", "babble" (amount: SNR in dB), "telephone", "mp3" (kbit/s), "short"
        (seconds) or "level" (dB).
    voices : clips that a babble is made of.
    """

    clip: str
    kind: str
    amount: float = 0
    voices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.clip} {self.condition}"

    @property
    def condition(self) -> str:
        return label(self.kind, self.amount)

    def made(self, waveform: np.ndarray, voices: Sequence[np.ndarray]) -> np.ndarray:
        """The copy of a waveform; noise depends on the name of the copy only."""
        match self.kind:
            case "none":
                return waveform
            case "white":
                rng = np.random.default_rng(zlib.crc32(self.name.encode()))
                return degradations.with_noise(
                    waveform, rng.standard_normal(len(waveform)), self.amount
                )
            case "babble":
                return degradations.with_noise(
                    waveform, degradations.babble(voices, len(waveform)), self.amount
                )
            case "telephone":
                return degradations.telephone(waveform)
            case "mp3":
                return degradations.mp3(waveform, int(self.amount))
            case "short":
                return degradations.shortened(waveform, self.amount)
            case "level":
                return degradations.amplified(waveform, self.amount)
        raise ValueError(f"There is no degradation {self.kind!r}.")


def label(kind: str, amount: float) -> str:
    """What a condition is called in tables, e.g. "babble, 5 dB"."""
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


CONDITIONS = (
    ("none", 0),
    *((noise, snr) for noise in ("white", "babble") for snr in (20, 10, 5, 0)),
    ("telephone", 0),
    *(("mp3", rate) for rate in (128, 64, 32)),
    *(("short", seconds) for seconds in (2, 1, 0.5)),
    *(("level", decibels) for decibels in (-20, 10)),
)  # fmt: skip
"""Kind and amount of every test."""


def test_copies(clips: pd.DataFrame) -> list[Copy]:
    """Every condition of every clip (columns `clip`, `speaker`)."""
    rng = np.random.default_rng(0)
    return [
        Copy(clip, kind, amount, _voices(clips, speaker, rng) if kind == "babble" else ())
        for kind, amount in CONDITIONS
        for clip, speaker in zip(clips["clip"], clips["speaker"], strict=True)
    ]


def training_copies(clips: pd.DataFrame, seed: int = 0) -> list[Copy]:
    """One copy of every clip, of a kind and amount drawn at random.

    Noise at 0 to 20 dB, the telephone band, MP3 at 32 to 128 kbit/s, the middle 0.5 to 2 s,
    or a level of -20 to +10 dB; noises twice as often as the rest.
    """
    rng = np.random.default_rng(seed)
    ranges = {"white": (0, 20), "babble": (0, 20), "telephone": (0, 0), "mp3": (32, 128),
              "short": (0.5, 2), "level": (-20, 10)}  # fmt: skip
    kinds = rng.choice(list(ranges), len(clips), p=[0.25, 0.25, 0.125, 0.125, 0.125, 0.125])
    copies = []
    for clip, speaker, kind in zip(clips["clip"], clips["speaker"], kinds, strict=True):
        amount = rng.choice([32, 64, 128]) if kind == "mp3" else rng.uniform(*ranges[kind])
        voices = _voices(clips, speaker, rng) if kind == "babble" else ()
        copies.append(Copy(clip, str(kind), float(amount), voices))
    return copies


def _voices(clips: pd.DataFrame, speaker: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Clips of `VOICES` speakers other than `speaker`."""
    others = clips["speaker"].unique()
    chosen = rng.choice(others[others != speaker], VOICES, replace=False)
    names, speakers = clips["clip"].to_numpy(), clips["speaker"].to_numpy()
    return tuple(str(rng.choice(names[speakers == other])) for other in chosen)


def write_copies(
    copies: Sequence[Copy], source: Path, folder: Path, jobs: int | None = None
) -> list[Path]:
    """Write copies as 16-bit WAV named by number; those already there are kept.

    source : folder of the clips, WAV or FLAC. Raises `CorpusError` naming clips it lacks.
    """
    from tqdm import tqdm

    found = {file.stem: file for suffix in ("wav", "flac") for file in source.glob(f"*.{suffix}")}
    wanted = {clip for copy in copies for clip in (copy.clip, *copy.voices)}
    if missing := sorted(wanted - set(found)):
        raise CorpusError(
            f"{source} lacks {len(missing)} clips ({', '.join(missing[:3])}, ...): get them with "
            "`persona corpus fetch`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:06d}.wav" for number in range(len(copies))]
    waiting = [
        (copy, [found[clip] for clip in (copy.clip, *copy.voices)], file)
        for copy, file in zip(copies, files, strict=True)
        if not file.exists()
    ]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        written = pool.map(_write_copy, waiting, chunksize=32)
        for _ in tqdm(written, "degrading", len(waiting), unit="clip"):
            pass
    return files


def _write_copy(work: tuple[Copy, list[Path], Path]) -> None:
    import soundfile

    copy, sources, file = work
    waveform, *voices = (audio.read(source).samples for source in sources)
    unfinished = file.with_suffix(".unfinished")
    with np.errstate(over="ignore"):
        soundfile.write(unfinished, copy.made(waveform, voices), RATE, "PCM_16", format="WAV")
    unfinished.replace(file)


def embed(
    copies: Mapping[str, Copy], source: Path, tables: Mapping[str, Path], jobs: int | None = None
) -> None:
    """Embed copies, by the name they get, into feature tables.

    source : folder of the clips. tables : names of feature tables, as of `extract`, to their
        files; those made from the same copies are kept. The audio of the copies stays in
        `build/` until every table is there, so that a killed run goes on.
    """
    made_from = hashlib.sha256(repr(list(copies.items())).encode()).hexdigest()
    waiting = {
        name: file
        for name, file in tables.items()
        if predictions.provenance(file).get("copies") != made_from
    }
    if not waiting:
        return
    scratch = work() / made_from[:12]
    written = write_copies(list(copies.values()), source, scratch, jobs)
    for name, file in waiting.items():
        extract(name, dict(zip(copies, written, strict=True)), file, jobs)
        _annotate(file, made_from)
    shutil.rmtree(scratch)


def extract(name: str, files: dict[str, Path], out: Path, jobs: int | None = None) -> None:
    """Embed `files` (clip to audio file) as the shipped feature table called `name` was made."""
    representation, parameters = _MADE_BY.get(name, (name, {}))
    features.extract(representation, files, out, jobs=jobs, **parameters)


_MADE_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "mfcc_delta": ("mfcc", {"pooling": "mean+std+delta"})
}
"""Representation and parameters of tables that are not called by their representation."""


def _annotate(table: Path, made_from: str) -> None:
    """Say in the provenance of a feature table which copies it was made from."""
    import pyarrow.parquet as parquet

    rows = parquet.read_table(table)
    made_by = {**json.loads(rows.schema.metadata[b"persona"]), "copies": made_from}
    rows = rows.replace_schema_metadata({"persona": json.dumps(made_by, sort_keys=True)})
    unfinished = table.with_suffix(".unfinished")
    parquet.write_table(
        rows, unfinished, compression="zstd",
        use_dictionary=["clip"], use_byte_stream_split=["embedding.list.element"],
    )  # fmt: skip
    unfinished.replace(table)


def work() -> Path:
    """Where feature tables that do not ship are kept."""
    return paths.build() / "ablations" / "robustness"


def with_copies(rows: np.ndarray, clips: pd.DataFrame, copies: Sequence[Copy]) -> np.ndarray:
    """Rows of `clips` and, numbered from len(clips), of their copies.

    Every babble in which somebody speaks who is not in `rows` is left out: no network may hear a
    speaker of another part of its split.
    """
    speaker = dict(zip(clips["clip"], clips["speaker"], strict=True))
    present = set(clips["speaker"].iloc[rows])
    chosen = [row for row in rows if {speaker[v] for v in copies[row].voices} <= present]
    return np.concatenate([rows, len(clips) + np.array(chosen, dtype=int)])


def read_tables(files: Iterable[Path]) -> FeatureTable:
    """Feature tables of the same clips, wherever they are, side by side."""
    frames = [pd.read_parquet(file) for file in files]
    embeddings = np.hstack([np.stack(frame["embedding"].to_list()) for frame in frames])
    return FeatureTable(frames[0]["clip"].to_numpy(), embeddings, {})
