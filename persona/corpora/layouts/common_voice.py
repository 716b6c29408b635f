"""Mozilla Common Voice, one language: `validated.tsv` and `clips/`, for gender and age.

Columns client_id, path, age, gender. Ages are decades (`twenties`), taken as their middle, teens as
15; clips whose speaker states neither are left out. A client is a browser or an account: one person
may be several. Tried on made tables only, not on the corpus.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import gender, rows

HOLDS = "validated.tsv and clips/"

DECADES = (
    "teens", "twenties", "thirties", "fourties", "fifties", "sixties", "seventies", "eighties",
    "nineties",
)  # fmt: skip
"""As the corpus spells them, from 10 years."""


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    ages = {name: 10 * number + 5 for number, name in enumerate(DECADES, start=1)}
    for row in rows(folder / "validated.tsv", "\t", quoted=False):
        labels = {"gender": gender(row["gender"]), "age": ages.get(row["age"], "")}
        if any(labels.values()):
            yield {"file": folder / "clips" / row["path"], "speaker": row["client_id"], **labels}
