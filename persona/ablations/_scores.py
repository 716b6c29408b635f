"""Tables of values and of planned comparisons, as chapters print them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from persona import evaluation, tables
from persona.evaluation import Sums

DRAWS = 10_000
"""Bootstrap samples: with n comparisons the smallest corrected p is 2 n / DRAWS."""


def scores(counts: Mapping[Any, Sums]) -> pd.DataFrame:
    """Values with 95 % intervals over speakers, a row per variant and a column per measure.

    counts : by row label; labels that are tuples become levels of the index.
    """
    rows = {}
    for name, of_variant in counts.items():
        found = evaluation.score(of_variant)
        rows[name] = {
            heading: tables.cell(found, metric)
            for metric, (heading, _, _) in tables.MEASURES.items()
        }
    return pd.DataFrame(rows).T


def value(counts: Sums, metric: str) -> float:
    """A metric of `evaluation.METRICS` over all speakers, seeds averaged."""
    everyone = np.ones((1, len(counts.speakers)))
    return float(evaluation.metrics(counts, everyone)[metric][0])


def planned(
    counts: Mapping[str, Sums],
    pairs: Mapping[tuple[str, ...], Sequence[str]],
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Paired differences by a bootstrap over speakers, Holm-corrected over all of them.

    pairs : row label to the names of two variants, followed by metrics (keys of
        `tables.MEASURES`) where not all of them are compared.

    Returns a row per label and measure (the last level of the index): `difference` (first -
    second), its 95 % interval `low` and `high` (per cent, or years), `p` and `p_holm`.
    """
    rows = {}
    for label, (first, second, *metrics) in pairs.items():
        paired = evaluation.difference(counts[first], counts[second], draws)
        for metric in metrics or tables.MEASURES:
            heading, factor, _ = tables.MEASURES[metric]
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
    """`planned` as it is printed: a column per measure, "*" where it is `clear`."""
    digits = {heading: number for heading, _, number in tables.MEASURES.values()}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for (*label, heading), (_, row) in zip(table.index, table.iterrows(), strict=True):
        value, low, high = (
            f"{row[part]:+.{digits[heading]}f}" for part in ("difference", "low", "high")
        )
        told = f"{value} [{low}, {high}]{'*' if clear(row) else ''}"
        rows.setdefault(tuple(label), {})[heading] = told
    if table.index.nlevels == 2:
        index = pd.Index([label for (label,) in rows], name=table.index.names[0])
    else:
        index = pd.MultiIndex.from_tuples(rows, names=table.index.names[:-1])
    return pd.DataFrame(list(rows.values()), index=index)


def shown(name: str) -> str:
    """A code name, or several joined by "+", as readers see it."""
    return "+".join(tables.NAMES_SHOWN.get(part, part) for part in name.split("+"))


def clear(row: pd.Series) -> bool:
    """Whether a difference is told from chance after Holm's correction."""
    return bool(row["p_holm"] < 0.05)


def changes(table: pd.DataFrame, label: str) -> str:
    """The measures that a row label changes clearly on some representation, aloud.

    table : of `planned`, indexed by representation, label and measure.

    E.g. "emotion by -2.9 points (MFCC) and -0.2 points (d-vector, may be chance)"; "nothing"
    without any.
    """
    rows = table[table.index.get_level_values(1) == label]
    said = []
    for heading, _, digits in tables.MEASURES.values():
        of_measure = rows[rows.index.get_level_values(2) == heading]
        if (of_measure["p_holm"] < 0.05).any():
            unit = "points" if heading.endswith("%") else "years"
            each = [
                f"{row['difference']:+.{digits}f} {unit} "
                f"({name[0]}{'' if clear(row) else ', may be chance'})"  # type: ignore[index]
                for name, row in of_measure.iterrows()
            ]
            said.append(f"{without_unit(heading)} by {listed(each)}")
    return ", ".join(said) or "nothing"


def without_unit(heading: str) -> str:
    """A heading of `tables.MEASURES` in a sentence: "emotion", "age RMSE"."""
    return heading.removesuffix(" %").removesuffix(", years")


def listed(words: list[str]) -> str:
    """a, b and c; "none" without any."""
    if not words:
        return "none"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
