"""The loss: how the three are weighed, and what the age head says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persona import tables
from persona.ablations import SEEDS, Variant, run
from persona.ablations._scores import DRAWS, clear, listed, planned, value
from persona.evaluation import Sums
from persona.training import Settings

REPRESENTATION = "mfcc"
PLAIN = "standardised age, plain sum"
WEIGHINGS: dict[str, dict[str, Any]] = {
    "age in years, plain sum": {"recipe": "literal"},
    PLAIN: {},
    "age in years, uncertainty weighting": {"recipe": "literal", "weighing": "uncertainty"},
    "standardised age, uncertainty weighting": {"weighing": "uncertainty"},
    "age in years, GradNorm": {"recipe": "literal", "weighing": "gradnorm"},
    "standardised age, GradNorm": {"weighing": "gradnorm"},
}
"""Units of age and ways of weighing; the first is the paper's."""

AGE_HEADS: dict[str, dict[str, Any]] = {
    "age as a distribution": {"age_head": "distribution"},
    "age as ranks": {"age_head": "ordinal"},
}
"""Age heads other than a number, under the plain sum."""


def variants(representation: str = REPRESENTATION) -> list[Variant]:
    """Every weighing and age head, for unseen speakers."""
    kinds = WEIGHINGS | AGE_HEADS
    return [Variant(name, representation, **changed) for name, changed in kinds.items()]


def study(representation: str = REPRESENTATION, seeds: Sequence[int] = SEEDS) -> str:
    """Name of the results table; "loss" is shipped."""
    shipped = representation == REPRESENTATION and tuple(seeds) == SEEDS
    return "loss" if shipped else "-".join(["loss", representation, *map(str, seeds)])


def make(
    jobs: int | None = None,
    representation: str = REPRESENTATION,
    seeds: Sequence[int] = SEEDS,
    settings: Settings | None = None,
) -> Path:
    """Train what is missing, a minute on two cores."""
    name = study(representation, seeds)
    return run(name, variants(representation), seeds, settings, jobs=jobs)


def compared(counts: Mapping[str, Sums], draws: int = DRAWS) -> pd.DataFrame:
    """Every other loss against `PLAIN`: a table as of `_scores.planned`."""
    return planned(counts, {(name,): (name, PLAIN) for name in counts if name != PLAIN}, draws)


def in_short(counts: Mapping[str, Sums], differences: pd.DataFrame, baseline: Sums) -> str:
    """The chapter's closing sentence; `baseline` ignores the voice."""
    paper = differences.loc[next(iter(WEIGHINGS))]
    emotion, gender, age = (row for _, row in paper.iterrows())
    gained = [name for name, row in differences.iterrows() if clear(row) and _better(name, row)]
    better = [f"{', '.join(name[:-1])} ({name[-1]})" for name in gained]  # type: ignore[index]
    best = min(counts, key=lambda name: value(counts[name], "age_rmse"))
    return (
        "on unseen speakers, summing age in years as the paper writes it changes emotion by "
        f"{emotion['difference']:+.1f} points, gender by {gender['difference']:+.1f} points and "
        f"age RMSE by {age['difference']:+.1f} years against standardised age; better than the "
        f"plain sum of standardised losses beyond chance: {listed(better)}; the lowest age RMSE is "
        f"{value(counts[best], 'age_rmse'):.1f} years ({best}), where ignoring the voice gives "
        f"{value(baseline, 'age_rmse'):.1f}."
    )


def _better(name: Any, row: pd.Series) -> bool:
    lower_is_better = name[-1] == tables.MEASURES["age_rmse"][0]
    return bool((row["difference"] < 0) == lower_is_better)
