"""Ways to answer under a split: by hearing, by knowing who speaks, by neither, or as was given.

Each takes embeddings (n, d), their clips with labels of which any may be missing, and a split, and
returns certain answers to the test rows, as `predictions.frame` takes them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import evaluation
from persona.folds import Split
from persona.labels import GENDERS, emotion_classes
from persona.network import Standardisation

GIVEN = "_predicted"
"""Ends the names of columns that hold a model's predictions, `emotion_predicted` and so on."""


def scaled(embeddings: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Training and test embeddings, standardised on the training rows as a network's input is."""
    x = torch.tensor(embeddings)
    scale = Standardisation(x.shape[1])
    scale.measure(x[split.train])
    return scale(x[split.train]).numpy(), scale(x[split.test]).numpy()


def identified(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> np.ndarray:
    """Which training speaker each test clip is taken for, by linear discriminant analysis.

    The covariance is shrunk (Ledoit and Wolf 2004): a speaker has few clips.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    known, tested = scaled(embeddings, split)
    varying = known.std(axis=0) > 0
    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    probe.fit(known[:, varying], clips["speaker"].to_numpy()[split.train])
    return probe.predict(tested[:, varying])


def linear(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """Logistic and ridge regression on the labels there are; nothing is tuned."""
    from sklearn.linear_model import LogisticRegression, Ridge

    known, tested = scaled(embeddings, split)

    def answer(task: str) -> np.ndarray:
        labels = clips[task].iloc[split.train]
        there = labels.notna().to_numpy()
        if labels.nunique() < 2:
            return np.full(len(tested), labels[there].iloc[0] if there.any() else None, object)
        model = Ridge() if task == "age" else LogisticRegression(max_iter=2000)
        return model.fit(known[there], labels[there]).predict(tested)

    return _as_predicted(answer, clips)


def looked_up(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """The usual label, or the mean age, of the training speaker whom each clip is taken for."""
    speakers = identified(embeddings, clips, split)
    known = clips.iloc[split.train]
    of_speaker, of_all = known.groupby("speaker"), evaluation.usual(known)

    def answer(task: str) -> np.ndarray:
        usual = (
            of_speaker[task]
            .agg("mean" if task == "age" else evaluation.most_frequent)
            .reindex(speakers)
        )
        return usual.where(usual.notna(), of_all[task]).to_numpy()  # of whom no label is known

    return _as_predicted(answer, clips)


def given(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """The predictions that the table holds."""
    tested = clips.iloc[split.test]

    def answer(task: str) -> np.ndarray:
        values = tested.get(task + GIVEN, pd.Series(index=tested.index, dtype=object))
        return pd.to_numeric(values).to_numpy() if task == "age" else values.to_numpy(object)

    return _as_predicted(answer, clips)


def constant(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """The most frequent labels and the mean age of all clips: no one answer does better.

    Those of what is trained on may lie below chance: in folds by speaker they are other people's.
    """
    usual = evaluation.usual(clips)
    return _as_predicted(lambda task: np.full(len(split.test), usual[task]), clips)


def classes(clips: pd.DataFrame) -> tuple[str, ...]:
    """Every emotion that is a label or was predicted."""
    return emotion_classes([*clips["emotion"], *clips.get("emotion" + GIVEN, ())])


def _as_predicted(answer: Callable[[str], np.ndarray], clips: pd.DataFrame) -> tuple[Any, ...]:
    """Certain answers as `predictions.frame` takes them."""
    emotion, gender = (
        (answer(task)[:, None] == np.array(names, object)).astype(np.float32)
        for task, names in (("emotion", classes(clips)), ("gender", GENDERS))
    )
    return emotion, gender, np.asarray(answer("age"), np.float32)
