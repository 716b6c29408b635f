"""A corpus through a representation into a feature table on disk: parallel, resumable, verified.

A feature table is a Parquet file with a `clip` and an `embedding` column (a fixed-size list of
float32) whose metadata says what made it. Work in progress is kept beside it, in a folder of
parts named after that provenance, so that a killed extraction goes on where it was and parts made
by other code are never mixed in.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from persona import corpora, paths, representations
from persona.errors import AudioError, FeatureError
from persona.provenance import software

PART = 64
"""Clips per part: what is lost, at most, when an extraction is killed."""

LIBRARIES = (
    "numpy",
    "soundfile",
    "soxr",
    "librosa",
    "torch",
    "resemblyzer",
    "opensmile",
    "transformers",
    "speechbrain",
)


@dataclass(frozen=True)
class FeatureTable:
    """Embeddings of clips.

    clips : names, shape (n,).
    embeddings : float32, shape (n, dimension), in the same order.
    provenance : what made them (representation, version, parameters, corpus, software).
    """

    clips: np.ndarray
    embeddings: np.ndarray
    provenance: dict[str, Any]

    def identity(self) -> str:
        """SHA-256 over clips and embeddings: two tables are the same if this is."""
        digest = hashlib.sha256("\n".join(self.clips).encode())
        digest.update(np.ascontiguousarray(self.embeddings).tobytes())
        return digest.hexdigest()

    def at(self, clips: Iterable[str]) -> np.ndarray:
        """Embeddings of `clips` in that order, shape (clips, dimension).

        Raises `FeatureError` naming clips the table does not hold.
        """
        clips = list(clips)
        row = {clip: i for i, clip in enumerate(self.clips)}
        if missing := [clip for clip in clips if clip not in row]:
            raise FeatureError(
                f"The feature table lacks {len(missing)} clips ({', '.join(missing[:3])}, ...): "
                "extract it again with `persona extract`."
            )
        return self.embeddings[[row[clip] for clip in clips]]


def path(name: str) -> Path:
    """Where the feature table called `name` is kept."""
    return paths.data() / "features" / f"{name}.parquet"


def available(name: str) -> bool:
    """Whether every table of `name` (one, or several joined by "+") is on disk."""
    return all(path(part).exists() for part in name.split("+"))


def read(name: str) -> FeatureTable:
    """Read a feature table, or several side by side: "dvector+mfcc".

    Raises `FeatureError` where it is missing, unreadable, or made by another version of the
    representation or from another version of the corpus.
    """
    tables = [_read_one(part) for part in name.split("+")]
    first = tables[0]
    if len(tables) == 1:
        return first
    side_by_side = np.hstack([table.at(first.clips) for table in tables])
    return FeatureTable(first.clips, side_by_side, {"fusion": [t.provenance for t in tables]})


def _read_one(name: str) -> FeatureTable:
    import pyarrow
    import pyarrow.parquet as parquet

    file = path(name)
    again = f"make it with `persona extract --representation {name}`."
    if not file.exists():
        raise FeatureError(f"There is no feature table for {name!r}: {again}")
    try:
        table = parquet.read_table(file)
        provenance = json.loads(table.schema.metadata[b"persona"])
    except (pyarrow.ArrowInvalid, KeyError, TypeError) as error:
        raise FeatureError(f"{file.name} is not a feature table of ours: {again}") from error
    _check(file.name, provenance, again)
    width = table.schema.field("embedding").type.list_size
    values = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, width)
    return FeatureTable(table["clip"].to_numpy(), values, provenance)


def _check(file: str, provenance: dict[str, Any], again: str) -> None:
    current = representations.version(provenance["representation"])
    if provenance["version"] != current:
        raise FeatureError(
            f"{file} was made by version {provenance['version']} of "
            f"{provenance['representation']}, this is version {current}: {again}"
        )
    if provenance["corpus_sha256"] != corpora.corpus_hash():
        raise FeatureError(f"{file} was made from another version of the corpus: {again}")


def extract(
    representation: str,
    files: dict[str, Path],
    out: Path,
    *,
    jobs: int | None = None,
    **parameters: Any,
) -> dict[str, str]:
    """Embed `files` (clip name to audio file) into the feature table `out`.

    Runs in `jobs` processes (default: one per core), shows progress, holds a few clips in memory
    whatever their number, and goes on where an interrupted run stopped. A table at `out` is
    replaced only once the new one is whole.

    Returns the clips that could not be read, each with a sentence why; they are not in the table.
    """
    from tqdm import tqdm

    made_by = representations.load(representation, **parameters).provenance()
    made_by["corpus_sha256"] = corpora.corpus_hash()
    clips = sorted(files)
    fingerprint = hashlib.sha256(json.dumps([made_by, clips], sort_keys=True).encode()).hexdigest()
    folder = out.with_name(f"{out.stem}-{fingerprint[:12]}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {folder / f"{i:06d}.npz": clips[i : i + PART] for i in range(0, len(clips), PART)}
    waiting = [
        (part, {clip: files[clip] for clip in names})
        for part, names in parts.items()
        if not part.exists()
    ]
    with tqdm(total=len(clips), desc=out.stem, unit="clip") as bar:
        bar.update(len(clips) - sum(len(names) for _, names in waiting))
        for finished in _embed_parts(waiting, jobs, representation, parameters):
            bar.update(finished)
    bad = _assemble(out, list(parts), {**made_by, **_software()})
    shutil.rmtree(folder)
    return bad


def _software() -> dict[str, Any]:
    return {"software": software(*LIBRARIES)}


def _embed_parts(
    waiting: list[tuple[Path, dict[str, Path]]],
    jobs: int | None,
    representation: str,
    parameters: dict[str, Any],
) -> Iterator[int]:
    """Write all parts, yielding how many clips each took; one job runs in this process."""
    from threadpoolctl import threadpool_limits

    jobs = min(jobs or os.cpu_count() or 1, len(waiting))
    if jobs <= 1:
        # One thread here as there: their number decides the last digit of a sum.
        with threadpool_limits(1):
            _start(representation, parameters)
            yield from (_embed_part(*part) for part in waiting)
        return
    given = (representation, parameters)
    # Not forked: a forked copy of torch's or OpenMP's threads can hang.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, given) as pool:
        futures = [pool.submit(_embed_part, *part) for part in waiting]
        try:
            yield from (future.result() for future in as_completed(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start_worker(representation: str, parameters: dict[str, Any]) -> None:
    """Give a worker its representation, and one thread: the processes share the cores."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it, where a representation imports torch
    _start(representation, parameters)


def _start(representation: str, parameters: dict[str, Any]) -> None:
    global _representation
    _representation = representations.load(representation, **parameters)


_representation: representations.Representation


def _embed_part(part: Path, files: dict[str, Path]) -> int:
    """Write one part and return how many clips it took, read or not."""
    waveforms, bad = {}, {}
    for clip, audio, problem in _waveforms(files):
        if problem:
            bad[clip] = problem
        else:
            waveforms[clip] = audio
    vectors = (
        _representation.embed(list(waveforms.values()))
        if waveforms
        else np.empty((0, _representation.dimension), np.float32)
    )
    unfinished = part.with_suffix(".unfinished.npz")
    np.savez(
        unfinished,
        clips=np.array(list(waveforms), dtype=str),
        vectors=vectors,
        bad=np.array(list(bad.items()), dtype=str).reshape(-1, 2),
    )
    unfinished.replace(part)
    return len(files)


def _waveforms(files: dict[str, Path]) -> Iterator[tuple[str, np.ndarray, str]]:
    from persona import audio

    for clip, file in files.items():
        try:
            yield clip, audio.read(file, accept_silence=True).samples, ""
        except AudioError as error:
            yield clip, np.empty(0, np.float32), str(error)


def _assemble(out: Path, parts: list[Path], provenance: dict[str, Any]) -> dict[str, str]:
    """Stream the parts into one table; return the clips that could not be read."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    bad: dict[str, str] = {}
    with np.load(parts[0]) as first:
        width = first["vectors"].shape[1]
    for part in parts:
        with np.load(part) as arrays:
            bad.update(dict(arrays["bad"].tolist()))
    schema = pa.schema(
        {"clip": pa.string(), "embedding": pa.list_(pa.float32(), width)},
        metadata={"persona": json.dumps({**provenance, "skipped": bad}, sort_keys=True)},
    )
    unfinished = out.with_suffix(".unfinished")
    with parquet.ParquetWriter(
        unfinished,
        schema,
        compression="zstd",
        use_dictionary=["clip"],
        use_byte_stream_split=["embedding.list.element"],
    ) as writer:
        for part in parts:
            with np.load(part) as arrays:
                vectors = pa.array(arrays["vectors"].ravel())
                columns = [arrays["clips"], pa.FixedSizeListArray.from_arrays(vectors, width)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    unfinished.replace(out)
    return bad
