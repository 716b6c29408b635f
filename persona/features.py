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
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from persona import corpora, representations
from persona.audio import speech
from persona.errors import AudioError, CorpusError, FeatureError, PersonaError, StoreError
from persona.keeping import parallel, progress, store
from persona.representations import vectors

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
    """Where a feature table is read: the user's own, or else the one that ships.

    A file of vectors of one's own, as of `representations.vectors`, is where it is.
    """
    if vectors.is_file(name):
        return Path(name)
    return store.find("features", corpora.key(corpus), f"{check_name(name)}.parquet")


def available(name: str, corpus: str = "crema-d") -> bool:
    """Whether every table of `name` (one, or several joined by "+") is there."""
    return all(path(part, corpus).exists() for part in name.split("+"))


def listed(corpus: str = "crema-d") -> list[str]:
    """Names of the feature tables there are of a corpus."""
    folders = {home() / "features" / corpora.key(corpus) for home in (store.shipped, store.made)}
    return sorted({file.stem for folder in folders for file in folder.glob("*.parquet")})


def read(name: str, corpus: str = "crema-d") -> FeatureTable:
    """Read a feature table, or several side by side: "dvector+mfcc", "mfcc+vectors.npz".

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
    if vectors.is_file(name):
        return _own(name, corpus)
    file = path(name, corpus)
    again = f"make it with `persona extract --corpus {corpus}` (there are: {_names(corpus)})."
    if not file.exists():
        raise FeatureError(f"There is no feature table {name!r} of {corpus}: {again}")
    try:
        table = store.read_table(file)
        clips, embeddings = table.columns["clip"], table.columns["embedding"]
    except (StoreError, KeyError) as error:
        raise FeatureError(f"{file} is no feature table, or is damaged: {again}") from error
    if problem := vectors.problem(clips, embeddings) or _outdated(table.provenance, corpus):
        raise FeatureError(f"{file} {problem}: {again}")
    return FeatureTable(
        clips, embeddings.astype(np.float32), table.provenance, store.checksum(table.columns)
    )


def _own(file: str, corpus: str) -> FeatureTable:
    """Vectors of one's own as a table; its corpus is named by them, as nobody knows its audio."""
    clips, embeddings, source = vectors.read(file)
    if problem := vectors.problem(clips, embeddings):
        raise FeatureError(f"{file} {problem}: make it again.")
    of = {"name": corpora.key(corpus), "fingerprint": source.sha256, "clips": len(clips)}
    made_by = {"representation": source.provenance(), "corpus": of, "skipped": {}}
    checksum = store.checksum({"clip": clips, "embedding": embeddings})
    return FeatureTable(clips, embeddings, made_by, checksum)


def _names(corpus: str) -> str:
    return ", ".join(listed(corpus)) or "none yet"


def _outdated(made_by: dict[str, Any], corpus: str) -> str:
    """What made a table other than what would make it today, in a few words."""
    try:
        representation, heard = made_by["representation"], made_by.get("speech")
        name, version = representation["representation"], representation["version"]
        fingerprint = made_by["corpus"]["fingerprint"]
        here = not representations.from_elsewhere(representation)
        current = representations.class_of(name).version if here else version
    except (KeyError, TypeError, PersonaError):
        return "does not say what made it"
    if version != current:
        return f"was made by version {version} of {name}, this is version {current}"
    if name != vectors.Vectors.name and heard != speech.provenance():
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

    representation : its name, "module:Class", or a file of one's own vectors of these clips, of
        which nothing is computed.
    name : of the table, by default the file's, or the representation's, which stands for its
        default parameters.
    clips : those that can be read, by default all of the corpus.
    jobs, backend, scheduler : as of `parallel.run`.
    parameters : of the representation.

    Returns the file, and the clips that could not be read, each with a sentence why.
    """
    own = vectors.is_file(representation)
    kind = vectors.Vectors if own else representations.class_of(representation)
    default = Path(representation).stem if own else kind.name
    title = check_name(default if name is None else name)
    file = store.made() / "features" / corpus.name / f"{title}.parquet"
    every = list(corpus.clips()["clip"])
    chosen = every if clips is None else sorted(set(clips))
    if not chosen:
        raise FeatureError(f"There is no clip of {corpus.name} to extract: get its audio first.")
    if name is None and len(chosen) < len(every):
        raise FeatureError(
            f"Only {len(chosen):,} of {len(every):,} clips of {corpus.name} are here, and a table "
            "of a part needs a name of its own: get the rest, or give --name."
        )
    _check_default("" if own else kind.name, title, kind, parameters)
    if own:
        return file, _adopt(representation, file, corpus, chosen)
    loaded = representations.load(kind, **parameters)
    made_by = {
        "representation": representations.provenance(loaded),
        "speech": speech.provenance(),
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint(), "clips": len(chosen)},
    }
    folder = file.with_name(f"{file.stem}-{store.fingerprint([made_by, chosen])[:12]}.parts")
    with store.lock(file):
        if len(chosen) < len(every):
            _keep_larger(file, len(chosen))
        parts = {folder / f"{i:06d}.npz": chosen[i : i + PART] for i in range(0, len(chosen), PART)}
        tasks = [
            (part, (corpus, names, kind, parameters))
            for part, names in parts.items()
            if not part.exists()
        ]
        _embed_parts(file.stem, tasks, len(chosen), jobs, backend, scheduler)
        bad = _assemble(file, list(parts), made_by, loaded)
        shutil.rmtree(folder, ignore_errors=True)
    return file, bad


def _adopt(
    source: str, file: Path, corpus: corpora.Corpus, chosen: Sequence[str]
) -> dict[str, str]:
    """Make a table of vectors of one's own; return the clips that they lack."""
    table = _own(source, corpus.name)
    there = set(table.clips)
    skipped = {clip: f"{clip} has no vector." for clip in chosen if clip not in there}
    clips = [clip for clip in chosen if clip in there]
    if not clips:
        raise FeatureError(f"{source} holds no clip of {corpus.name}: name clips as it does.")
    of = {"name": corpus.name, "fingerprint": corpus.fingerprint(), "clips": len(chosen)}
    with store.lock(file):
        _keep_larger(file, len(clips))
        store.write_table(
            file,
            {"clip": np.array(clips, object), "embedding": table.at(clips)},
            {**table.provenance, "corpus": of, "skipped": skipped},
        )
    return skipped


def _check_default(name: str, table: str, kind: type, parameters: dict[str, Any]) -> None:
    """Raise `FeatureError` where a table named as a representation would hold another's vectors."""
    default = signature(kind).parameters
    others = {k: v for k, v in parameters.items() if k in default and v != default[k].default}
    if others if table == name else table in representations.NAMES:
        made = ", ".join([name or "these", *(f"{key}={value}" for key, value in others.items())])
        raise FeatureError(
            f"A table named {table} holds what {table} makes by default, not {made}: give it a "
            "name of its own with --name."
        )


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
def _representation(made_by: type, parameters: tuple[tuple[str, Any], ...]) -> Any:
    return representations.load(made_by, **dict(parameters))


def _embed_part(
    corpus: corpora.Corpus, clips: Sequence[str], made_by: type, parameters: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Embeddings of some clips, and what could not be read, as arrays to be kept."""
    loaded = _representation(made_by, tuple(sorted(parameters.items())))
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
    embedded = _embedded(loaded, waveforms, bad)
    return {
        "clips": np.array([clip for clip in waveforms if clip not in bad], dtype=str),
        "vectors": embedded,
        "bad": np.array(list(bad.items()), dtype=str).reshape(-1, 2),
        "whole": np.array([clip for clip in whole if clip not in bad], dtype=str),
    }


def _embedded(loaded: Any, waveforms: dict[str, np.ndarray], bad: dict[str, str]) -> np.ndarray:
    """Embeddings of the waveforms; those that cannot be embedded are added to `bad`."""
    nothing = np.empty((0, loaded.dimension), loaded.dtype)
    try:
        return loaded.embed(list(waveforms.values())) if waveforms else nothing
    except AudioError:
        each = [nothing]
        for clip, waveform in waveforms.items():
            try:
                each.append(loaded.embed([waveform]))
            except AudioError as error:
                bad[clip] = f"{clip}: {error}"
        return np.concatenate(each)


def _assemble(
    file: Path, parts: Sequence[Path], made_by: dict[str, Any], loaded: Any
) -> dict[str, str]:
    """Put the parts together into one table; return the clips that could not be read."""
    clips, embedded, bad, whole = (
        np.concatenate([np.load(part)[key] for part in parts])
        for key in ("clips", "vectors", "bad", "whole")
    )
    skipped = dict(bad.tolist())
    if not len(clips):
        raise FeatureError(f"No clip could be read: {next(iter(skipped.values()))}")
    if problem := vectors.problem(clips, embedded):
        raise FeatureError(f"{made_by['representation']['representation']}: the table {problem}.")
    if skipped:
        _keep_larger(file, len(clips))
    provenance = {
        **made_by,
        "skipped": skipped,
        "no_speech_found": whole.tolist(),
        "software": store.software("numpy", "soxr", "av", "onnxruntime", *loaded.libraries),
    }
    embeddings = embedded.astype(loaded.dtype, copy=False)
    store.write_table(file, {"clip": clips, "embedding": embeddings}, provenance)
    return skipped
