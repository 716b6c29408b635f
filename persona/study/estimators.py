"""Models that stand where the network stands, to compare it with: for `Experiment(estimator=...)`.

Each takes embeddings (n, d), their clips, a split and a seed, and predicts the test rows.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import training
from persona.folds import Split
from persona.labels import GENDERS, emotion_classes
from persona.losses import Targets
from persona.network import Predicted
from persona.own.memory import identified, scaled
from persona.training import Settings


def recorded(clips: pd.DataFrame, speakers: np.ndarray) -> Predicted:
    """Gender and age on record of these speakers, shape (n,); every emotion alike."""
    classes = len(emotion_classes(clips["emotion"]))
    people = clips.drop_duplicates("speaker").set_index("speaker").loc[speakers]
    return Predicted(
        torch.full((len(people), classes), 1 / classes),
        _certain(people["gender"].to_numpy(), GENDERS),
        torch.tensor(people["age"].to_numpy(np.float32)),
    )


def recognised(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Predicted:
    """Recognise the speaker, then look age and gender up."""
    return recorded(clips, identified(embeddings, clips, split))


def linear(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Predicted:
    """Logistic regression for emotion and gender, ridge regression for age, nothing tuned."""
    from sklearn.linear_model import LogisticRegression, Ridge

    return _three(partial(LogisticRegression, max_iter=2000), Ridge, embeddings, clips, split)


def kernel(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Predicted:
    """Support vector machines with an RBF kernel, as scikit-learn sets them (C = 1)."""
    from sklearn.svm import SVC, SVR

    return _three(SVC, SVR, embeddings, clips, split)


def _three(
    classifier: Callable[[], Any],
    regressor: Callable[[], Any],
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    split: Split,
) -> Predicted:
    """One model per task on standardised input; age is learnt in deviations, as by a network."""
    known, tested = scaled(embeddings, split)
    labels = clips.iloc[split.train]
    emotion, gender = (
        _certain(classifier().fit(known, labels[task]).predict(tested), classes)
        for task, classes in (("emotion", emotion_classes(clips["emotion"])), ("gender", GENDERS))
    )
    mean, deviation = labels["age"].mean(), labels["age"].std(ddof=0)
    ages = regressor().fit(known, (labels["age"] - mean) / deviation).predict(tested)
    years = torch.tensor(ages * deviation + mean, dtype=torch.float32)
    return Predicted(emotion, gender, years)


def _certain(labels: np.ndarray, classes: tuple[str, ...]) -> torch.Tensor:
    """Probabilities (n, C) of a model that names one class: 1 for it, 0 for the others."""
    return torch.from_numpy((labels[:, None] == np.array(classes)).astype(np.float32))


def quantiles(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Predicted:
    """The paper's network on normal deviates: of a value's quantile among the training rows."""
    from sklearn.preprocessing import QuantileTransformer

    steps = min(500, len(split.train))
    scale = QuantileTransformer(n_quantiles=steps, output_distribution="normal", subsample=None)
    scale.fit(embeddings[split.train])
    inputs = torch.from_numpy(scale.transform(embeddings).astype(np.float32))
    network, _ = training.fit(
        inputs, Targets.of(clips), split.train, split.validation, seed,
        settings=Settings(scaling="none"),
    )  # fmt: skip
    return network.predict(inputs[split.test])
