"""Tables of values and of planned comparisons, as chapters print them."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from persona import evaluation, tables
from persona.evaluation import Sums

DRAWS = 10_000
"""Bootstrap samples where many comparisons are corrected together."""


def scores(counts: Mapping[str, Sums]) -> pd.DataFrame:
    """Values with 95 % intervals over speakers, a row per variant and a column per measure."""
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
    comparisons: Iterable[tuple[tuple[str, ...], Sums, Sums, str]], draws: int = DRAWS
) -> pd.DataFrame:
    """Paired differences by a bootstrap over speakers, Holm-corrected over all of them.

    comparisons : label, the two variants and the metric (a key of `tables.MEASURES`).

    Returns a row per label and measure: `difference` (first - second), its 95 % interval `low`
    and `high` (per cent, or years), `p` and `p_holm`.
    """
    rows = {}
    for label, first, second, metric in comparisons:
        heading, factor, _ = tables.MEASURES[metric]
        found = evaluation.difference(first, second, draws).loc[metric]
        rows[(*label, heading)] = {
            "difference": factor * found["difference"],
            "low": factor * found["low"],
            "high": factor * found["high"],
            "p": found["p"],
        }
    table = pd.DataFrame(rows).T
    table["p_holm"] = evaluation.holm(table["p"].to_numpy())
    return table


def clear(row: pd.Series) -> bool:
    """Whether a difference is told from chance after Holm's correction."""
    return bool(row["p_holm"] < 0.05)


def listed(words: list[str]) -> str:
    """a, b and c; "none" without any."""
    if not words:
        return "none"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
