"""Out-of-fold predictions: the single source of every accuracy, interval and figure.

One row per clip and seed: what a network that was not trained on that clip predicts of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from persona.labels import EMOTIONS, GENDERS

PROBABILITIES = [f"p_{emotion}" for emotion in EMOTIONS]
"""Columns of the emotion probabilities, in the order of `labels.EMOTIONS`."""

COLUMNS = ["clip", "seed", "fold", *PROBABILITIES, "p_female", "age"]
"""`age` in years, probabilities in float32; `fold` is the one the clip was tested in. A corpus of
other emotions has columns of those."""


def emotions(rows: pd.DataFrame) -> tuple[str, ...]:
    """Emotion classes whose probabilities are columns of predictions, in their order."""
    return tuple(c[2:] for c in map(str, rows) if c.startswith("p_") and c != "p_female")


def frame(
    predicted: Any, clips: np.ndarray, seed: int, fold: int, classes: Sequence[str] = EMOTIONS
) -> pd.DataFrame:
    """Rows (columns `COLUMNS`) of what was predicted of `clips`, names of shape (n,).

    predicted : `network.Predicted`, or anything with `emotion` (n, C), `gender` (n, 2) and `age`
        (n,), arrays or tensors. classes : names of the C classes.
    """
    emotion, gender, age = (np.asarray(part, np.float32) for part in predicted)
    columns = {f"p_{name}": p for name, p in zip(classes, emotion.T, strict=True)}
    keys = {"clip": clips, "seed": np.int16(seed), "fold": np.int8(fold)}
    female = gender[:, GENDERS.index("female")]
    return pd.DataFrame({**keys, **columns, "p_female": female, "age": age})


def averaged(rows: pd.DataFrame) -> pd.DataFrame:
    """The seeds' predictions of every clip averaged, as one seed; `fold` is the first seed's."""
    columns = [*(f"p_{name}" for name in emotions(rows)), "p_female", "age"]
    means = rows.groupby("clip", as_index=False)[columns].mean()
    first = rows.loc[rows["seed"] == rows["seed"].min(), ["clip", "fold"]]
    return means.assign(seed=0).merge(first, on="clip")[["clip", "seed", "fold", *columns]]
