"""A corpus through a representation into a feature table: parallel, resumable, verified.

A feature table is a table of `store` with a `clip` and an `embedding` column; its provenance says
which audio, which detection of speech and which representation made it. Work in progress is kept
beside it in a folder named after that provenance, so that a killed extraction goes on where it was
and parts made from other audio or by other code are never mixed in.
"""

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from persona import corpora, representations
from persona.audio import speech
from persona.errors import AudioError, CorpusError, FeatureError, PersonaError, StoreError
from persona.keeping import parallel, progress, store

PART = 64
"""Clips per part: what is lost, at most, when an extraction is killed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class FeatureTable:
    """Embeddings of clips.

    clips : names, shape (n,).
    embeddings : float32, shape (n, dimension), in the same order.
    provenance : what made them.
    checksum : SHA-256 over clips and embeddings.
    """

    clips: np.ndarray
    embeddings: np.ndarray
    provenance: dict[str, Any]
    checksum: str

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


def check_name(name: str) -> str:
    """A name that a feature table may have; raises `FeatureError` for any other."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise FeatureError(
            f"{name!r} cannot be the name of a feature table: use letters, digits, '_', '-' or '.'."
        )
    return name


def path(name: str, corpus: str = "crema-d") -> Path:
    """Where a feature table is read: the user's own, or else the one that ships."""
    return store.find("features", corpora.key(corpus), f"{check_name(name)}.parquet")


def available(name: str, corpus: str = "crema-d") -> bool:
    """Whether every table of `name` (one, or several joined by "+") is there."""
    return all(path(part, corpus).exists() for part in name.split("+"))


def listed(corpus: str = "crema-d") -> list[str]:
    """Names of the feature tables there are of a corpus."""
    folders = {home() / "features" / corpora.key(corpus) for home in (store.shipped, store.made)}
    return sorted({file.stem for folder in folders for file in folder.glob("*.parquet")})


def read(name: str, corpus: str = "crema-d") -> FeatureTable:
    """Read a feature table, or several side by side: "dvector+mfcc".

    Raises `FeatureError` where it is missing or damaged, holds what is no embedding, or was made
    by another version of the representation, of the detection of speech or of the corpus.
    """
    tables = [_read_one(part, corpus) for part in name.split("+")]
    first = tables[0]
    if len(tables) == 1:
        return first
    return FeatureTable(
        first.clips,
        np.hstack([table.at(first.clips) for table in tables]),
        {"tables": [table.provenance for table in tables]},
        store.fingerprint([table.checksum for table in tables]),
    )


def _read_one(name: str, corpus: str) -> FeatureTable:
    file = path(name, corpus)
    again = f"make it with `persona extract --corpus {corpus}` (there are: {_names(corpus)})."
    if not file.exists():
        raise FeatureError(f"There is no feature table {name!r} of {corpus}: {again}")
    try:
        table = store.read_table(file)
        clips, embeddings = table.columns["clip"], table.columns["embedding"]
    except (StoreError, KeyError) as error:
        raise FeatureError(f"{file} is no feature table, or is damaged: {again}") from error
    if problem := _problem(clips, embeddings) or _outdated(table.provenance, corpus):
        raise FeatureError(f"{file} {problem}: {again}")
    return FeatureTable(
        clips, embeddings.astype(np.float32), table.provenance, store.checksum(table.columns)
    )


def _names(corpus: str) -> str:
    return ", ".join(listed(corpus)) or "none yet"


def _problem(clips: np.ndarray, embeddings: np.ndarray) -> str:
    """What is wrong with the columns of a feature table, in a few words."""
    if embeddings.ndim != 2 or embeddings.dtype not in (np.float32, np.float16, np.int8):
        return f"holds embeddings of type {embeddings.dtype} and shape {embeddings.shape}"
    names, counts = np.unique(clips.astype(str), return_counts=True)
    if (counts > 1).any():
        return f"holds the clip {names[counts > 1][0]} more than once"
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        return f"holds numbers that are not finite, of clip {clips[~finite][0]}"
    return ""


def _outdated(made_by: dict[str, Any], corpus: str) -> str:
    """What made a table other than what would make it today, in a few words."""
    try:
        representation, heard = made_by["representation"], made_by["speech"]
        name, version = representation["representation"], representation["version"]
        fingerprint = made_by["corpus"]["fingerprint"]
        current = representations.class_of(name).version
    except (KeyError, TypeError, PersonaError):
        return "does not say what made it"
    if version != current:
        return f"was made by version {version} of {name}, this is version {current}"
    if heard != speech.provenance():
        return "was made with another detection of speech"
    if corpus in corpora.NAMES and fingerprint != corpora.load(corpus).fingerprint():
        return f"was made from other audio than {corpus}'s"
    return ""


def extract(
    corpus: corpora.Corpus,
    representation: str,
    *,
    name: str | None = None,
    clips: Sequence[str] | None = None,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    **parameters: Any,
) -> tuple[Path, dict[str, str]]:
    """Embed the speech of a corpus's clips into a feature table of the user's.

    Shows progress, holds the audio of a few clips in memory whatever their number, and goes on
    where an interrupted run stopped. A table is put together in memory, is replaced only once the
    new one is whole, and never by one of fewer clips.

    name : of the table, by default the representation's.
    clips : those that can be read, by default all of the corpus.
    jobs, backend, scheduler : as of `parallel.run`.
    parameters : of the representation.

    Returns the file, and the clips that could not be read, each with a sentence why.
    """
    file = (
        store.made()
        / "features"
        / corpus.name
        / f"{check_name(representation if name is None else name)}.parquet"
    )
    every = list(corpus.clips()["clip"])
    chosen = every if clips is None else sorted(set(clips))
    if not chosen:
        raise FeatureError(f"There is no clip of {corpus.name} to extract: get its audio first.")
    if name is None and len(chosen) < len(every):
        raise FeatureError(
            f"Only {len(chosen):,} of {len(every):,} clips of {corpus.name} are here, and a table "
            "of a part needs a name of its own: get the rest, or give --name."
        )
    loaded = representations.load(representation, **parameters)
    made_by = {
        "representation": loaded.provenance(),
        "speech": speech.provenance(),
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint(), "clips": len(chosen)},
    }
    folder = file.with_name(f"{file.stem}-{store.fingerprint([made_by, chosen])[:12]}.parts")
    with store.lock(file):
        if len(chosen) < len(every):
            _keep_larger(file, len(chosen))
        parts = {folder / f"{i:06d}.npz": chosen[i : i + PART] for i in range(0, len(chosen), PART)}
        tasks = [
            (part, (corpus, names, representation, parameters))
            for part, names in parts.items()
            if not part.exists()
        ]
        _embed_parts(file.stem, tasks, len(chosen), jobs, backend, scheduler)
        bad = _assemble(file, list(parts), made_by, loaded)
        shutil.rmtree(folder, ignore_errors=True)
    return file, bad


def _keep_larger(file: Path, clips: int) -> None:
    """Raise `FeatureError` where a table of fewer clips would take the place of one of more."""
    made_by = store.read_provenance(file)
    before = made_by.get("corpus", {}).get("clips", 0) - len(made_by.get("skipped", {}))
    if clips < before:
        raise FeatureError(
            f"{file} holds {before:,} clips and would be replaced by {clips:,}: give another "
            "--name, or remove it."
        )


def _embed_parts(
    title: str,
    tasks: Sequence[tuple[Path, tuple[Any, ...]]],
    clips: int,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
) -> None:
    waiting = sum(len(task[1]) for _, task in tasks)
    done = parallel.run(
        _embed_part, [task for _, task in tasks], jobs=jobs, backend=backend, scheduler=scheduler
    )
    with progress.bar(None, title, total=clips, initial=clips - waiting, unit="clip") as bar:
        for number, arrays in done:
            with store.writing(tasks[number][0]) as aside, open(aside, "wb") as opened:
                np.savez(opened, **arrays)
            bar.update(len(tasks[number][1][1]))


@lru_cache(maxsize=1)
def _representation(name: str, parameters: tuple[tuple[str, Any], ...]) -> Any:
    return representations.load(name, **dict(parameters))


def _embed_part(
    corpus: corpora.Corpus, clips: Sequence[str], representation: str, parameters: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Embeddings of some clips, and what could not be read, as arrays to be kept."""
    loaded = _representation(representation, tuple(sorted(parameters.items())))
    waveforms, bad, whole = {}, {}, []
    for clip in clips:
        try:
            samples = corpus.waveform(clip)
            found = speech.only(samples)
        except (AudioError, CorpusError) as error:
            bad[clip] = str(error)
            continue
        if not found.seconds:
            whole.append(clip)  # a labelled clip is speech, though the detector found none
        waveforms[clip] = found.samples if found.seconds else samples - samples.mean()
    vectors = _vectors(loaded, waveforms, bad)
    return {
        "clips": np.array([clip for clip in waveforms if clip not in bad], dtype=str),
        "vectors": vectors,
        "bad": np.array(list(bad.items()), dtype=str).reshape(-1, 2),
        "whole": np.array([clip for clip in whole if clip not in bad], dtype=str),
    }


def _vectors(loaded: Any, waveforms: dict[str, np.ndarray], bad: dict[str, str]) -> np.ndarray:
    """Embeddings of the waveforms; those that cannot be embedded are added to `bad`."""
    nothing = np.empty((0, loaded.dimension), loaded.dtype)
    try:
        return loaded.embed(list(waveforms.values())) if waveforms else nothing
    except AudioError:
        vectors = [nothing]
        for clip, waveform in waveforms.items():
            try:
                vectors.append(loaded.embed([waveform]))
            except AudioError as error:
                bad[clip] = f"{clip}: {error}"
        return np.concatenate(vectors)


def _assemble(
    file: Path, parts: Sequence[Path], made_by: dict[str, Any], loaded: Any
) -> dict[str, str]:
    """Put the parts together into one table; return the clips that could not be read."""
    clips, vectors, bad, whole = (
        np.concatenate([np.load(part)[key] for part in parts])
        for key in ("clips", "vectors", "bad", "whole")
    )
    skipped = dict(bad.tolist())
    if not len(clips):
        raise FeatureError(f"No clip could be read: {next(iter(skipped.values()))}")
    if problem := _problem(clips, vectors):
        raise FeatureError(f"{made_by['representation']['representation']}: the table {problem}.")
    if skipped:
        _keep_larger(file, len(clips))
    provenance = {
        **made_by,
        "skipped": skipped,
        "no_speech_found": whole.tolist(),
        "software": store.software("numpy", "soxr", "av", "onnxruntime", *loaded.libraries),
    }
    embeddings = vectors.astype(loaded.dtype, copy=False)
    store.write_table(file, {"clip": clips, "embedding": embeddings}, provenance)
    return skipped
