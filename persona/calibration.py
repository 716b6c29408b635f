"""How far probabilities and ages can be believed: temperatures and intervals of age."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from persona.people.different import ALIKE as ALIKE
from persona.people.different import MANY as MANY
from persona.people.different import Different as Different

if TYPE_CHECKING:
    from pandas import DataFrame

BINS = 10
"""Bins of equal width between 0 and 1 that confidences are sorted into."""


def binned(probabilities: np.ndarray, labels: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """Sums per speaker and bin of confidence, from which everything else here follows.

    probabilities : shape (n, C); the largest is the confidence.
    labels : class indices, shape (n,).
    speaker : speaker indices 0 ... S - 1, shape (n,).

    Returns shape (S, BINS, 3): clips, sum of confidence, right answers.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    where = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.zeros((speaker.max() + 1, BINS, 3))
    np.add.at(counts, (speaker, where), np.stack([right | True, confidence, right], axis=1))
    return counts


def reliability(counts: np.ndarray) -> "DataFrame":
    """Per bin that holds clips: `clips`, mean `confidence` and `accuracy`."""
    import pandas as pd

    clips, confidence, right = counts.sum(axis=0).T
    used = clips > 0
    return pd.DataFrame(
        {
            "clips": clips[used],
            "confidence": confidence[used] / clips[used],
            "accuracy": right[used] / clips[used],
        }
    )


def expected_error(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error for each row of speaker `weights`, shape (B, S).

    The mean over clips of |accuracy - confidence| of their bin: Naeini, Cooper and Hauskrecht
    (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    clips, confidence, right = np.moveaxis(np.einsum("bs,skm->bkm", weights, counts), -1, 0)
    return abs(right - confidence).sum(axis=1) / clips.sum(axis=1)


def tempered(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Probabilities, shape (n, C), as if the logits had been divided by `temperature`.

    temperature : one for all, or one per row, shape (n, 1).
    """
    logits = np.log(np.maximum(probabilities, 1e-7)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-7)).mean())


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, between 0.05 and 20, of least log loss.

    Guo et al. (2017), "On calibration of modern neural networks". Above 1 the network was too
    sure of itself.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: log_loss(tempered(probabilities, np.exp(log)), labels),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


def pooled(probabilities: np.ndarray, weights: np.ndarray, sharper: float = 1.0) -> np.ndarray:
    """One answer to several windows, shape (C,): their mean log probability, made `sharper`.

    probabilities : shape (n, C). weights : shape (n,), e.g. seconds.
    """
    logs = np.average(np.log(np.maximum(probabilities, 1e-7)), axis=0, weights=weights)
    powers = np.exp(sharper * (logs - logs.max()))
    return powers / powers.sum()


GROUPS = (1, 2, 4, 8)
"""Clips of a person and emotion that are pooled to fit `sharpness`."""


def sharpness(
    probabilities: np.ndarray, labels: np.ndarray, embeddings: np.ndarray, people: np.ndarray
) -> float:
    """The exponent of `Different`, 0 to 2, by which pooled answers become sharper.

    Clips of one person and label are pooled by ones, twos, fours and eights, in their order; the
    exponent of least log loss over these sizes, each weighing alike.

    probabilities : of single clips, shape (n, C), calibrated. labels : class indices, shape (n,).
    embeddings : shape (n, dimension). people : any numbers, shape (n,).
    """
    import pandas as pd
    from scipy.optimize import minimize_scalar

    groups = pd.DataFrame({"person": people, "label": labels}).groupby(["person", "label"])
    rows = list(groups.indices.values())
    pools = {
        size: [own[i : i + size] for own in rows for i in range(0, len(own) - size + 1, size)]
        for size in GROUPS
    }
    logs = np.log(np.maximum(probabilities, 1e-7))
    found = [
        (
            np.stack([logs[pool].mean(axis=0) for pool in some]),
            np.array([len(Different(embeddings[pool])) for pool in some]),
            np.array([labels[pool[0]] for pool in some]),
        )
        for size, some in pools.items()
        if some
    ]

    def loss(exponent: float) -> float:
        return sum(
            log_loss(tempered(np.exp(mean), number[:, None] ** -exponent), true)
            for mean, number, true in found
        )

    return float(minimize_scalar(loss, bounds=(0, 2), method="bounded").x)


def weights_of_speakers(speakers: np.ndarray) -> np.ndarray:
    """Weights of clips, shape (n,), by which speakers count alike; those of one sum to 1."""
    _, row, clips = np.unique(speakers, return_inverse=True, return_counts=True)
    return 1 / clips[row]


def held_out_temperatures(
    probabilities: np.ndarray, labels: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """For each row, shape (n, 1), the temperature of least log loss in all folds but its own."""
    found = np.empty((len(labels), 1))
    for number in np.unique(fold):
        tested = fold == number
        found[tested] = temperature(probabilities[~tested], labels[~tested])
    return found


AGE_LEVEL = 0.8
"""Share of unseen speakers' ages that an interval is to hold."""

BAND_LEVEL = 0.72
"""The same for speakers of each band of ages. It is above the two thirds that are wanted: a band
of six actors is a small sample."""

AGE_BANDS = ((0, 29), (30, 44), (45, 59), (60, 120))
"""Years, both included."""

_KNOTS = np.arange(20.0, 66.0, 5.0)
_NEAR = 10.0  # years of predicted age, the deviation of the weights around a knot
_NARROWEST = 2.0
_FEWEST = 4  # speakers in a band whose share is looked at


@dataclass(frozen=True)
class AgeInterval:
    """How far below and above a predicted age the true one lies, between knots interpolated.

    ages, below, above : years, shape (k,).
    """

    ages: np.ndarray
    below: np.ndarray
    above: np.ndarray

    @classmethod
    def fit(
        cls, predicted: np.ndarray, true: np.ndarray, speakers: np.ndarray, level: float = AGE_LEVEL
    ) -> "AgeInterval":
        """A cross-validation interval: from out-of-fold predictions of clips, each shape (n,).

        Near each knot the 90 % quantiles of the errors either way give the interval its shape,
        where speakers, and the bands of ages, weigh alike: old people's ages are predicted too
        low, and few were there to show it. Then the whole is scaled until it holds the share
        `level` of the clips of K speakers, of whom one more is taken to lie outside (Lee, Barber
        and Willett 2023, "Distribution-free inference with hierarchical data"), and `BAND_LEVEL`
        of those of each band. It is not CV+ (Barber et al. 2021): the model that ships is not
        one of those that predicted, so that its coverage is measured, not guaranteed.
        """
        weights = weights_of_speakers(speakers)
        band = np.digitize(true, [low for low, _ in AGE_BANDS[1:]])
        shape = weights / np.bincount(band, weights)[band]
        below, above = (
            np.array([_near(predicted, side, shape, knot) for knot in _KNOTS])
            for side in (predicted - true, true - predicted)
        )
        interval = cls(_KNOTS, below, above)
        low, high = interval.limits(predicted)
        error = true - predicted
        score = np.where(error < 0, -error / (predicted - low), error / (high - predicted))
        people = len(np.unique(speakers))
        factors = [_quantile(score, weights, min(1.0, level * (people + 1) / people))]
        for number in np.unique(band):
            own = band == number
            if len(np.unique(speakers[own])) >= _FEWEST:
                factors.append(_quantile(score[own], weights[own], min(level, BAND_LEVEL)))
        return cls(_KNOTS, below * max(factors), above * max(factors))

    @classmethod
    def of(cls, interval: Mapping[str, Sequence[float]]) -> "AgeInterval":
        """The interval that a card holds."""
        return cls(*(np.array(interval[name]) for name in ("ages", "below", "above")))

    def limits(
        self, predicted: np.ndarray | float, wider: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limits of predicted ages, shapes (n,), `wider` times as far away."""
        below = np.interp(predicted, self.ages, self.below)
        above = np.interp(predicted, self.ages, self.above)
        return predicted - wider * below, predicted + wider * above


def inside_held_out(
    predicted: np.ndarray, true: np.ndarray, speakers: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Whether each clip's age lies in an interval that was fit on the other folds, shape (n,)."""
    inside = np.zeros(len(true), bool)
    for number in np.unique(fold):
        tested = fold == number
        rest = (part[~tested] for part in (predicted, true, speakers))
        low, high = AgeInterval.fit(*rest).limits(predicted[tested])
        inside[tested] = (low <= true[tested]) & (true[tested] <= high)
    return inside


def _near(predicted: np.ndarray, errors: np.ndarray, weights: np.ndarray, knot: float) -> float:
    near = weights * np.exp(-0.5 * ((predicted - knot) / _NEAR) ** 2)
    return max(_quantile(errors, near, 0.9), _NARROWEST)


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))
    return float(values[order][min(int(at), len(values) - 1)])
