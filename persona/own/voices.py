"""What a corpus's speakers tell beside each clip: emotion against a voice, and age by person."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from persona import evaluation
from persona.cross_validation import train_fold
from persona.dataset import Dataset
from persona.experiment import Experiment
from persona.folds import FOLDS
from persona.keeping import parallel
from persona.model import voices
from persona.model.measured import labelled, limited, scores
from persona.people import voice
from persona.predictions import emotions as classes_of
from persona.run import out_of_fold

MOST = 20
"""Other clips of a person from which a voice is learnt."""

Emotions = Callable[[np.ndarray], np.ndarray]
"""Probabilities, shape (n, C), of embeddings, shape (n, d)."""

WAYS = {"alone": "nothing", "others": "the mean of other people", "own": "their own voice"}
"""What emotion is read against. The mean voice of the corpus's other people holds its microphones,
rooms and language, and not the person; their own is learnt from at most `MOST` other clips.
"""


def against(
    embeddings: np.ndarray,
    speakers: np.ndarray,
    usual: np.ndarray,
    emotions: Emotions,
    rows: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Probabilities of the emotions of clips, shape (n, C), by the `WAYS`.

    The clip that is answered is never among what is learnt from. Who has no other is answered as
    everybody; "others" is missing where one person is the whole corpus.

    embeddings : shape (m, d). speakers : shape (m,). usual : as of `voices.usual`.
    rows : of the n clips that are answered; all, by default.
    """
    rows = np.arange(len(embeddings)) if rows is None else rows
    person, own = np.unique(speakers, return_inverse=True)[1], np.zeros_like(embeddings[rows])
    rng = np.random.default_rng(0)
    for number, row in enumerate(rows):
        heard = np.setdiff1d(np.flatnonzero(person == person[row]), row)
        if len(heard):
            drawn = rng.choice(heard, min(MOST, len(heard)), replace=False)
            own[number] = voice.learn(embeddings[drawn], usual, emotions)
    tested = embeddings[rows]
    found = {"alone": emotions(tested), "own": emotions(tested - own)}
    if people := person.max():
        away = np.stack([embeddings[person == n].mean(axis=0) for n in range(people + 1)])
        others = ((away.sum(axis=0) - away) / people - usual[0]).astype(np.float32)
        found["others"] = emotions(tested - others[person[rows]])
    return {way: found[way] for way in WAYS if way in found}


def held_out(
    experiment: Experiment, tasks: Sequence[str], jobs: int | None = None
) -> dict[str, Any]:
    """What a card's evaluation says of it: networks that do not know the clips answer them.

    Networks of the first seed are trained again for that, as a fold keeps none.
    """
    predicted, found = out_of_fold(experiment), dict[str, Any]()
    clips = Dataset(experiment.corpus).clips
    if "emotion" in tasks:
        seed = experiment.seeds[0]
        folds_of = [(experiment, seed, fold) for fold in range(FOLDS)]
        parts = [part for _, part in parallel.run(of_fold, folds_of, jobs=jobs)]
        order = np.concatenate([rows for rows, _ in parts])
        answers = {way: np.concatenate([of[way] for _, of in parts]) for way in parts[0][1]}
        first = predicted[predicted["seed"] == seed].set_index("clip")
        rows = first.loc[clips["clip"].to_numpy()[order]].reset_index()
        found["by_voice"] = scored(rows, answers, clips)
    if "age" in tasks:
        found["age_by_person"] = ages(predicted, clips)
    return found


def of_fold(
    experiment: Experiment, seed: int, fold: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of the clips that a fold tests, and answers to them, as of `against`."""
    import torch

    network, split = train_fold(experiment, seed, fold)
    data = Dataset(experiment.corpus, experiment.representation)
    known = np.concatenate([split.train, split.validation])
    labels = pd.Categorical(data.clips["emotion"], data.classes).codes.astype(int)
    speakers = data.clips["speaker"].astype(str).to_numpy()
    usual = voices.usual(data.embeddings[known], labels[known], speakers[known], len(data.classes))

    def emotions(embeddings: np.ndarray) -> np.ndarray:
        return network.predict(torch.from_numpy(embeddings)).emotion.numpy()

    return split.test, against(data.embeddings, speakers, usual, emotions, split.test)


def scored(
    predicted: pd.DataFrame, answers: dict[str, np.ndarray], clips: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """The accuracy of emotion by way, with its interval, and how much it gains over "alone".

    predicted : columns of `predictions`, of one seed. answers : to its rows, as of `against`.
    """
    names = [f"p_{name}" for name in classes_of(predicted)]
    frames = {way: predicted.assign(**dict(zip(names, p.T, strict=True)))
              for way, p in answers.items()}  # fmt: skip
    alone, metric = evaluation.sums(frames["alone"], clips), "emotion_accuracy"
    found = {}
    for way, frame in frames.items():
        difference = evaluation.difference(evaluation.sums(frame, clips), alone)
        gain = difference.T[metric][["difference", "low", "high"]]
        found[way] = {
            **scores(frame, clips, ["emotion"])[metric],
            "gain": limited(gain, labelled(clips, "emotion")),
        }
    return found


def ages(predicted: pd.DataFrame, clips: pd.DataFrame) -> dict[str, Any]:
    """The error (RMSE, in years) of one age for each person, the mean of what is answered to their
    clips, with its interval.
    """
    error = evaluation.score(evaluation.by_speaker(evaluation.sums(predicted, clips)))
    return limited(error.T["age_rmse"], labelled(clips, "age"))


def lines(report: dict[str, Any]) -> list[str]:
    """What a report, or the evaluation of a card, holds of it, for people."""
    found = []
    if ways := report.get("by_voice"):
        found.append("Emotion, by what it is read against (accuracy):")
        for way, score in ways.items():
            gain = "" if way == "alone" else f"{_interval(score['gain'], '+.1f', 100)} points"
            found.append(f"  {WAYS[way]:26} {_interval(score, '.3f'):22} {gain}".rstrip())
    if by_person := report.get("age_by_person"):
        found.append(
            "Age of a person, as the mean of what is answered to their clips: RMSE "
            f"{_interval(by_person, '.1f')} years."
        )
    return found


def _interval(score: dict[str, Any], form: str, times: float = 1.0) -> str:
    value, low, high = (
        None if score[key] is None else format(times * score[key], form)
        for key in ("value", "low", "high")
    )
    return f"{value}" if low is None else f"{value} [{low}, {high}]"
