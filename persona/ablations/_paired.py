"""Many paired comparisons in one table, corrected together."""

from collections.abc import Hashable, Mapping

import pandas as pd

from persona import evaluation
from persona.evaluation import Sums
from persona.tables import MEASURES

DRAWS = 10_000
"""Bootstrap samples: with n comparisons the smallest corrected p is 2 n / DRAWS."""


def differences(
    counts: Mapping[str, Sums],
    pairs: Mapping[tuple[str, ...], tuple[str, str]],
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Differences `first - second` of the paper's three measures, by a bootstrap over speakers.

    pairs : row label to the names of the two variants.

    Returns a row per label and measure (the last level of the index): `difference`, its 95 %
    interval `low` and `high` (per cent, or years), `p`, and `p_holm`, corrected over all rows.
    """
    rows = {}
    for label, (first, second) in pairs.items():
        paired = evaluation.difference(counts[first], counts[second], draws)
        for metric, (heading, factor, _) in MEASURES.items():
            found = paired.loc[metric]
            rows[(*label, heading)] = {
                "difference": factor * found["difference"],
                "low": factor * found["low"],
                "high": factor * found["high"],
                "p": found["p"],
            }
    table = pd.DataFrame(rows).T
    table["p_holm"] = evaluation.holm(table["p"].to_numpy())
    return table


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """`differences` as it is printed: a column per measure, "*" where Holm's p is below 0.05."""
    digits = {heading: number for heading, _, number in MEASURES.values()}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for (*label, heading), row in zip(table.index, table.to_dict("records"), strict=True):
        rows.setdefault(tuple(label), {})[heading] = _cell(row, digits[heading])
    if table.index.nlevels == 2:
        index = pd.Index([label for (label,) in rows], name=table.index.names[0])
    else:
        index = pd.MultiIndex.from_tuples(rows, names=table.index.names[:-1])
    return pd.DataFrame(list(rows.values()), index=index)


def _cell(row: Mapping[Hashable, float], digits: int) -> str:
    value, low, high = (f"{row[name]:+.{digits}f}" for name in ("difference", "low", "high"))
    return f"{value} [{low}, {high}]{'*' if row['p_holm'] < 0.05 else ''}"
