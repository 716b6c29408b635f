"""How far a network's probabilities can be believed, and the one number that mends them."""

import numpy as np
import pandas as pd

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


def reliability(counts: np.ndarray) -> pd.DataFrame:
    """Per bin that holds clips: `clips`, mean `confidence` and `accuracy`."""
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
