"""Make what was computed here what the repository ships, and fill the README's table and findings.

python tools/ship.py
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from persona import evaluation, representations
from persona.app import offered
from persona.dataset import Dataset
from persona.errors import PersonaError, StoreError
from persona.folds import PROTOCOLS
from persona.keeping import store
from persona.model import recipe
from persona.run import identity
from persona.study import comparison, worth
from persona.study import paper_table as paper
from persona.study.chapter import CLOSING, FINDINGS, findings_file
from persona.study.terms import MEASURES, METRICS, number, shown

UNSHIPPED = ("whisper_layers", "crema-d-degraded-test")
"""Feature tables too large to ship; only results computed from them are."""

LARGEST, LARGEST_MODEL = 10_000_000, 16_000_000
"""Bytes that a shipped table, and a file of the model, may have."""

SEEDS = (0, 1, 2)
"""Deals of the folds of the paper's table."""


def ship() -> Iterator[Path]:
    """Copy tables, results and the model made here to where they ship from, yielding each file.

    Raises `PersonaError` outside a checkout, and for a table that is too large to ship.
    """
    if not store.in_checkout():
        raise PersonaError("What ships belongs to a checkout of the repository: run it in one.")
    made, shipped = store.made(), store.shipped()
    files = [*sorted(made.glob("features/*/*.parquet")), *sorted(made.glob("results/*.parquet"))]
    files += sorted(file for file in made.glob("models/default/*") if file.name[0] != ".")
    predicted = made / "predictions" / f"{identity(recipe.shipped())}.parquet"
    files += [predicted] if predicted.exists() else []
    for file in files:
        if file.stem in UNSHIPPED or file.parent.name in UNSHIPPED:
            continue
        largest = LARGEST_MODEL if file.parent.parent.name == "models" else LARGEST
        if file.stat().st_size > largest:
            raise PersonaError(f"{file} has over {largest / 1e6:.0f} MB: it cannot ship.")
        target = shipped / file.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        yield target
    store.write_json(offered.WORTH, worth.answers())
    yield offered.WORTH
    executed = made / "notebooks"
    if executed.is_dir():
        store.write_json(findings_file(), collected(executed))
    readme = shipped.parent / "README.md"
    store.write_bytes(readme, filled(readme.read_text(encoding="utf-8")).encode())
    yield readme


def collected(executed: Path) -> dict[str, str]:
    """Findings of the executed notebooks in a folder, by chapter; empty ones are left out."""
    found = {}
    for chapter in FINDINGS:
        file = executed / f"{chapter}.ipynb"
        if file.exists() and (sentence := finding(json.loads(file.read_text(encoding="utf-8")))):
            found[chapter] = sentence
    return found


def finding(notebook: dict[str, Any]) -> str:
    """What an executed notebook says behind `CLOSING`, without its details; "" if nothing."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/markdown", ""))
            if text.startswith(CLOSING):
                return text.removeprefix(CLOSING).split("\n\n")[0]
    return ""


def filled(text: str) -> str:
    """The README's text with its table and findings taken from the results that ship."""
    sentences = store.read_json(findings_file()).values()
    parts = {
        "headline": headline(),
        "findings": "\n".join(f"{i}. {s[0].upper()}{s[1:]}" for i, s in enumerate(sentences, 1)),
    }
    for name, content in parts.items():
        place = re.compile(rf"(<!-- {name}[^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = place.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text)  # noqa: B023
    return text


def headline() -> str:
    """The paper's table and ours in Markdown, from the results that ship: balanced networks."""
    rows = []
    for cell, values in paper.quoted().items():
        numbers = [number(values[metric], metric) for metric in MEASURES.values()]
        rows.append(("paper", shown(cell.representation), shown(cell.architecture), *numbers))
    rows += _ours()
    headings = ["", "representation", "network", *(METRICS[m].heading for m in MEASURES.values())]
    lines = [headings, ["---"] * 3 + ["--:"] * len(MEASURES), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ours() -> Iterator[tuple[str, ...]]:
    try:
        table = store.read_table(store.shipped() / "results" / "paper_table.parquet")
    except StoreError as error:
        raise PersonaError(f"{error} The README's table is made of it.") from error
    results = pd.DataFrame(table.columns)
    order = {name: place for place, name in enumerate(representations.NAMES)}
    found = []
    for name, described in table.provenance["experiments"].items():
        if described["settings"]["age_unit"] != "deviation":
            continue
        cell = [described[part] for part in ("protocol", "representation", "architecture")]
        counts = evaluation.from_frame(results[results["experiment"] == name])
        scored = comparison.score({0: counts}).iloc[0]
        names = [shown(part) for part in cell]
        row = (f"ours, {names[0]}", *names[1:], *scored)
        found.append(((cell[0], order.get(cell[1], len(order)), cell[2]), row))
    clips = Dataset("crema-d").clips.astype({"speaker": str})
    for protocol in PROTOCOLS:
        guess = evaluation.sums(evaluation.constant(clips, protocol, SEEDS), clips)
        scored = comparison.score({0: guess}).iloc[0]
        row = (f"ours, {shown(protocol)}", "*ignores the voice*", "", *scored)
        found.append(((protocol, len(order) + 1, ""), row))
    yield from (row for _, row in sorted(found))


if __name__ == "__main__":
    for written in ship():
        print(written)
