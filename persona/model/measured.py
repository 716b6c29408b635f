"""What a card says of answers, from out-of-fold predictions: scores, calibration, ages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from persona import calibration, corpora, evaluation, folds
from persona.calibration import AGE_BANDS, AGE_LEVEL, AgeInterval
from persona.dataset import Dataset
from persona.labels import GENDERS, TASKS
from persona.model import limits
from persona.predictions import emotions

LENGTHS = ((0.0, 2.0), (2.0, 3.0), (3.0, 1e9))
"""Seconds of clips by which the coverage of the age intervals is stated."""


def describe(
    predicted: pd.DataFrame,
    clips: pd.DataFrame,
    tasks: Sequence[str] = TASKS,
    protocol: str = "speaker-disjoint",
    limit: Callable[..., list[str]] = limits.of_actors,
) -> tuple[dict[str, Any], tuple[float, float]]:
    """The parts of a card that follow from out-of-fold predictions, and the two temperatures.

    predicted : columns of `predictions.COLUMNS`, for one seed or several; metrics are averaged
        over seeds, calibration and intervals come from the first.
    tasks : those that were learnt. protocol : of `folds`. limit : of `limits`.
    """
    first = predicted[predicted["seed"] == predicted["seed"].min()]
    known = ["clip", *corpora.LABELS]
    if "seconds" in clips and pd.api.types.is_numeric_dtype(clips["seconds"]):
        known.append("seconds")  # of a CSV of one's own it is text
    rows = first.merge(clips[known], on="clip", suffixes=("_predicted", ""))
    calibrated, temperatures = _calibration(rows, emotions(predicted), tasks)
    interval = _age_interval(rows) if "age" in tasks else {}
    ignorant = evaluation.constant(clips, protocol, sorted(predicted["seed"].unique()))
    constant = by_chance(evaluation.evaluate(ignorant, clips)["value"], clips)
    gain = evaluation.difference(
        evaluation.sums(predicted, clips), evaluation.sums(ignorant, clips)
    )
    metrics = scores(predicted, clips, tasks)
    described = {
        "evaluation": {
            "protocol": f"{protocol}, {folds.FOLDS} folds, seeds averaged; out-of-fold "
            "predictions of networks trained as those that ship; 95 % bootstrap intervals over "
            "speakers",
            "metrics": metrics,
            "groups": {
                name: {
                    "speakers": int(group["speaker"].nunique()),
                    **scores(predicted, group, tasks),
                }
                for name, group in groups_of(clips)
            },
            "constant": {name: rounded(constant[name]) for name in metrics},
        },
        "calibration": calibrated,
        "age_interval": interval,
        "limits": limit(metrics, constant, gain, interval, clips),
    }
    return described, temperatures


def _calibration(
    rows: pd.DataFrame, names: Sequence[str], tasks: Sequence[str]
) -> tuple[dict[str, Any], tuple[float, float]]:
    """Temperatures that ship, and the calibration error without and with such of other folds."""
    female = rows["p_female"].to_numpy()
    of_tasks = {
        "emotion": (rows[[f"p_{name}" for name in names]].to_numpy(), names),
        "gender": (np.stack([female, 1 - female], axis=1), GENDERS),
    }
    found: dict[str, Any] = {
        "method": "temperature scaling (Guo et al. 2017) of averaged probabilities; errors are "
        "expected calibration errors, 10 bins, of clips whose temperature comes from other folds"
    }
    for task in [task for task in of_tasks if task in tasks]:
        probabilities, of_task = of_tasks[task]
        labels = pd.Categorical(rows[task], list(of_task)).codes.astype(int)
        known = labels >= 0
        p, y = probabilities[known].astype(float), labels[known]
        speaker = np.unique(rows["speaker"][known], return_inverse=True)[1]
        held_out = calibration.held_out_temperatures(p, y, rows["fold"].to_numpy()[known])
        found[task] = {
            "temperature": calibration.temperature(p, y),
            "error_before": _calibration_error(p, y, speaker),
            "error_after": _calibration_error(calibration.tempered(p, held_out), y, speaker),
        }
    emotion, gender = (found.get(task, {}).get("temperature", 1.0) for task in of_tasks)
    return found, (emotion, gender)


def sharpen(
    calibrated: dict[str, Any], predicted: pd.DataFrame, clips: pd.DataFrame, data: Dataset
) -> None:
    """Add how much surer several windows of different speech make: see `calibration.sharpness`."""
    first = predicted[predicted["seed"] == predicted["seed"].min()]
    rows = first.set_index("clip").loc[clips["clip"]]
    female = rows["p_female"].to_numpy()
    of_tasks = {
        "emotion": (rows[[f"p_{name}" for name in data.classes]].to_numpy(), data.classes),
        "gender": (np.stack([female, 1 - female], axis=1), GENDERS),
    }
    people = np.unique(clips["speaker"].astype(str), return_inverse=True)[1]
    for task in [task for task in of_tasks if task in calibrated]:
        probabilities, classes = of_tasks[task]
        labels = pd.Categorical(clips[task], list(classes)).codes.astype(int)
        known = labels >= 0
        p = calibration.tempered(probabilities[known], calibrated[task]["temperature"])
        found = calibration.sharpness(p, labels[known], data.embeddings[known], people[known])
        calibrated[task]["sharpness"] = rounded(found)


def _calibration_error(p: np.ndarray, labels: np.ndarray, speaker: np.ndarray) -> float:
    counts = calibration.binned(p, labels, speaker)
    return rounded(calibration.expected_error(counts, np.ones((1, len(counts))))[0])


def _age_interval(rows: pd.DataFrame) -> dict[str, Any]:
    rows = rows[rows["age"].notna()].reset_index(drop=True)
    predicted, true = rows["age_predicted"].to_numpy(float), rows["age"].to_numpy(float)
    speakers, fold = rows["speaker"].to_numpy(), rows["fold"].to_numpy()
    fitted = AgeInterval.fit(predicted, true, speakers)
    inside = calibration.inside_held_out(predicted, true, speakers, fold)
    groups = groups_of(rows)
    if "seconds" in rows:
        groups += [
            (f"clips of {low:.0f} s to {'more' if high > 1e6 else f'{high:.0f} s'}", some)
            for low, high in LENGTHS
            if len(some := rows[(rows["seconds"] >= low) & (rows["seconds"] < high)])
        ]
    return {
        "level": AGE_LEVEL,
        "method": "cross-validation interval: quantiles of out-of-fold errors by predicted age, "
        "age bands and speakers weighing alike, scaled to hold in each band (calibration.py); "
        "coverage is of speakers whom it was not fit on; below 1 s of speech it is wider",
        "ages": fitted.ages.tolist(),
        "below": [rounded(value) for value in fitted.below],
        "above": [rounded(value) for value in fitted.above],
        "coverage": {
            "everyone": coverage(inside, speakers),
            **{name: coverage(inside[some.index], speakers[some.index]) for name, some in groups},
        },
    }


def coverage(inside: np.ndarray, speakers: np.ndarray) -> dict[str, Any]:
    """Share of clips inside, speakers counting alike, and its 95 % bootstrap over speakers; None in
    place of the limits of too few.
    """
    each = pd.Series(inside).groupby(speakers).mean().to_numpy()
    weights = evaluation.resample(len(each))
    low, high = evaluation.interval(weights @ each / weights.sum(axis=1))
    return {"speakers": len(each), **limited((each.mean(), low, high), len(each))}


def limited(scored: Iterable[float], speakers: int) -> dict[str, Any]:
    """A number and the limits of its interval, by name; None in place of those of too few."""
    value, low, high = scored
    few = speakers < evaluation.FEWEST
    limits_of = {"low": None if few else rounded(low), "high": None if few else rounded(high)}
    return {"value": rounded(value), **limits_of}


def groups_of(clips: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [(gender, clips[clips["gender"] == gender]) for gender in GENDERS]
    for low, high in AGE_BANDS:
        name = f"aged {low} or over" if high == AGE_BANDS[-1][1] else f"aged {low} to {high}"
        name = f"aged {high} or under" if low == 0 else name
        groups.append((name, clips[clips["age"].between(low, high)]))
    return [(name, group) for name, group in groups if len(group)]


def scores(
    predicted: pd.DataFrame, clips: pd.DataFrame, tasks: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Metrics of tasks with their intervals; None in place of the limits of too few speakers."""
    scored = evaluation.evaluate(predicted[predicted["clip"].isin(clips["clip"])], clips)
    found: dict[str, dict[str, Any]] = {}
    for metric in evaluation.METRICS:
        task = metric.split("_")[0]
        if task in tasks and np.isfinite(scored["value"][metric]):
            found[metric] = limited(scored.T[metric], labelled(clips, task))
    return found


def labelled(clips: pd.DataFrame, task: str) -> int:
    """Speakers of whom a clip has a label."""
    return int(clips["speaker"][clips[task].notna()].nunique())


def by_chance(constant: pd.Series, clips: pd.DataFrame) -> dict[str, float]:
    """The better of one answer for all and a guess, by metric: what takes no voice."""
    guess = evaluation.guessed(clips)
    found = {str(name): float(value) for name, value in constant.items()}
    return {name: max(value, guess.get(name, value)) for name, value in found.items()}


def rounded(value: float) -> float:
    return round(float(value), 4)
