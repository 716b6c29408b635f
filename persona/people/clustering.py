"""Average linkage: voices that are alike become one person's."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Merge(NamedTuple):
    """Two clusters that become one, by the numbers of a voice of each; the first keeps its own.

    cosine : mean over the pairs of their voices. lesser : seconds of the lesser cluster.
    """

    cosine: float
    one: int
    two: int
    lesser: float


def merges(voices: np.ndarray, seconds: np.ndarray) -> list[Merge]:
    """How n voices become one cluster, the most alike first: n - 1 merges, cosines falling.

    A voice may itself be the mean of a cluster: merges go on as if with all of its voices.

    voices : shape (n, d), of length 1, or means of such. seconds : that each was heard, shape (n,).
    """
    count, weights = len(voices), seconds.astype(float)
    cosine = voices.astype(float) @ voices.T
    np.fill_diagonal(cosine, -np.inf)
    found = []
    for _ in range(count - 1):
        one, two = sorted(divmod(int(cosine.argmax()), count))
        lesser = float(min(weights[one], weights[two]))
        found.append(Merge(float(cosine[one, two]), one, two, lesser))
        share = weights[one] / (weights[one] + weights[two])
        cosine[one] = cosine[:, one] = share * cosine[one] + (1 - share) * cosine[two]
        cosine[one, one] = cosine[two] = cosine[:, two] = -np.inf
        weights[one] += weights[two]
    return found


def joined(done: Sequence[Merge], count: int) -> np.ndarray:
    """Number of the cluster of each of `count` voices after these merges, from 0."""
    label = np.arange(count)
    for merge in done:
        label[label == merge.two] = merge.one
    return np.unique(label, return_inverse=True)[1]


def unlike(found: Sequence[Merge], fewest: float) -> float:
    """Mean cosine of the two groups, of `fewest` seconds or more each, that are least alike; 1
    where there are no two.
    """
    return min((merge.cosine for merge in found if merge.lesser >= fewest), default=1.0)


def gap(found: Sequence[Merge], low: float, high: float, fewest: float) -> float:
    """The middle of the widest gap between `low` and `high` in which no two people would become
    one: of merges, those of less than `fewest` seconds do not count.
    """
    between = [m.cosine for m in found if m.lesser >= fewest and low < m.cosine < high]
    edges = np.array([low, *sorted(between), high])
    widest = int(np.diff(edges).argmax())
    return float(edges[widest : widest + 2].mean())
