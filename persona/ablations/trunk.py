"""The trunk: does a convolution over the axis of an embedding mean anything?

An embedding has no order: its dimensions may be permuted without losing anything. A network that
uses the order must do worse on shuffled dimensions; one that does not is a matter of size.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import features, tables
from persona.ablations import SEEDS, Variant, run, standardised
from persona.ablations._scores import DRAWS, listed, planned, value
from persona.corpora import EMOTIONS, GENDERS
from persona.evaluation import Sums
from persona.folds import Split
from persona.model import CHANNELS, HIDDEN, KERNEL, Prediction
from persona.training import Settings

REPRESENTATIONS = ("mfcc", "dvector")
CNN, SHUFFLED, FCN = "CNN", "CNN, dimensions shuffled", "FCN"
WIDE, LINEAR, KERNELS = "FCN, as many parameters", "linear", "SVM"
KINDS = (CNN, SHUFFLED, FCN, WIDE, LINEAR, KERNELS)


def variants(representations: Sequence[str] = REPRESENTATIONS) -> list[Variant]:
    """Every kind of model on every representation, for unseen speakers."""
    return [variant for name in representations for variant in _kinds(name)]


def _kinds(representation: str) -> list[Variant]:
    made_of = partial(Variant, representation=representation)
    wide = matched_width(features.read(representation).embeddings.shape[1])
    return [
        made_of(f"{CNN}, {representation}", architecture="cnn"),
        made_of(f"{SHUFFLED}, {representation}", architecture="cnn", transform=shuffled),
        made_of(f"{FCN}, {representation}"),
        made_of(f"{WIDE}, {representation}", hidden=(wide, *HIDDEN[1:])),
        made_of(f"{LINEAR}, {representation}", estimator=linear),
        made_of(f"{KERNELS}, {representation}", estimator=kernel),
    ]


def study(representations: Sequence[str] = REPRESENTATIONS, seeds: Sequence[int] = SEEDS) -> str:
    """Name of the results table; "trunk" is shipped."""
    shipped = tuple(representations) == REPRESENTATIONS and tuple(seeds) == SEEDS
    return "trunk" if shipped else "-".join(["trunk", *representations, *map(str, seeds)])


def make(
    jobs: int | None = None,
    representations: Sequence[str] = REPRESENTATIONS,
    seeds: Sequence[int] = SEEDS,
    settings: Settings | None = None,
) -> Path:
    """Train what is missing, six minutes on two cores."""
    name = study(representations, seeds)
    return run(name, variants(representations), seeds, settings, jobs=jobs)


PAIRS = ((CNN, SHUFFLED), (CNN, WIDE), (LINEAR, FCN), (KERNELS, FCN))
"""The comparisons of the chapter."""


def compared(
    counts: Mapping[str, Sums], representations: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """`PAIRS` on every representation: a table as of `_scores.planned`."""
    pairs: dict[tuple[str, ...], tuple[str, ...]] = {
        (f"{first} - {second}", name): (f"{first}, {name}", f"{second}, {name}")
        for first, second in PAIRS
        for name in representations
    }
    return planned(counts, pairs, draws)


def sizes(representations: Sequence[str] = REPRESENTATIONS) -> pd.DataFrame:
    """Parameters of the trunk, a row per representation."""
    rows = {}
    for name in representations:
        dimension = features.read(name).embeddings.shape[1]
        width = matched_width(dimension)
        rows[name] = {
            "dimensions": dimension,
            CNN: trunk_parameters(dimension, "cnn"),
            FCN: trunk_parameters(dimension, "fcn"),
            WIDE: trunk_parameters(dimension, "fcn", width),
            "width of its first layer": width,
        }
    return pd.DataFrame(rows).T


def in_short(counts: Mapping[str, Sums], differences: pd.DataFrame) -> str:
    """The chapter's closing sentence, from the results and `compared`."""
    compared_to = differences.index.get_level_values(0)
    order = differences[compared_to == f"{CNN} - {SHUFFLED}"]
    size = differences[compared_to == f"{CNN} - {WIDE}"]
    worse = pd.Series([_worse(name, row) for name, row in size.iterrows()], size.index)
    best = max(counts, key=lambda name: value(counts[name], "emotion_accuracy"))
    return (
        f"of {len(order)} measures, the order of the dimensions matters to the CNN beyond chance "
        f"in {_told(order)}; against a fully connected network of its size it is worse in "
        f"{_told(size[worse])} and better in {_told(size[~worse])}; the best for emotion on one "
        f"representation is {best}, {_percent(counts[best])}, against "
        f"{_percent(counts[best.replace(best.split(', ')[0], FCN, 1)])} by the paper's fully "
        "connected network."
    )


def _told(rows: pd.DataFrame) -> str:
    """The differences that are told from chance."""
    found = rows[rows["p_holm"] < 0.05]
    names, headings = (found.index.get_level_values(level) for level in (-2, -1))
    each = zip(names, headings, found["difference"], strict=True)
    return listed([f"{name} ({heading} {change:+.1f})" for name, heading, change in each])


def _percent(counts: Sums) -> str:
    return f"{100 * value(counts, 'emotion_accuracy'):.1f} %"


def _worse(name: Any, row: pd.Series) -> bool:
    higher_is_worse = name[-1] == tables.MEASURES["age_rmse"][0]
    return bool((row["difference"] > 0) == higher_is_worse)


def trunk_parameters(dimension: int, architecture: str, first: int = HIDDEN[0]) -> int:
    """Parameters of convolutions and of the hidden layers, the first of width `first`."""
    convolutions, flat = 0, dimension
    if architecture == "cnn":
        for inputs, outputs in zip((1, *CHANNELS), CHANNELS, strict=False):
            convolutions += (inputs * KERNEL + 1) * outputs
        flat = CHANNELS[-1] * (dimension // 2 // 2)
    widths = (flat, first, *HIDDEN[1:])
    dense = sum((i + 1) * o for i, o in pairwise(widths))
    return convolutions + dense


def matched_width(dimension: int) -> int:
    """Width of the first layer at which an FCN has about as many parameters as the CNN."""
    wanted = trunk_parameters(dimension, "cnn")
    return min(range(1, 4000), key=lambda w: abs(trunk_parameters(dimension, "fcn", w) - wanted))


def shuffled(embeddings: np.ndarray) -> np.ndarray:
    """The same dimensions in another, fixed order."""
    return embeddings[:, np.random.default_rng(91).permutation(embeddings.shape[1])]


def linear(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Prediction:
    """Logistic regression for emotion and gender, ridge regression for age."""
    from sklearn.linear_model import LogisticRegression, Ridge

    classifier = partial(LogisticRegression, max_iter=2000)
    return _three(classifier, Ridge, embeddings, clips, split)


def kernel(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Prediction:
    """Support vector machines with an RBF kernel, as scikit-learn sets them (C = 1)."""
    from sklearn.svm import SVC, SVR

    return _three(SVC, SVR, embeddings, clips, split)


def _three(classifier, regressor, embeddings, clips, split) -> Prediction:  # type: ignore[no-untyped-def]
    """Fit one estimator per task on the training rows and ask about the test rows.

    Input and age are standardised as for the network. Classifiers answer with certainty.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    inputs = standardised(embeddings, split.train)
    known, asked, labels = inputs[split.train], inputs[split.test], clips.iloc[split.train]

    def said(task: str, names: tuple[str, ...]) -> torch.Tensor:
        chosen = classifier().fit(known, labels[task]).predict(asked)
        return torch.from_numpy(np.stack([chosen == name for name in names], 1).astype(np.float32))

    age = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    years = age.fit(known, labels["age"].to_numpy(float)).predict(asked)
    return Prediction(
        said("emotion", EMOTIONS), said("gender", GENDERS), torch.tensor(years, dtype=torch.float32)
    )
