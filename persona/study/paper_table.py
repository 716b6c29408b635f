"""The paper's table, and ours beside it."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from persona import evaluation
from persona.evaluation import Sums
from persona.keeping import store
from persona.representations import NAMES
from persona.study.comparison import as_row, as_table
from persona.study.terms import MEASURES, METRICS, number, shown

NOT_RUN = "not run here"


class Cell(NamedTuple):
    """One network of the paper's grid."""

    representation: str
    architecture: str

    @property
    def title(self) -> str:
        """As it is shown, e.g. "MFCC, FCN"."""
        return f"{shown(self.representation)}, {shown(self.architecture)}"


def quoted() -> dict[Cell, dict[str, float]]:
    """The paper's numbers by network and metric: accuracies as fractions, RMSE in years."""
    table = pd.read_csv(store.shipped() / "paper_table.csv")
    table = table.sort_values("representation", key=lambda column: column.map(NAMES.index))
    return {
        Cell(row["representation"], row["architecture"]): {
            metric: row[metric] / METRICS[metric].factor for metric in MEASURES.values()
        }
        for _, row in table.iterrows()
    }


def beside(counts: Mapping[Cell, Mapping[str, Sums]], baseline: Mapping[str, Sums]) -> pd.DataFrame:
    """The paper's table and ours: a row per network and source, a column per measure.

    counts : sums by network and protocol; networks of the paper that are not among them are shown
        as not run.
    baseline : sums by protocol of the predictor that ignores the voice.
    """
    theirs = quoted()
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for cell in [*counts, *(cell for cell in theirs if cell not in counts)]:
        if cell in theirs:
            rows[cell.title, "paper"] = {
                METRICS[metric].heading: number(value, metric)
                for metric, value in theirs[cell].items()
            }
        for protocol, sums in counts.get(cell, {}).items():
            rows[cell.title, shown(protocol)] = as_row(sums)
        if not counts.get(cell):
            rows[cell.title, "here"] = {METRICS[m].heading: NOT_RUN for m in MEASURES.values()}
    for protocol, sums in baseline.items():
        rows["ignores the voice", shown(protocol)] = as_row(sums)
    return as_table(rows).rename_axis(["network", "tested on"])


def agreement(counts: Mapping[Cell, Sums]) -> pd.DataFrame:
    """Where the paper's numbers lie relative to our 95 % intervals.

    Returns a row per network of the paper that is among `counts` and metric, with the columns
    `paper`, `value`, `low`, `high` (in the unit of `evaluation`) and `lies`: "below", "inside"
    or "above" our interval.
    """
    rows = []
    for cell, values in quoted().items():
        if cell not in counts:
            continue
        found = evaluation.score(counts[cell])
        for metric, theirs in values.items():
            value, low, high = found.loc[metric].to_numpy(float)
            lies = "below" if theirs < low else "above" if theirs > high else "inside"
            rows.append((cell.title, metric, theirs, value, low, high, lies))
    columns = ["network", "metric", "paper", "value", "low", "high", "lies"]
    return pd.DataFrame(rows, columns=columns).set_index(["network", "metric"])
