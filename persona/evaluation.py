"""Metrics, intervals and tests, all computed from out-of-fold predictions.

Every metric here is a function of sums over clips (confusion counts, moments of age), so each
speaker is reduced to such sums once, and a bootstrap over speakers is one matrix product.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from persona import folds
from persona.errors import PersonaError
from persona.labels import EMOTIONS, GENDERS, TASKS, emotion_classes
from persona.predictions import emotions

METRICS = (
    "emotion_accuracy", "emotion_uar", "emotion_f1",
    "gender_accuracy", "gender_uar", "gender_f1",
    "age_rmse", "age_mae", "age_ccc", "age_r",
)  # fmt: skip
"""Accuracy, unweighted average recall and macro-F1 (fractions); RMSE and MAE (years); CCC;
Pearson's r, 0 where one age is predicted for all. NaN where no clip has the label."""

DRAWS = 1000
"""Bootstrap samples of speakers."""

FEWEST = 10
"""Speakers of whom a report gives an interval. From 5, who deviate normally, what is called a 95 %
interval holds in 83 of 100 cases, from 10 in about 88, from 20 in 94."""


@dataclass(frozen=True)
class Sums:
    """Sufficient statistics per seed k and speaker s.

    emotion : confusion counts, shape (K, S, C, C), rows the label and columns the prediction.
    gender : the same, shape (K, S, 2, 2).
    age : shape (K, S, 7): n and the sums of t, p, t^2, p^2, t p, |p - t|, for label t and
        prediction p in years.
    """

    emotion: np.ndarray
    gender: np.ndarray
    age: np.ndarray
    speakers: np.ndarray


def sums(predictions: pd.DataFrame, clips: pd.DataFrame) -> Sums:
    """Reduce the predictions of one experiment (any number of seeds) to sums per speaker.

    predictions : columns of `predictions.COLUMNS`. clips : columns clip, speaker, emotion, gender
    and age; a label that is missing, or no class of the predictions, leaves a clip out of its task.
    """
    rows = predictions.merge(
        clips[["clip", "speaker", "emotion", "gender", "age"]],
        on="clip", suffixes=("_predicted", ""), validate="many_to_one",
    )  # fmt: skip
    seed = np.unique(rows["seed"], return_inverse=True)[1]
    speakers, speaker = _ordered(rows["speaker"].to_numpy())
    shape = (seed.max() + 1, len(speakers))
    names = emotions(predictions)
    confusion = np.zeros((*shape, len(names), len(names)))
    counts = Sums(confusion, np.zeros((*shape, 2, 2)), np.zeros((*shape, 7)), speakers)
    emotion = rows[[f"p_{name}" for name in names]].to_numpy().argmax(axis=1)
    gender = np.where(rows["p_female"].to_numpy() >= 0.5, 0, 1)
    for into, classes, label, predicted in (
        (counts.emotion, names, rows["emotion"], emotion),
        (counts.gender, GENDERS, rows["gender"], gender),
    ):
        true = pd.Categorical(label, classes).codes
        known = true >= 0
        np.add.at(into, (seed[known], speaker[known], true[known], predicted[known]), 1)
    t, p = rows["age"].to_numpy(float), rows["age_predicted"].to_numpy(float)
    moments = np.stack([np.ones_like(t), t, p, t * t, p * p, t * p, abs(p - t)], axis=-1)
    known = np.isfinite(t)
    np.add.at(counts.age, (seed[known], speaker[known]), moments[known])
    return counts


def _ordered(speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names that occur, by number where all are numbers, and which of them each row has."""
    names, rows = np.unique(speakers, return_inverse=True)
    texts = [str(name) for name in names]
    numbers = all(text.isdecimal() for text in texts)
    order = sorted(range(len(texts)), key=lambda i: (int(texts[i]) if numbers else 0, texts[i]))
    return names[order], np.argsort(order)[rows]


def joined(of_tasks: Mapping[str, Sums]) -> Sums:
    """Sums whose every task comes from another experiment, e.g. of single-task networks."""
    emotion, gender, age = (of_tasks[task] for task in TASKS)
    return replace(emotion, gender=gender.gender, age=age.age)


def by_speaker(counts: Sums) -> Sums:
    """The same with one age per speaker and seed: the mean of what was predicted of their clips."""
    n, true, predicted = np.moveaxis(counts.age[..., :3], -1, 0)
    heard = n > 0
    t, p = true / np.where(heard, n, 1), predicted / np.where(heard, n, 1)
    moments = [heard, t, p, t * t, p * p, t * p, abs(p - t)]
    return replace(counts, age=np.stack(moments, axis=-1).astype(float))


def metrics(counts: Sums, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric, averaged over seeds, for each row of speaker `weights`, shape (B, S)."""
    emotion = np.einsum("bs,ksij->bkij", weights, counts.emotion)
    gender = np.einsum("bs,ksij->bkij", weights, counts.gender)
    n, t, p, tt, pp, tp, absolute = np.moveaxis(
        np.einsum("bs,ksm->bkm", weights, counts.age), -1, 0
    )
    n = np.where(n > 0, n, np.nan)
    squared = np.maximum(tt - 2 * tp + pp, 0)  # rounding may leave it below
    covariance = tp / n - t * p / n**2
    of_age, of_predicted = tt / n - (t / n) ** 2, pp / n - (p / n) ** 2
    values = {
        **_classification("emotion", emotion),
        **_classification("gender", gender),
        "age_rmse": np.sqrt(squared / n),
        "age_mae": absolute / n,
        "age_ccc": 2 * covariance / (of_age + of_predicted + (t / n - p / n) ** 2),  # Lin (1989)
        "age_r": covariance / np.sqrt(np.maximum(of_age * of_predicted, 1e-12)),
    }
    return {name: value.mean(axis=1) for name, value in values.items()}


def _classification(task: str, confusion: np.ndarray) -> dict[str, np.ndarray]:
    """From confusion counts of shape (..., C, C); classes that do not occur are left out."""
    hits = np.einsum("...ii->...i", confusion)
    labelled, predicted = confusion.sum(-1), confusion.sum(-2)
    occurs = labelled > 0
    recall = np.where(occurs, hits / np.maximum(labelled, 1), np.nan)
    f1 = np.where(occurs, 2 * hits / np.maximum(labelled + predicted, 1), np.nan)
    return {
        f"{task}_accuracy": hits.sum(-1) / np.where(occurs.any(-1), labelled.sum(-1), np.nan),
        f"{task}_uar": _mean_of_known(recall),
        f"{task}_f1": _mean_of_known(f1),
    }


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(-1) / np.where(known.any(-1), known.sum(-1), np.nan)


def resample(speakers: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each speaker is in each bootstrap sample, shape (draws, speakers)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(speakers, np.full(speakers, 1 / speakers), size=draws).astype(float)


def score(counts: Sums, draws: int = DRAWS) -> pd.DataFrame:
    """Every metric with its 95 % bootstrap interval over speakers, seeds averaged.

    Returns a frame indexed by metric with the columns `value`, `low` and `high`.
    """
    speakers = len(counts.speakers)
    value = metrics(counts, np.ones((1, speakers)))
    drawn = metrics(counts, resample(speakers, draws))
    rows = {m: (value[m][0], *interval(drawn[m])) for m in METRICS}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """Limits of the 95 % interval of a number from its bootstrap samples, shape (draws,).

    Samples in which no clip has the label are NaN and do not count.
    """
    known = drawn[np.isfinite(drawn)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return low, high


def tested(drawn: np.ndarray) -> tuple[float, float, float]:
    """Interval of a difference, as of `interval`, and its two-sided bootstrap p value.

    The p value is twice the smaller tail around 0, and never 0.
    """
    known = drawn[np.isfinite(drawn)]
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(known) + 1)) if len(known) else np.nan
    return *interval(known), p


def evaluate(predictions: pd.DataFrame, clips: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """`score` of the predictions of one configuration."""
    return score(sums(predictions, clips), draws)


def difference(first: Sums, second: Sums, draws: int = DRAWS) -> pd.DataFrame:
    """Paired difference `first - second` of every metric, by a bootstrap over shared speakers.

    Returns a frame indexed by metric: `difference`, its 95 % interval `low` and `high`, and a
    two-sided bootstrap `p` value, as of `tested`. NaN where no clip has the label.
    """
    if list(first.speakers) != list(second.speakers):
        raise PersonaError("A paired comparison needs predictions for the same speakers.")

    def differences(weights: np.ndarray) -> dict[str, np.ndarray]:
        a, b = metrics(first, weights), metrics(second, weights)
        return {metric: a[metric] - b[metric] for metric in METRICS}

    speakers = len(first.speakers)
    value, drawn = differences(np.ones((1, speakers))), differences(resample(speakers, draws))
    rows = {m: (value[m][0], *tested(drawn[m])) for m in METRICS}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["difference", "low", "high", "p"])


def sum_columns(classes: Sequence[str] = EMOTIONS) -> list[str]:
    """Names of the sums, as columns of a results table."""
    return [
        *(f"{label}_as_{predicted}" for label in classes for predicted in classes),
        *(f"{label}_as_{predicted}" for label in GENDERS for predicted in GENDERS),
        "clips", "age", "predicted", "age_age", "predicted_predicted", "age_predicted",
        "absolute_error",
    ]  # fmt: skip


SUM_COLUMNS = sum_columns()


def frame(counts: Sums, classes: Sequence[str] = EMOTIONS) -> pd.DataFrame:
    """A row per seed (numbered from 0) and speaker, the sums in the columns `sum_columns`."""
    seeds, speakers = counts.age.shape[:2]
    parts = (counts.emotion, counts.gender, counts.age)
    values = np.hstack([part.reshape(seeds * speakers, -1) for part in parts])
    keys = {
        "seed": np.repeat(np.arange(seeds), speakers),
        "speaker": np.tile(counts.speakers.astype(str), seeds),
    }
    return pd.DataFrame(keys).join(pd.DataFrame(values, columns=sum_columns(classes)))


def from_frame(rows: pd.DataFrame, classes: Sequence[str] = EMOTIONS) -> Sums:
    """The sums that `frame` wrote, whatever the order of its rows."""
    columns, n = sum_columns(classes), len(classes)
    speakers, speaker = _ordered(rows["speaker"].to_numpy())
    order = np.lexsort([speaker, rows["seed"].to_numpy()])
    values = rows[columns].to_numpy()[order].reshape(-1, len(speakers), len(columns))
    emotion, gender, age = np.split(values, [n * n, n * n + 4], axis=-1)
    shape = values.shape[:2]
    return Sums(emotion.reshape(*shape, n, n), gender.reshape(*shape, 2, 2), age, speakers)


def holm(p: ArrayLike) -> np.ndarray:
    """p values corrected for many comparisons by Holm's step-down method (1979).

    NaN, a comparison that could not be made, stays NaN and does not count.
    """
    values = np.asarray(p, float)
    made = np.flatnonzero(np.isfinite(values))
    order = made[np.argsort(values[made])]
    stepped = np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1))
    corrected = np.full_like(values, np.nan)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def constant(clips: pd.DataFrame, protocol: str, seeds: Sequence[int] = (0,)) -> pd.DataFrame:
    """Predictions that ignore the voice: the training folds' most frequent classes and mean age.

    What it says of a task without labels means nothing.
    """
    rows, classes = [], emotion_classes(clips["emotion"])
    for seed in seeds:
        for number, split in enumerate(folds.split(clips, protocol, seed)):
            answer, clip = usual(clips.iloc[split.train]), clips["clip"].iloc[split.test]
            rows.append(always(answer, clip, classes, seed, number))
    return pd.concat(rows, ignore_index=True)


def usual(clips: pd.DataFrame) -> dict[str, Any]:
    """The best that one answer to all of these clips can be, by task: their most frequent emotion
    and gender, None where none is known, and their mean age.
    """
    classes = {task: most_frequent(clips[task]) for task in ("emotion", "gender")}
    return {**classes, "age": clips["age"].mean()}


def most_frequent(labels: pd.Series) -> Any:
    return next(iter(labels.mode()), None)


def always(
    answer: dict[str, Any], clips: pd.Series, classes: Sequence[str], seed: int = 0, fold: int = 0
) -> pd.DataFrame:
    """Predictions that give all clips, by their names, the one answer, as of `usual`."""
    said = {f"p_{name}": float(name == answer["emotion"]) for name in classes}
    said |= {"p_female": float(answer["gender"] == "female"), "age": answer["age"]}
    return pd.DataFrame({"clip": clips, "seed": seed, "fold": fold, **said})


def guessed(clips: pd.DataFrame) -> dict[str, float]:
    """What a guess among the classes that occur scores on average, by metric; no age is guessed.

    One answer for all can score less: in folds by speaker it is the most frequent of other people.
    """
    found = {}
    for task in ("emotion", "gender"):
        shares = clips[task].value_counts(normalize=True).to_numpy()
        if count := len(shares):
            found[f"{task}_accuracy"] = found[f"{task}_uar"] = 1 / count
            found[f"{task}_f1"] = float(np.mean(2 * shares / (count * shares + 1)))
    return found
