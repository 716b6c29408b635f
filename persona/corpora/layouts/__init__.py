"""Published corpora as their folders lie: a row of `published` each, or, where it takes code, a
file of its own here, whose `LAYOUT` is a `files.Coded`.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from persona.corpora.layouts.files import Coded, Listed, Named, audio
from persona.corpora.layouts.published import LAYOUTS
from persona.errors import CorpusError, known
from persona.keeping import store

_NO_LAYOUTS = ("files", "published")

COLUMNS = ("file", "speaker", "emotion", "gender", "age")


def named(name: str) -> Named | Listed | Coded:
    """The layout of a corpus; `PersonaError` where none is called so."""
    modules = {found.name.replace("_", "-"): found.name for found in iter_modules(__path__)}
    coded = {each: module for each, module in modules.items() if each not in _NO_LAYOUTS}
    known("layout of a corpus", name, sorted([*LAYOUTS, *coded]))
    if name in LAYOUTS:
        return LAYOUTS[name]
    layout: Coded = import_module(f"{__name__}.{coded[name]}").LAYOUT
    return layout


def write(name: str, folder: Path, out: Path) -> list[str]:
    """Write the table of a published corpus, as `corpora.Table` reads it; say what is in it.

    name : as of `named`. folder : that holds the corpus; audio in any common format.
    out : CSV; its files are relative to it.

    Raises `CorpusError` where the folder holds no clip of the corpus, or not what names them.
    """
    layout = named(name)
    if not folder.is_dir():
        raise CorpusError(f"There is no folder {folder}: name the one that holds {layout.holds}.")
    try:
        rows = list(layout.clips(folder))
    except (KeyError, IndexError, ValueError) as error:
        raise CorpusError(
            f"The labels in {folder} are not laid out as those of {name} ({error!r}): compare them "
            f"with {layout.holds}, or write the table by hand."
        ) from error
    here = [row for row in rows if row["file"].is_file()]
    if not here:
        raise CorpusError(
            f"{folder} holds no clip of {name}: name the folder that holds {layout.holds}."
        )
    store.write_bytes(out, _csv(here, out.parent.resolve()).encode())
    others = sorted(set(audio(folder)) - {row["file"] for row in here})
    return list(_sentences(here, len(rows) - len(here), others, out))


def _csv(rows: Iterable[Mapping[str, Any]], relative_to: Path) -> str:
    columns = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    table.writeheader()
    for row in rows:
        path = Path(os.path.relpath(row["file"].absolute(), relative_to)).as_posix()
        table.writerow({**row, "file": path})
    return text.getvalue()


def _sentences(
    here: list[dict[str, Any]], missing: int, others: list[Path], out: Path
) -> Iterable[str]:
    people = len({row["speaker"] for row in here})
    labelled = ", ".join(f"{t} of {sum(bool(r.get(t)) for r in here):,}" for t in COLUMNS[2:])
    yield f"{out} lists {len(here):,} clips of {people:,} speakers; labelled are {labelled}."
    if missing:
        yield f"{missing:,} clips that the corpus names are not there."
    if others:
        yield f"{len(others):,} other audio files are left out, the first of them {others[0]}."
