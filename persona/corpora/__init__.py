"""Corpora: labelled clips with their audio, one file for each corpus and one line here."""

import inspect
from collections.abc import Callable, Hashable
from importlib import import_module
from pathlib import Path
from typing import Any

from persona.corpora.base import LABELS, Corpus, Problem, audio_folder, summary
from persona.corpora.crema_d import CremaD, oddities, votes
from persona.corpora.crema_d_audio import fetch, import_copy, locate
from persona.corpora.degraded import Degraded, made_of, within
from persona.corpora.emodb import EmoDB
from persona.corpora.phrases import Phrases
from persona.corpora.speechocean import Speechocean
from persona.corpora.table import Table, is_table, key
from persona.errors import CorpusError
from persona.keeping import store

__all__ = [
    "LABELS",
    "NAMES",
    "REGISTRY",
    "Corpus",
    "CremaD",
    "Degraded",
    "EmoDB",
    "Phrases",
    "Problem",
    "Speechocean",
    "Table",
    "audio_folder",
    "fetch",
    "import_copy",
    "is_table",
    "key",
    "load",
    "locate",
    "made_of",
    "oddities",
    "several",
    "state",
    "summary",
    "votes",
    "within",
]

REGISTRY = {
    "crema-d": "persona.corpora.crema_d:CremaD",
    "emodb": "persona.corpora.emodb:EmoDB",
    "speechocean762": "persona.corpora.speechocean:Speechocean",
    "crema-d-degraded": "persona.corpora.degraded:Degraded",
    "crema-d-halves": "persona.corpora.phrases:Phrases",
    "crema-d-joined": "persona.corpora.phrases:joined",
    "crema-d-degraded-test": "persona.corpora.degraded:tested",
}
"""Module and class (or function) that makes every corpus, by its name."""

NAMES = tuple(REGISTRY)


def load(name: str | Path, **parameters: Any) -> Corpus:
    """A corpus by its name, or a table of one's own clips by its path.

    Parameters
    ----------
    name : one of `REGISTRY`, or a file that ends as one of `Table.SUFFIXES`.
    parameters : of its class, e.g. `folder`.

    Raises
    ------
    CorpusError : there is no such corpus, or it has no such parameter.

    Example
    -------
    >>> load("crema-d", policy="all").title
    'CREMA-D'
    """
    if not isinstance(name, str | Path):
        raise CorpusError(f"A corpus is named, not given as a {type(name).__name__}: save a table.")
    if is_table(name):
        kind: Callable[..., Corpus] = Table
        parameters = {"path": name, **parameters}
    elif str(name) in REGISTRY:
        module, _, of = REGISTRY[str(name)].partition(":")
        kind = getattr(import_module(module), of)
    else:
        raise CorpusError(
            f"There is no corpus {str(name)!r}: use one of {', '.join(REGISTRY)}, "
            f"or the path of a table of clips ({', '.join(Table.SUFFIXES)})."
        )
    try:
        inspect.signature(kind).bind(**parameters)
    except TypeError as error:
        raise CorpusError(f"The corpus {name} cannot be loaded like this: {error}.") from error
    return kind(**parameters)


def state(name: str) -> Hashable | None:
    """As `Corpus.state`, of a corpus that need not be read for it."""
    return store.state(Path(name)) if is_table(name) else load(name).state()


def several(corpus: str | Path) -> list[str]:
    """The corpora that are joined by "+" in one name; a path may hold a "+" itself.

    Raises `CorpusError` where one is named twice, or where a file has the whole of several as its
    name.
    """
    names = [""]
    for part in str(corpus).split("+"):
        names[-1] += part
        if names[-1] in REGISTRY or is_table(names[-1]):
            names.append("")
        else:
            names[-1] += "+"
    names = [*names[:-1], *([names[-1][:-1]] if names[-1] else [])]
    if len(names) > 1 and Path(corpus).exists():
        raise CorpusError(f"{corpus} is a file, and reads as {len(names)} corpora: rename it.")
    if len({key(name) for name in names}) < len(names):
        raise CorpusError(f"{corpus} names one corpus twice: name it once.")
    return names
