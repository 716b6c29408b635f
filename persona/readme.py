"""Write what the README says of the results from the results: `python -m persona.readme`."""

import re
from pathlib import Path

from persona import evaluation, tables

_BLOCK = re.compile(r"(<!-- headline[^>]*-->\n).*?(<!-- /headline -->)", re.DOTALL)


def filled(text: str) -> str:
    """The README's text with its headline table taken from the results that ship."""
    table = tables.headline(evaluation.read_sums(tables.results_file()))
    return _BLOCK.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)


if __name__ == "__main__":
    readme = Path(__file__).resolve().parent.parent / "README.md"
    readme.write_text(filled(readme.read_text()))
