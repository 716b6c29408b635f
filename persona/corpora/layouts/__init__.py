"""Published corpora as their folders lie: one file for each, one line here.

A layout is a module with `HOLDS`, a path in such a folder, and `clips(folder)`, which yields a row
for every labelled clip: `file` (a path), `speaker`, and what is known of `emotion`, `gender`, `age`
and more. No audio is read.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import audio
from persona.errors import CorpusError, known
from persona.keeping import store

LAYOUTS = {
    "common-voice": "persona.corpora.layouts.common_voice",
    "emodb": "persona.corpora.layouts.emodb",
    "emovo": "persona.corpora.layouts.emovo",
    "emozionalmente": "persona.corpora.layouts.emozionalmente",
    "esd": "persona.corpora.layouts.esd",
    "msp-podcast": "persona.corpora.layouts.msp_podcast",
    "nemo": "persona.corpora.layouts.nemo",
    "ravdess": "persona.corpora.layouts.ravdess",
    "tess": "persona.corpora.layouts.tess",
    "timit": "persona.corpora.layouts.timit",
    "voxceleb": "persona.corpora.layouts.voxceleb",
}
"""Module that knows a corpus, by its name."""

COLUMNS = ("file", "speaker", "emotion", "gender", "age")


def write(name: str, folder: Path, out: Path) -> list[str]:
    """Write the table of a published corpus, as `corpora.Table` reads it; say what is in it.

    name : one of `LAYOUTS`. folder : that holds the corpus; audio in any common format.
    out : CSV; its files are relative to it.

    Raises `CorpusError` where the folder holds no clip of the corpus, or not what names them.
    """
    known("layout of a corpus", name, LAYOUTS)
    layout = import_module(LAYOUTS[name])
    if not folder.is_dir():
        raise CorpusError(f"There is no folder {folder}: name the one that holds {layout.HOLDS}.")
    try:
        rows = list(layout.clips(folder))
    except (KeyError, IndexError, ValueError) as error:
        raise CorpusError(
            f"The labels in {folder} are not laid out as those of {name} ({error!r}): compare them "
            f"with {layout.HOLDS}, or write the table by hand."
        ) from error
    here = [row for row in rows if row["file"].is_file()]
    if not here:
        raise CorpusError(
            f"{folder} holds no clip of {name}: name the folder that holds {layout.HOLDS}."
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
