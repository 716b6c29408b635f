"""The loss: how the three are weighed, and what the age head says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persona import tables
from persona.ablations import Variant, run
from persona.ablations._scores import (
    DRAWS,
    changes,
    clear,
    listed,
    planned,
    shown,
    value,
    without_unit,
)
from persona.evaluation import Sums

REPRESENTATIONS = ("mfcc", "dvector")
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

LOSSES = WEIGHINGS | AGE_HEADS


def variants(representations: Sequence[str] = REPRESENTATIONS) -> list[Variant]:
    """Every weighing and age head, for unseen speakers."""
    return [
        Variant(f"{loss}, {name}", name, **changed)
        for name in representations
        for loss, changed in LOSSES.items()
    ]


def make(jobs: int | None = None) -> Path:
    """Train what is missing, three minutes on two cores."""
    return run("loss", variants(), jobs=jobs)


def compared(
    counts: Mapping[str, Sums], representations: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """Every other loss against `PLAIN`: a table as of `_scores.planned`."""
    pairs: dict[tuple[str, ...], tuple[str, ...]] = {
        (shown(name), loss): (f"{loss}, {name}", f"{PLAIN}, {name}")
        for name in representations
        for loss in LOSSES
        if loss != PLAIN
    }
    return planned(counts, pairs, draws).rename_axis(["representation", "loss", "measure"])


def in_short(counts: Mapping[str, Sums], differences: pd.DataFrame, baseline: Sums) -> str:
    """The chapter's closing sentence; `baseline` ignores the voice."""
    representations = differences.index.unique("representation")
    lowest = min(counts, key=lambda name: value(counts[name], "age_rmse"))
    loss, _, representation = lowest.rpartition(", ")
    return (
        "on unseen speakers, the paper's sum with age in years changes "
        f"{changes(differences, next(iter(WEIGHINGS)))} beyond chance against standardised age; "
        f"better than the plain standardised sum beyond chance on {listed([*representations])}: "
        f"{_better_everywhere(differences)}; the lowest age RMSE is "
        f"{value(counts[lowest], 'age_rmse'):.1f} years ({loss}, {shown(representation)}), where "
        f"ignoring the voice gives {value(baseline, 'age_rmse'):.1f}."
    )


def _better_everywhere(differences: pd.DataFrame) -> str:
    """The losses, and in which measures they clearly beat `PLAIN` on every representation."""
    better = [clear(row) and _better(name, row) for name, row in differences.iterrows()]
    everywhere = pd.Series(better, differences.index).groupby(level=[1, 2], sort=False).all()
    gains: dict[str, list[str]] = {}
    for loss, heading in everywhere.index[everywhere]:
        name = loss.removeprefix("standardised age, ")
        gains.setdefault(name, []).append(without_unit(heading))
    return listed([f"{name} ({listed(measures)})" for name, measures in gains.items()])


def _better(name: Any, row: pd.Series) -> bool:
    lower_is_better = name[-1] == tables.MEASURES["age_rmse"][0]
    return bool((row["difference"] < 0) == lower_is_better)
