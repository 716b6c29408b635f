"""Labelled clips and their embeddings, row by row, and the one cache of what is read from files."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from persona import corpora, features
from persona.corpora import LABELS
from persona.errors import PersonaError
from persona.keeping import store
from persona.labels import emotion_classes

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 512 * 2**20
"""Bytes that the cache holds; what was not asked for longest goes first."""


class Dataset:
    """Labelled clips of a corpus, and their embeddings in the same order.

    corpus : a name or a path as of `corpora.load`. Of several joined by "+", clips have a column
        `corpus`, and speakers carry its name; so do clips whose name is in several.
    representation : a feature table, or several side by side: "dvector+mfcc". None: clips alone.

    What it hands out is its caller's: no change of it reaches another. A new object sees a file
    that has changed.

    Raises `CorpusError` for a table of clips that cannot be read; `embeddings`, `tensor` and
    `embeddings_checksum` raise `FeatureError` as `features.read` does.
    """

    def __init__(self, corpus: str | Path, representation: str | None = None) -> None:
        self.corpus, self.representation = str(corpus), representation
        self._parts = corpora.several(corpus)
        self._states = {name: corpora.state(name) for name in self._parts}
        key = None if None in self._states.values() else ("clips", *self._states.items())
        self._tables: dict[str, pd.DataFrame]
        self._tables, self._clips, self.checksum = _kept.get(key, lambda: _read_clips(self._parts))
        self._own: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def clips(self) -> pd.DataFrame:
        """A copy of the labelled clips; columns as of `Corpus.clips`."""
        return self._clips.copy()

    def relabelled(self, relabel: Callable[[pd.DataFrame], pd.DataFrame] | None) -> pd.DataFrame:
        """The clips with the labels that a function gives them; None: with their own."""
        return self.clips if relabel is None else relabel(self.clips)

    @property
    def classes(self) -> tuple[str, ...]:
        """Emotion classes, as of `labels.emotion_classes`."""
        return emotion_classes(self._clips["emotion"])

    @property
    def fingerprint(self) -> str:
        """What names the audio, as of `Corpus.fingerprint`."""
        found = [_fingerprint(name) for name in self._parts]
        return found[0] if len(found) == 1 else store.fingerprint(found)

    @property
    def embeddings(self) -> np.ndarray:
        """Embeddings of the clips, float32, shape (clips, dimension); read-only."""
        if self._own is None:  # not the cache's: `torch.from_numpy` writes through read-only arrays
            self._own = self._vectors().copy()
            self._own.flags.writeable = False
        return self._own.view()

    def tensor(self) -> "Tensor":
        """A copy of the embeddings, float32, shape (clips, dimension)."""
        import torch

        return torch.from_numpy(self._vectors().copy())

    @property
    def embeddings_checksum(self) -> str:
        """SHA-256 over the feature tables' clips and values."""
        parts = [(part, name) for name in self._parts for part in self._names]
        found = [_kept.get(self._state(*part), partial(_checksum, *part)) for part in parts]
        return found[0] if len(found) == 1 else store.fingerprint(found)

    @property
    def _names(self) -> list[str]:
        if self.representation is None:
            raise PersonaError(
                f"Embeddings of which representation? Name one: Dataset({self.corpus!r}, 'mfcc')."
            )
        return self.representation.split("+")

    def _state(self, part: str, name: str) -> Hashable | None:
        """What decides whether a feature table is right, and what is in it."""
        state = store.state(features.path(part, name))
        return state and ("table", part, name, self._states[name], state)

    def _vectors(self) -> np.ndarray:
        states = [self._state(part, name) for name in self._parts for part in self._names]
        key = None if None in states else ("vectors", self.checksum, *states)
        return _kept.get(key, self._read_vectors)

    def _read_vectors(self) -> np.ndarray:
        names = "+".join(self._names)
        read = [features.read(names, name).at(t["clip"]) for name, t in self._tables.items()]
        return read[0] if len(read) == 1 else np.concatenate(read)


def _read_clips(
    names: list[str],
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, str]:
    """Clips of each corpus, of all of them, and SHA-256 over the latter's names and labels."""
    tables = {name: corpora.load(name).clips() for name in names}
    clips = next(iter(tables.values())) if len(tables) == 1 else _joined(tables)
    columns = {name: clips[name].map(str).to_numpy(str) for name in ("clip", *LABELS)}
    return tables, clips, store.checksum(columns)


def _joined(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat([t.assign(corpus=name) for name, t in tables.items()], ignore_index=True)
    whole["speaker"] = whole["corpus"] + " " + whole["speaker"].astype(str)
    twice = whole["clip"].duplicated(keep=False)
    whole.loc[twice, "clip"] = whole["corpus"] + " " + whole["clip"]
    return whole


def _checksum(representation: str, corpus: str) -> str:
    return features.read(representation, corpus).checksum


def _fingerprint(name: str) -> str:
    corpus = corpora.load(name)
    state = corpus.state(audio=True)
    return _kept.get(state and ("fingerprint", name, state), corpus.fingerprint)


class _Cache:
    """Values by what the files are that they were made from; safe in threads and after a fork."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.__init__)  # type: ignore[misc]

    def get(self, key: Hashable | None, make: Callable[[], Any]) -> Any:
        """The value of a key, made where it is not there; None is the key of what is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
        value = make()
        if key is not None:
            with self._lock:
                self._values[key] = value, _size(value)
                while len(self._values) > 1 and sum(s for _, s in self._values.values()) > LIMIT:
                    self._values.popitem(last=False)
        return value


def _size(value: Any) -> int:
    """About how many bytes a value takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage(deep=True).sum())
    if isinstance(value, dict | tuple):
        return sum(map(_size, value.values() if isinstance(value, dict) else value))
    return 200


_kept = _Cache()
