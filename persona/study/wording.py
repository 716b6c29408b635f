"""Significant differences in words, for the sentences of chapters."""

import numpy as np
import pandas as pd

from persona.study.terms import METRICS, listed, number


def verdicts(table: pd.DataFrame) -> pd.Series:
    """Of each row of `comparison.compare`: 1 better, -1 worse, 0 not significant."""
    higher = [METRICS[metric].higher_is_better for metric in table.index.get_level_values(1)]
    better = (table["difference"] > 0) == higher
    return pd.Series(np.where(table["clear"], np.where(better, 1, -1), 0), table.index)


def changes(table: pd.DataFrame) -> str:
    """The significant differences, e.g. "emotion by -2.9 points (MFCC)"; "nothing" without any.

    What is in brackets is the label, or the last part of one that has several.
    """
    found: dict[str, list[str]] = {}
    clear = table[table["clear"]]
    labels, metrics = (clear.index.get_level_values(level) for level in (0, 1))
    for label, metric, difference in zip(labels, metrics, clear["difference"], strict=True):
        measure = METRICS[metric]
        change = number(difference / measure.factor, metric, "+")
        name = label[-1] if isinstance(label, tuple) else label
        found.setdefault(metric, []).append(f"{change} {measure.unit} ({name})")
    words = [f"{METRICS[m].heading.split(',')[0]} by {listed(each)}" for m, each in found.items()]
    return ", ".join(words) or "nothing"
