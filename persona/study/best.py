"""The recipe of the best models, the one that ships, and age from several clips of a person."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from persona import calibration
from persona.evaluation import Sums
from persona.experiment import Experiment
from persona.training import Settings

RECIPE = Settings(
    epochs=12,
    schedule="one-cycle",
    patience=0,
    weight_decay=0.05,
    dropout=0.5,
    input_dropout=0.25,
    age_head="linear",
    age_dropout=0.6,
    label_smoothing=0.1,
    hidden=(256,),
    weights=(1.0, 0.3, 0.3),
)
"""One wide hidden layer with dropout, no early stopping, and age past the trunk: hidden layers
learn 91 speakers by heart, a linear map under a ridge penalty has less room to."""

SEEDS = (1, 2, 3)
"""Deals of the folds on which the best models are tested."""

OUTSIDE = ("crema-d-degraded", "speechocean762")
"""Trained on besides: a degraded copy of every clip, and other people's ages."""

BLOCKS = "campplus_block2+campplus_block3"
"""Two inner layers of CAM++: each one's mean and deviation over the clip."""

ENDS = f"campplus_block2_ends+{BLOCKS}+campplus_block3_ends"
PARTS = ((0, 4096), (2048, 6144), (4096, 8192))
"""What the app listens to: the same layers, and what they do in the first and the last third of the
clip. One network each listens to the second block and its ends, to both blocks, and to the third
block and its ends."""

TESTED = ("crema-d", "crema-d-degraded-test", "emodb")
"""Where networks are tested at home, outside the studio and abroad."""


ADULT = 15
"""Years. A boy's voice is as high as a woman's: networks that learnt younger people's gender called
women in EmoDB male."""


def adult_genders(clips: pd.DataFrame) -> pd.DataFrame:
    """The same clips; of children, gender is unknown."""
    return clips.assign(gender=clips["gender"].where(clips["age"] >= ADULT, None))


def recipe(
    representation: str, networks: int = 1, label: str = "", **changes: object
) -> Experiment:
    """`RECIPE` on feature tables, for unseen speakers; `changes` as of `Experiment.but`."""
    settings = replace(RECIPE, networks=networks)
    plain = Experiment(representation, seeds=SEEDS, settings=settings, label=label)
    return plain.but(**changes)


def shipped() -> Experiment:
    """The experiment whose networks, trained on every clip, are the app's model.

    Copies and other people more than double its clips, so that it takes fewer epochs.
    """
    return recipe(
        ENDS,
        parts=PARTS,
        besides=OUTSIDE,
        epochs=8,
        relabel=adult_genders,
        label="the model that ships",
    )


def by_speaker(counts: Sums) -> Sums:
    """The same with one age per speaker and seed: the mean of what was predicted of their clips."""
    n, true, predicted = np.moveaxis(counts.age[..., :3], -1, 0)
    t, p = true / n, predicted / n
    moments = [np.ones_like(t), t, p, t * t, p * p, t * p, abs(p - t)]
    return replace(counts, age=np.stack(moments, axis=-1))


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
