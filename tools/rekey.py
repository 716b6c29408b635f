"""Give results that ship the identities that their experiments have now: python tools/rekey.py

Needed where identities change and what is computed does not: `before` then says what they were.
Every chapter is executed in its default mode and finds its results by their old identities, which
proves that those were understood; each is then paired with the new one of the same experiment.
Tables are written again with the values that they had, and their provenance says so.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from functools import partial
from inspect import getsource
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest.mock import patch

import numpy as np
from IPython.core.interactiveshell import InteractiveShell

from persona import experiment as declared
from persona import run as running
from persona.keeping import store

ROOT = Path(__file__).resolve().parents[1]
NOTE = (
    "Re-keyed when functions of notebooks came to be identified by the globals that they read: "
    "no value was computed again."
)

TEXT = ('Dataset("crema-d").clips', 'load_clips("crema-d")')
"""What the functions of notebooks say now, and what they said of the same."""

PARAMETERS = {"09_variations": "representations = ['mfcc', 'campplus', 'dvector']"}
"""Of chapters that have results of more than they show by default."""

current = running.identity


def before(value: Any) -> Any:
    """`identity.identified` as it was: no module, no defaults, no globals."""
    if isinstance(value, partial):
        given = {name: before(given) for name, given in value.keywords.items()}
        return [before(value.func), [before(given) for given in value.args], given]
    if not isinstance(value, FunctionType):
        return json.loads(store.plain_json(value))
    around = [before(cell.cell_contents) for cell in value.__closure__ or ()]
    version = getattr(value, "version", None)
    if version is None and not value.__module__.startswith("persona."):
        version = store.fingerprint(getsource(value).replace(*TEXT))[:12]
    return [f"{value.__qualname__} version {version or 1}", around]


def collect(notebooks: list[Path]) -> dict[str, tuple[str, Any, Any]]:
    """New identity, old and new description of the experiments of chapters, by old identity."""
    found: dict[str, tuple[str, Any, Any]] = {}

    def both(experiment: declared.Experiment) -> str:
        with patch.object(declared, "identified", before):
            old, described = current(experiment), experiment.description()
        found[old] = current(experiment), described, experiment.description()
        return old

    running.identity = both  # before any chapter imports it
    shell = InteractiveShell.instance()
    for notebook in notebooks:
        shell.reset(new_session=False)
        for number, cell in enumerate(json.loads(notebook.read_text("utf-8"))["cells"]):
            if cell["cell_type"] != "code":
                continue
            with contextlib.redirect_stdout(io.StringIO()):
                result = shell.run_cell("".join(cell["source"]), cell_id=f"{number}")
                result.raise_error()
                if "parameters" in cell["metadata"].get("tags", ()):
                    shell.run_cell(PARAMETERS.get(notebook.stem, ""))
        print(f"{notebook.stem}: {len(found)} experiments so far", flush=True)
    return found


def rekey(file: Path, found: dict[str, tuple[str, Any, Any]]) -> list[str]:
    """Rewrite a table; returns the identities, or descriptions, that no chapter asked for."""
    table = store.read_table(file)
    columns, made_by = dict(table.columns), dict(table.provenance)
    new = {old: name for old, (name, _, _) in found.items()}
    described = {store.plain_json(old): now for _, old, now in found.values()}
    unknown = []

    def now(content: Any) -> Any:
        if store.plain_json(content) not in described:
            unknown.append(store.plain_json(content))
        return described.get(store.plain_json(content), content)

    experiments = made_by.get("experiments")
    if isinstance(experiments, dict):
        made_by["experiments"] = {new.get(old, old): now(d) for old, d in experiments.items()}
    elif experiments:
        made_by["experiments"] = [now(content) for content in experiments]
    if "experiment" in made_by:
        made_by["experiment"] = now(made_by["experiment"])
    if "experiment" in columns:
        names = columns["experiment"]
        columns["experiment"] = np.array([new.get(old, old) for old in names], object)
    changed = made_by != table.provenance
    if changed:
        store.write_table(file, columns, made_by | {"rekeyed": NOTE})
        again = store.read_table(file).columns
        assert all(np.array_equal(again[n], columns[n]) for n in columns), file
    print(
        f"{file.name}: {'re-keyed' if changed else 'as it was'}, {len(unknown)} asked by no chapter"
    )
    return unknown


def files() -> Iterator[Path]:
    yield from sorted((store.shipped() / "results").glob("*.parquet"))
    yield from sorted((store.shipped() / "predictions").glob("*.parquet"))


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "agg"
    os.chdir(ROOT)
    found = collect(sorted((ROOT / "notebooks").glob("*.ipynb")))
    for file in files():
        rekey(file, found)
        new = found.get(file.stem, (file.stem,))[0]
        file.rename(file.with_stem(new) if file.parent.name == "predictions" else file)
