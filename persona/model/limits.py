"""What a card says that a model is for, is not for, and cannot do, as what was measured shows."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from persona.evaluation import FEWEST, guessed
from persona.labels import emotion_classes

INTENDED = (
    "Studying, teaching and demonstrating what a network hears in acted speech.",
    "Comparing methods on CREMA-D, as a starting point for models of other voices.",
)
INTENDED_OWN = ("Studying and comparing methods on recordings like those that it was trained on.",)
REFUSED = (
    "Decisions about people: hiring, insurance, credit, policing, border control, schooling.",
    "Watching or rating people at work or in class; inferring emotion there is unlawful in the EU.",
    "Medical or psychological assessment, detection of lies, or any claim on what someone feels.",
    "Telling who someone is, or what gender someone is: it hears which of two groups of actors a "
    "voice resembles.",
    "Checking whether someone is of age.",
)

Metrics = dict[str, dict[str, Any]]


def of_actors(
    metrics: Metrics,
    constant: dict[str, float],
    gain: pd.DataFrame,
    interval: dict[str, Any],
    clips: pd.DataFrame,
) -> list[str]:
    """Of a model that was trained on CREMA-D.

    metrics : with intervals. constant : the same of answers that ignore the voice. gain : of the
        model over those, as of `evaluation.difference`. interval : of the card. clips : labelled.
    """
    coverage = interval["coverage"]
    return [
        f"Emotions are acted: {clips['speaker'].nunique()} actors say sentences that were given "
        "to them.",
        f"Of six emotions it names the one an unseen actor played in "
        f"{metrics['emotion_accuracy']['value']:.0%} of clips; it knows their sentences, and in "
        "others names fewer.",
        _of_age(metrics, constant, gain),
        _of_interval(coverage),
        f"The actors were {clips['age'].min():.0f} to {clips['age'].max():.0f} years old; "
        "children and older people were not among them.",
        "Gender is the binary sex that the actors stated; people outside of it were not asked.",
        "Probabilities and age intervals were measured on acted clips; elsewhere they mean less.",
    ]


def of_own(
    metrics: Metrics,
    constant: dict[str, float],
    gain: pd.DataFrame,
    interval: dict[str, Any],
    clips: pd.DataFrame,
    shared_speakers: bool = False,
    notes: Sequence[str] = (),
) -> list[str]:
    """Of a model that was trained on a table of clips; further arguments as of `of_actors`.

    shared_speakers : whether the speakers tested were trained on. notes : on its training.
    """
    people, tested = clips["speaker"].nunique(), "an unseen speaker's clip"
    lines = [f"It was trained on {len(clips):,} clips of {people} speakers.", *notes]
    if shared_speakers:
        tested = "a further clip of a speaker whom it knows"
        lines.append(
            "The speakers it was tested on were trained on, as was allowed: the numbers hold for "
            "these people, and say nothing of a new voice."
        )
    for task in ("emotion", "gender"):
        if (name := f"{task}_uar") in metrics:
            classes = emotion_classes(clips["emotion"]) if task == "emotion" else ("female", "male")
            lines.append(
                f"Of {len(classes)} classes of {task} ({', '.join(classes)}) it names the label of "
                f"{tested} in {metrics[name]['value']:.0%} of clips, classes counting alike"
                f"{_of_class(metrics[name], constant[name], guessed(clips)[name], gain, name)}"
            )
    if "age_rmse" in metrics:
        lines += [
            _of_age(metrics, constant, gain),
            _of_interval(interval["coverage"]),
            f"The speakers were {clips['age'].min():.0f} to {clips['age'].max():.0f} years old.",
        ]
    if any(scored["low"] is None for scored in metrics.values()):
        lines.append(too_few())
    return [*lines, "All of this was measured on these recordings; elsewhere it means less."]


def _of_interval(coverage: dict[str, dict[str, float]]) -> str:
    worst = min(coverage, key=lambda name: coverage[name]["value"])
    return (
        f"The age interval holds for {coverage['everyone']['value']:.0%} of clips overall, but "
        f"for {coverage[worst]['value']:.0%} of those of {worst}."
    )


def too_few() -> str:
    """Why no interval is given, and nothing is called better."""
    return (
        f"Intervals, and whether it is better than chance, take labels of {FEWEST} speakers: they "
        "are what differs, and from fewer an interval promises more than it holds."
    )


def _of_class(
    scored: dict[str, Any], constant: float, guess: float, gain: pd.DataFrame, metric: str
) -> str:
    """The end of a sentence on a mean recall: its interval, and what needs no voice."""
    what = f"the most frequent label for every clip ({constant:.0%})"
    if guess >= constant:
        what = f"a guess ({guess:.0%})"
    if scored["low"] is None:
        return f"; without a voice, {what} is the best."
    better = gain["low"][metric] > 0 and scored["low"] > guess
    worth = "better than" if better else "no better than"
    return f" [{scored['low']:.0%}, {scored['high']:.0%}]; this is {worth} {what}."


def _of_age(metrics: Metrics, constant: dict[str, float], gain: pd.DataFrame) -> str:
    age = metrics["age_rmse"]
    error = f"{age['value']:.1f} years (RMSE)"
    if age["low"] is None:
        return (
            f"The error of age is {error}; saying the mean age to everyone has "
            f"{constant['age_rmse']:.1f}."
        )
    better = "better than" if gain["high"]["age_rmse"] < 0 else "no better than"
    return (
        f"Age is {better} saying the mean age to everyone: the error is {error} against "
        f"{constant['age_rmse']:.1f}."
    )
