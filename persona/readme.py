"""What the README says of the results, taken from them: `python -m persona.readme`."""

import json
import re
from pathlib import Path
from typing import Any

from persona import evaluation, paths, tables

CHAPTERS = (
    "04_paper_table",
    "05_speakers",
    "06_joint_learning",
    "11_outside_the_studio",
    "12_best",
)
"""Chapters whose closing sentences are the README's findings."""

CLOSING = "**In short:** "

_TABLE = re.compile(r"(<!-- headline[^>]*-->\n).*?(<!-- /headline -->)", re.DOTALL)
_FINDINGS = re.compile(r"(<!-- findings[^>]*-->\n).*?(<!-- /findings -->)", re.DOTALL)


def findings_file() -> Path:
    """Closing sentence of each chapter, as the last `make results` found them."""
    return paths.data() / "results" / "findings.json"


def closing_sentence(notebook: dict[str, Any]) -> str:
    """The sentence an executed notebook ends in, without its "In short"."""
    for cell in reversed(notebook["cells"]):
        for output in reversed(cell.get("outputs", [])):
            text = "".join(output.get("data", {}).get("text/markdown", ""))
            if text.startswith(CLOSING):
                return text.removeprefix(CLOSING)
    raise ValueError("The notebook has no closing sentence: execute it first.")


def collect(executed: Path) -> dict[str, str]:
    """Closing sentences of the executed notebooks in a folder, by chapter."""
    return {
        chapter: closing_sentence(json.loads((executed / f"{chapter}.ipynb").read_text()))
        for chapter in CHAPTERS
    }


def filled(text: str) -> str:
    """The README's text with its headline table and findings taken from the results that ship."""
    table = tables.headline(evaluation.read_sums(tables.results_file()))
    sentences = json.loads(findings_file().read_text())
    lines = "\n".join(f"{i}. {s[0].upper()}{s[1:]}" for i, s in enumerate(sentences.values(), 1))
    text = _TABLE.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)
    return _FINDINGS.sub(lambda found: f"{found[1]}\n{lines}\n\n{found[2]}", text)


if __name__ == "__main__":
    found = collect(paths.build() / "notebooks")
    findings_file().write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    readme = Path(__file__).resolve().parent.parent / "README.md"
    readme.write_text(filled(readme.read_text()))
