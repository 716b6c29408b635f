"""How far a voice lies from those that a model was trained on."""

from typing import NamedTuple

import numpy as np

COMPONENTS = 32
PERCENTILES = 101
"""Distances of unseen speakers that a card holds: percentiles 0 to 100."""


class Voices(NamedTuple):
    """A space in which voices differ by how far speakers are apart, and where the speakers stand.

    An embedding x of size d stands at `(x - mean) @ projection`: principal components of the
    training embeddings, each divided by its deviation within a speaker. Its distance is that from
    the nearest speaker.

    mean : shape (d,). projection : shape (d, k). speakers : their means there, shape (S, k).
    """

    mean: np.ndarray
    projection: np.ndarray
    speakers: np.ndarray


def fit(embeddings: np.ndarray, speakers: np.ndarray) -> Voices:
    """The voices of clips: `embeddings` of shape (n, d), by `speakers` of shape (n,)."""
    from scipy.linalg import eigh

    mean = embeddings.mean(axis=0, dtype=np.float64)
    scale = np.maximum(embeddings.std(axis=0, dtype=np.float64), 1e-6)
    standard = ((embeddings - mean) / scale).astype(np.float32)
    last = standard.shape[1] - 1
    largest = [max(0, last - COMPONENTS + 1), last]  # all of 8,192 would take minutes
    values, vectors = eigh(
        (standard.T @ standard).astype(np.float64) / len(standard), subset_by_index=largest
    )
    projection = vectors[:, values > 1e-6 * values[-1]][:, ::-1] / scale[:, None]
    z = (embeddings - mean) @ projection
    centres, row = _centres(z, speakers)
    within = np.maximum((z - centres[row]).std(axis=0), 1e-6)
    return Voices(mean, projection / within, centres / within)


def unseen(embeddings: np.ndarray, speakers: np.ndarray, voices: Voices) -> np.ndarray:
    """Percentiles 0 to 100 of clips' distances from the nearest speaker but their own, (101,).

    Speakers count alike. Where clips lie belongs to what `fit` saw of them, so that a new
    speaker's distances are a little larger.
    """
    z = (embeddings - voices.mean) @ voices.projection
    centres, row = _centres(z, speakers)
    squared = (z**2).sum(1)[:, None] - 2 * z @ centres.T + (centres**2).sum(1)
    squared[np.arange(len(z)), row] = np.inf
    distance = np.sqrt(np.maximum(squared.min(axis=1), 0))
    weight = 1 / np.bincount(row)[row]
    order = np.argsort(distance)
    reached = np.cumsum(weight[order]) / weight.sum()
    return np.interp(np.linspace(0, 1, PERCENTILES), reached, distance[order])


def usual(
    embeddings: np.ndarray, emotions: np.ndarray, speakers: np.ndarray, classes: int
) -> np.ndarray:
    """The usual voice, and how each emotion differs from it, shape (1 + classes, d).

    First the mean over people of each one's mean over emotions; then, for each emotion, the mean
    over people of how their voice differs from their own mean, 0 where nobody had it.

    embeddings : shape (n, d). emotions : class indices, shape (n,), -1 where unknown.
    """
    known = emotions >= 0
    person = np.unique(speakers[known], return_inverse=True)[1]
    cell = person * classes + emotions[known]
    total = np.zeros(((person.max() + 1) * classes, embeddings.shape[1]))
    np.add.at(total, cell, embeddings[known])
    count = np.bincount(cell, minlength=len(total))[:, None]
    means = np.where(count, total / np.maximum(count, 1), np.nan).reshape(
        -1, classes, total.shape[1]
    )
    own = np.nanmean(means, axis=1, keepdims=True)
    apart = means - own
    differs = np.nansum(apart, axis=0) / np.maximum((~np.isnan(apart)).sum(axis=0), 1)
    return np.concatenate([own.mean(axis=0), differs]).astype(np.float32)


def _centres(z: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each speaker, shape (S, k), and the speaker's number of each row, shape (n,)."""
    row = np.unique(speakers, return_inverse=True)[1]
    total = np.zeros((row.max() + 1, z.shape[1]))
    np.add.at(total, row, z)
    return total / np.bincount(row)[:, None], row
