"""The paper's table, and ours beside it."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from persona.keeping import store
from persona.representations import NAMES
from persona.study.terms import MEASURES, METRICS, shown


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


def tidy() -> pd.DataFrame:
    """The paper's numbers as a frame of `comparison.tidy`, without intervals.

    Returns the columns `network`, `tested on` ("paper"), `metric`, `value`, `low` and `high`.
    """
    rows = [
        (cell.title, "paper", metric, value, np.nan, np.nan)
        for cell, values in quoted().items()
        for metric, value in values.items()
    ]
    columns = ["network", "tested on", "metric", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
