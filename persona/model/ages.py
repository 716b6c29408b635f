"""Age, the nearer to the truth the more of a person was heard.

The mean of a person's windows errs less at random than one of them, but shrinks towards the middle
as much as one does. So a line is fitted to people's pooled ages, and an interval around it, for
pools of several sizes; a single window keeps its answer.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from persona import calibration
from persona.audio import speech
from persona.calibration import AgeInterval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SIZES = (2, 4, 8, 16, 32)
"""Windows of a person that are pooled; between two sizes lines are drawn over the logarithm."""

FEWEST = 20
"""People whom a line is fitted to; of fewer there is none, and every size keeps the mean."""


def answered(
    card: dict[str, Any], age: float, windows: int, seconds: float
) -> tuple[float, float, float]:
    """Age and the limits of its interval, in years.

    age : the mean over windows. windows : how many of them are different. seconds : of speech;
    below `speech.LITTLE` the interval is wider by the square root of what is missing, as the mean
    of fewer frames is less certain.
    """
    wider = math.sqrt(max(1.0, speech.LITTLE / seconds))
    single = {"windows": 1, "slope": 1.0, "offset": 0.0, **card["age_interval"]}
    lines = [single, *card.get("age_by_windows", [])]
    ages = [line["offset"] + line["slope"] * age for line in lines]
    limits = [
        AgeInterval.of(line).limits(own, wider) for own, line in zip(ages, lines, strict=True)
    ]
    sizes = np.log2([line["windows"] for line in lines])
    low, high = np.array(limits, float).T
    found = (float(np.interp(math.log2(windows), sizes, each)) for each in (ages, low, high))
    return tuple(max(0.0, years) for years in found)  # type: ignore[return-value]


def by_windows(rows: "DataFrame") -> list[dict[str, Any]]:
    """A line and an interval for each of `SIZES`, as a card holds them.

    rows : out-of-fold predictions of clips, each a window; columns speaker, fold, age and
        age_predicted. Errors and coverage are of people whom line and interval were not fitted to.
    """
    known = rows[rows["age"].notna()]
    if len(known.drop_duplicates(["speaker", "fold"])) > known["speaker"].nunique():
        return []  # folds that share speakers cannot say what strangers' ages would be
    shuffled = known.sample(frac=1, random_state=0)  # a person's emotions, mixed
    found = []
    for size in SIZES:
        pools = _pooled(shuffled, size)
        if pools["speaker"].nunique() < FEWEST:
            break
        slope, offset = _line(pools)
        interval = _interval(pools, slope, offset)
        found.append({
            "windows": size,
            "slope": slope,
            "offset": offset,
            **{name: getattr(interval, name).tolist() for name in ("ages", "below", "above")},
            **_held_out(pools),
        })  # fmt: skip
    return found


def _pooled(rows: "DataFrame", size: int) -> "DataFrame":
    """Means of the predicted ages of `size` clips of a speaker; what is left over goes."""
    number = rows.groupby("speaker").cumcount() // size
    pools = rows.groupby(["speaker", number], sort=False)
    found = pools.agg(
        age_predicted=("age_predicted", "mean"), age=("age", "first"), fold=("fold", "first"),
        clips=("age", "size"),
    )  # fmt: skip
    return found[found["clips"] == size].reset_index("speaker").reset_index(drop=True)


def _line(pools: "DataFrame") -> tuple[float, float]:
    """Slope and offset of true ages over pooled ones, speakers weighing alike."""
    weights = calibration.weights_of_speakers(pools["speaker"].to_numpy())
    slope, offset = np.polyfit(pools["age_predicted"], pools["age"], 1, w=np.sqrt(weights))
    return float(slope), float(offset)


def _interval(pools: "DataFrame", slope: float, offset: float) -> AgeInterval:
    moved = offset + slope * pools["age_predicted"].to_numpy(float)
    return AgeInterval.fit(moved, pools["age"].to_numpy(float), pools["speaker"].to_numpy())


def _held_out(pools: "DataFrame") -> dict[str, Any]:
    """Errors with and without the line, and coverage, of folds that it was not fitted to."""
    import pandas as pd

    moved = pd.concat(_moved(pools))
    inside = (moved["low"] <= moved["age"]) & (moved["age"] <= moved["high"])
    bands = np.digitize(moved["age"], [low for low, _ in calibration.AGE_BANDS[1:]])
    return {
        "error": _error(moved["moved"] - moved["age"], moved["speaker"]),
        "error_of_mean": _error(moved["age_predicted"] - moved["age"], moved["speaker"]),
        "width": float((moved["high"] - moved["low"]).mean()),
        "coverage": [
            float(inside[bands == band].groupby(moved["speaker"]).mean().mean())
            for band in np.unique(bands)
        ],
    }  # fmt: skip


def _moved(pools: "DataFrame") -> Iterator["DataFrame"]:
    for fold in pools["fold"].unique():
        rest, tested = pools[pools["fold"] != fold], pools[pools["fold"] == fold]
        slope, offset = _line(rest)
        moved = offset + slope * tested["age_predicted"]
        low, high = _interval(rest, slope, offset).limits(moved.to_numpy(float))
        yield tested.assign(moved=moved, low=low, high=high)


def _error(errors: "Series", speakers: "Series") -> float:
    """Root mean squared error in years, speakers weighing alike."""
    return float(np.sqrt((errors**2).groupby(speakers).mean().mean()))
