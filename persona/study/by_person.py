"""Age from several clips of a person."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from persona import calibration


def accumulated(
    predicted: pd.DataFrame, clips: pd.DataFrame, seconds: Sequence[float], draws: int = 20
) -> pd.DataFrame:
    """Age from several clips of a speaker: their predictions' mean, against the seconds they last.

    predicted : out-of-fold, columns of `predictions.COLUMNS`. clips : with a column `seconds`.
    seconds : clips of a speaker are drawn until they last as long. draws : a speaker and seed.

    Returns rows per length, seed, speaker and draw: `least` (of `seconds`), `seconds` (that
    the clips last), `seed`, `fold`, `speaker`, `age`, `predicted`, and `low` and `high`, the
    limits of an interval for this length that was fit on the other folds.
    """
    rows = predicted.merge(clips, on="clip", suffixes=("_predicted", ""))
    rng = np.random.default_rng(0)
    found = []
    for (seed, fold, speaker), own in rows.groupby(["seed", "fold", "speaker"]):
        ages, lengths = own["age_predicted"].to_numpy(), own["seconds"].to_numpy()
        for _ in range(draws):
            order = rng.permutation(len(own))
            until = np.cumsum(lengths[order])
            means = np.cumsum(ages[order]) / np.arange(1, len(own) + 1)
            ends = np.minimum(np.searchsorted(until, seconds), len(own) - 1)
            found += [
                (least, until[end], seed, fold, speaker, own["age"].iloc[0], means[end])
                for least, end in zip(seconds, ends, strict=True)
            ]
    names = ["least", "seconds", "seed", "fold", "speaker", "age", "predicted"]
    table = pd.DataFrame(found, columns=names).assign(low=np.nan, high=np.nan)
    for _, same in table.groupby(["least", "seed"]):
        for _, tested in same.groupby("fold"):
            rest = same.drop(tested.index)
            ages, true, people = (rest[n].to_numpy() for n in ("predicted", "age", "speaker"))
            interval = calibration.AgeInterval.fit(ages, true, people)
            limits = interval.limits(tested["predicted"].to_numpy())
            table.loc[tested.index, ["low", "high"]] = np.column_stack(limits)
    return table
