"""Feature tables: where they are, and what is in them, verified.

A feature table is a table of `store` with a `clip` and an `embedding` column; its provenance says
which audio, which detection of speech and which representation made it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from persona import corpora, representations
from persona.audio import speech
from persona.errors import FeatureError, PersonaError, StoreError
from persona.keeping import store
from persona.representations import vectors

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
        return own_vectors(name, corpus)
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


def own_vectors(file: str, corpus: str) -> FeatureTable:
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
