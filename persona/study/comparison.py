"""Scores of experiments with intervals, and planned comparisons between them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from persona import evaluation
from persona.errors import PersonaError, known
from persona.evaluation import Sums
from persona.study.terms import MEASURES, METRICS, interval, p_value

DRAWS = 10_000
"""Bootstrap samples of speakers in a comparison."""

ALPHA = 0.05
"""Corrected p below which a difference counts as told from chance."""


def value(counts: Sums, metric: str) -> float:
    """A metric of `evaluation.METRICS` over all speakers, seeds averaged."""
    everyone = np.ones((1, len(counts.speakers)))
    return float(evaluation.metrics(counts, everyone)[metric][0])


def tidy(counts: Mapping[tuple[str, ...], Sums], names: Sequence[str]) -> pd.DataFrame:
    """A row per experiment and metric, with a 95 % interval over speakers.

    counts : sums by the values of the columns `names`.

    Returns the columns `names`, `metric` (of `evaluation.METRICS`), `value`, `low` and `high`, in
    the unit of `evaluation`.
    """
    columns = [*names, "metric", "value", "low", "high"]
    rows = [
        (*key, metric, *found)
        for key, sums in counts.items()
        for metric, *found in evaluation.score(sums).itertuples()
    ]
    return pd.DataFrame(rows, columns=columns)


def pivot(
    rows: pd.DataFrame,
    index: Sequence[str],
    measures: Sequence[str] = tuple(MEASURES.values()),
) -> pd.DataFrame:
    """A frame of `tidy` as it is printed: values with intervals, a column per measure.

    index : columns that name a row of the table, which keeps their values in order of appearance.
    """
    for measure in measures:
        known("measure", measure, METRICS)
    rows = rows[rows["metric"].isin(measures)]
    cells = rows[["metric", "value", "low", "high"]].itertuples(index=False)
    printed = [interval(numbers, metric) for metric, *numbers in cells]
    order = {name: pd.Categorical(rows[name], rows[name].unique()) for name in index}
    columns = pd.Categorical(rows["metric"], list(measures))
    table = rows.assign(**order, metric=columns, printed=printed).pivot_table(
        "printed", list(index), "metric", aggfunc="first", observed=True
    )
    table.columns = pd.Index([METRICS[str(metric)].heading for metric in table])
    return table.reset_index().astype(dict.fromkeys(index, object)).set_index(list(index))


def score(
    counts: Mapping[Any, Sums], measures: Sequence[str] = tuple(MEASURES.values())
) -> pd.DataFrame:
    """Values with 95 % intervals over speakers, a row per entry and a column per measure.

    counts : sums by row label; labels that are tuples become levels of the index.
    measures : metrics of `evaluation.METRICS`.
    """
    keys = {label: label if isinstance(label, tuple) else (label,) for label in counts}
    names = [f"level {number}" for number in range(len(next(iter(keys.values()))))]
    rows = tidy({keys[label]: sums for label, sums in counts.items()}, names)
    return pivot(rows, names, measures).rename_axis([None] * len(names))


def as_table(rows: dict[Any, dict[str, str]]) -> pd.DataFrame:
    """Rows by label as a table; labels that are tuples become levels of its index."""
    table = pd.DataFrame.from_dict(rows, orient="index")
    if rows and isinstance(next(iter(rows)), tuple):
        table.index = pd.MultiIndex.from_tuples(rows)
    return table


def compare(
    pairs: Mapping[Hashable, tuple[Sums, Sums]],
    measures: Sequence[str] = tuple(MEASURES.values()),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Planned differences, first - second, by a bootstrap over shared speakers.

    p values are corrected by Holm's method over the whole table.

    Returns a row per label and metric: `difference`, its 95 % interval `low` and `high` (in the
    unit of the metric as shown), `p`, `p_holm`, and `clear`, whether p_holm is below 0.05.

    Raises `PersonaError` where so few draws could not tell anything from chance.
    """
    for measure in measures:
        known("measure", measure, METRICS)
    enough(draws, 2 * len(pairs) * len(measures))
    rows = []
    for label, (first, second) in pairs.items():
        paired = evaluation.difference(first, second, draws)
        for metric in measures:
            found, factor = paired.loc[metric], METRICS[metric].factor
            difference, low, high = factor * found[["difference", "low", "high"]]
            rows.append((label, metric, difference, low, high, found["p"]))
    return corrected(rows)


def enough(draws: int, tests: int, what: str = "draws") -> None:
    """Refuse draws so few that nothing could be told from chance.

    tests : those that are corrected together, counted twice where a p value has two sides that
        are drawn apart.

    Raises `PersonaError`, saying how many draws are enough.
    """
    if (smallest := tests / (draws + 1)) > ALPHA:
        raise PersonaError(
            f"{draws:,} {what} cannot tell any difference from chance (the smallest corrected p "
            f"would be {smallest:.2g}): take {int(tests / ALPHA):,} or more."
        )


def corrected(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """A table as of `compare` from label, metric, difference, low, high and p of its rows."""
    columns = ["label", "metric", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns).set_index(["label", "metric"])
    table["p_holm"] = evaluation.holm(table["p"].to_numpy())
    return table.assign(clear=table["p_holm"] < ALPHA)


def differences(table: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """A table of `compare` as it is printed: difference with interval, and corrected p."""
    rows: dict[Any, dict[str, str]] = {}
    for (label, metric), (_, row) in zip(table.index, table.iterrows(), strict=True):
        measure = METRICS[metric]
        numbers = row[["difference", "low", "high"]].astype(float) / measure.factor
        told = interval(numbers, metric, "+") + ("*" if row["clear"] else "")
        rows.setdefault(label, {})[measure.heading] = told
        rows[label][f"p ({measure.heading.split(',')[0]})"] = p_value(
            row["p"], draws, row["p_holm"]
        )
    return as_table(rows)
