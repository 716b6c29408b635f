"""Results as data for the book: every measure that its tables and sentences begin from, as records.

`python tools/export_results.py FOLDER` writes there

- `metrics.csv` and `metrics.json`: a record for each experiment, tested corpus, condition and
  measure: value, 95 % interval over speakers, numbers of clips, speakers and seeds, and the
  chapters that read it;
- `experiments.json`: what each experiment was, by its identity;
- `findings.json`, `card.json`, `paper_table.csv`: the chapters' findings, the model that ships, and
  the paper's numbers, as the repository has them;
- `croissant.json`: `metrics.csv` and the feature tables described as a Croissant 1.1 data set;
- `ro-crate-metadata.json`: all of it described as an RO-Crate 1.1.

Paired differences and their tests are not among them: chapters compute those from the same sums,
which the repository keeps per speaker and seed in `data/results`.
"""

import argparse
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import croissant
import pandas as pd

from persona import __version__, evaluation
from persona.keeping import store
from persona.labels import EMOTIONS, TASKS

KEYS = ["experiment", "representation", "architecture", "protocol", "trained_on", "corpus",
        "condition"]  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent
DESCRIBED = {
    "metrics.csv": "Measures with 95 % bootstrap intervals over speakers, a row each",
    "metrics.json": "The same as a list of records",
    "experiments.json": "What each experiment was: corpus, representation, network, folds",
    "findings.json": "Sentences that chapters close with, computed in them",
    "card.json": "The card of the model that ships",
    "paper_table.csv": "The numbers of the paper that is repeated",
    "croissant.json": "Measures and feature tables for loaders of data sets (Croissant)",
}
CROISSANT = {"f": "sc:Float", "i": "sc:Integer"}
LICENCE = "https://opendatacommons.org/licenses/odbl/1-0/"


def records(file: Path) -> Iterator[dict[str, Any]]:
    """Measures of a results table; none of one that does not hold sums of experiments."""
    table = store.read_table(file)
    if not set(KEYS) <= set(table.columns):
        return
    made = _declared(file)
    rows = pd.DataFrame(table.columns)
    for keys, some in rows.groupby(KEYS, sort=False):
        named = dict(zip(KEYS, keys, strict=True))
        counts = evaluation.from_frame(some, EMOTIONS)
        learnt = _learnt(made.get(named["experiment"], {}))
        clips = {"emotion": counts.emotion, "gender": counts.gender, "age": counts.age[..., :1]}
        for measure, row in evaluation.score(counts).iterrows():
            task = str(measure).split("_")[0]
            if task in learnt and pd.notna(row["value"]):
                yield {
                    "study": file.stem,
                    **named,
                    "measure": measure,
                    **row.round(6),
                    "clips": int(clips[task][0].sum()),
                    "speakers": len(counts.speakers),
                    "seeds": len(counts.age),
                    "chapters": _chapters(file.stem),
                }


def _declared(file: Path) -> dict[str, Any]:
    """Experiments of a results table by their identity."""
    found = store.read_provenance(file).get("experiments", {})
    return found if isinstance(found, dict) else {}


def _learnt(experiment: dict[str, Any]) -> set[str]:
    """Tasks that weigh something in an experiment's loss; what others predict means nothing."""
    weights = experiment.get("settings", {}).get("weights", [1] * len(TASKS))
    return {task for task, weight in zip(TASKS, weights, strict=True) if weight}


@cache
def _chapters(study: str) -> list[str]:
    """Notebooks that read the results of a study."""
    reads = re.compile(rf'(study=|has_run\(|run\(.+, )\\"{study}\\"')
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return [n.stem for n in notebooks if reads.search(n.read_text(encoding="utf-8"))]


def crate(folder: Path) -> dict[str, Any]:
    """The RO-Crate's metadata for the files in `folder`."""
    files = [
        {
            "@id": name,
            "@type": "File",
            "name": name,
            "description": text,
            "encodingFormat": {"csv": "text/csv", "json": "application/json"}[name.split(".")[1]],
            "contentSize": str((folder / name).stat().st_size),
            "sha256": store.sha256(folder / name),
        }
        for name, text in DESCRIBED.items()
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "PERSONA: results as data",
        "description": "What the study measured of emotion, gender and age in voices.",
        "version": __version__,
        "license": {"@id": LICENCE},
        "author": {"@id": "#contributors"},
        "hasPart": [{"@id": file["@id"]} for file in files],
        "isBasedOn": {"@id": "https://github.com/CheyneyComputerScience/CREMA-D"},
    }
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            root,
            {"@id": LICENCE, "@type": "CreativeWork", "name": "Open Database License 1.0"},
            {"@id": "#contributors", "@type": "Organization", "name": "The PERSONA contributors"},
            *files,
        ],
    }


def write(folder: Path, results: list[Path], tables: list[Path]) -> None:
    """Write the files that `DESCRIBED` names, from results and feature tables, and their crate."""
    every = [record for file in results for record in records(file)]
    made = [store.read_provenance(file).get("experiments", {}) for file in results]
    declared = {
        name: what for some in made if isinstance(some, dict) for name, what in some.items()
    }
    store.write_json(folder / "metrics.json", every)
    flat = pd.DataFrame(every)
    flat["chapters"] = flat["chapters"].map("; ".join)
    store.write_bytes(folder / "metrics.csv", flat.to_csv(index=False).encode())
    store.write_json(folder / "experiments.json", declared)
    for name in ("results/findings.json", "models/default/card.json", "paper_table.csv"):
        source = store.shipped() / name
        store.write_bytes(folder / source.name, source.read_bytes())
    kinds = {column: CROISSANT.get(kind.kind, "sc:Text") for column, kind in flat.dtypes.items()}
    described = croissant.described(folder / "metrics.csv", kinds, tables, base())
    store.write_json(folder / "croissant.json", described)
    store.write_json(folder / "ro-crate-metadata.json", crate(folder))


def base() -> str:
    """Address of what ships: in the repository (PERSONA_REPOSITORY), if known, else from a folder
    in `build` of a checkout.
    """
    repository = os.environ.get("PERSONA_REPOSITORY", "").rstrip("/")
    return f"{repository}/raw/main/data/" if repository else "../../data/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    shipped = store.shipped()
    tables = sorted((shipped / "features").rglob("*.parquet"))
    write(folder, sorted((shipped / "results").glob("*.parquet")), tables)


if __name__ == "__main__":
    main()
