"""Linear probes: what a layer of a network holds of emotion, gender, age and of who is speaking."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from persona import folds
from persona.folds import Split
from persona.losses import Targets
from persona.network import Predicted
from persona.own.memory import scaled

PENALTIES = (1e2, 1e3, 1e4)
"""Ridge penalties among which each task's is chosen on validation rows."""


def part(embeddings: np.ndarray, first: int, last: int) -> np.ndarray:
    """Some columns, shape (n, last - first): one layer of a table that holds several."""
    return embeddings[:, first:last]


def ridge(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Predicted:
    """Ridge regression on the classes (1 for the label, 0 for the others) and on age.

    An estimator of `Experiment`. What stands for probabilities are its scores, which may lie
    outside 0 to 1.
    """
    targets = Targets.of(clips)
    of_tasks = np.eye(6)[targets.emotion], np.eye(2)[targets.gender], targets.age[:, None].numpy()
    emotion, gender, age = (torch.from_numpy(s) for s in _scores(embeddings, of_tasks, split))
    return Predicted(emotion, gender, age[:, 0])


def speakers(embeddings: np.ndarray, clips: pd.DataFrame, seed: int) -> np.ndarray:
    """Whether the same regression names each clip's speaker, on random clips; booleans (n,)."""
    speaker = np.unique(clips["speaker"], return_inverse=True)[1]
    onto = np.eye(speaker.max() + 1)[speaker]
    right = np.zeros(len(clips), bool)
    for split in folds.split(clips, "random-clip", seed):
        (scores,) = _scores(embeddings, [onto], split)
        right[split.test] = scores.argmax(axis=1) == speaker[split.test]
    return right


def _scores(
    embeddings: np.ndarray, of_tasks: tuple[np.ndarray, ...] | list[np.ndarray], split: Split
) -> list[np.ndarray]:
    """Each task's scores of the test rows by the penalty of fewest errors on validation rows."""
    from scipy.linalg import solve

    rest = replace(split, test=np.concatenate([split.validation, split.test]))
    known, others = scaled(embeddings, rest)
    onto = np.hstack(of_tasks)
    centre, mean = known.mean(axis=0), onto[split.train].mean(axis=0)
    known, others = known - centre, others - centre
    gram, moments = (known.T @ known).astype(float), known.T @ (onto[split.train] - mean)
    every = [
        others @ solve(gram + penalty * np.eye(len(gram)), moments, assume_a="pos") + mean
        for penalty in PENALTIES
    ]
    ends = np.cumsum([task.shape[1] for task in of_tasks])[:-1]
    by_task = zip(*(np.split(scores, ends, axis=1) for scores in every), strict=True)
    held_out, best = len(split.validation), []
    for task, choices in zip(of_tasks, by_task, strict=True):
        errors = [_error(scores[:held_out], task[split.validation]) for scores in choices]
        best.append(choices[int(np.argmin(errors))][held_out:])
    return best


def _error(scores: np.ndarray, onto: np.ndarray) -> float:
    """Share of wrong classes, or the squared error of a number."""
    if onto.shape[1] == 1:
        return float(((scores - onto) ** 2).mean())
    return float((scores.argmax(axis=1) != onto.argmax(axis=1)).mean())
