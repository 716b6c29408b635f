"""What a representation puts near what: shares of variance, distances, maps, and its cost."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from persona import representations
from persona.audio import RATE
from persona.keeping import parallel

FACTORS = ("speaker", "gender", "emotion", "sentence")


def standardised(embeddings: np.ndarray) -> np.ndarray:
    """Each dimension centred and scaled to unit deviation; those that do not vary become 0.

    embeddings : shape (n, d), as the result.
    """
    deviation = embeddings.std(axis=0)
    return (embeddings - embeddings.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1)


def variance_shares(embeddings: np.ndarray, clips: pd.DataFrame) -> pd.Series:
    """Per cent of the standardised embeddings' variance between the groups of each of `FACTORS`.

    This is eta squared over all dimensions together. Gender is a property of the speaker, so its
    share is part of the speaker's. A factor whose groups are many and small gets some by chance.
    """
    values = standardised(embeddings)
    total = (values**2).sum()
    shares = {}
    for factor in FACTORS:
        groups = clips.groupby(factor, sort=False).indices.values()
        between = sum(len(rows) * (values[rows].mean(axis=0) ** 2).sum() for rows in groups)
        shares[factor] = 100 * between / total
    return pd.Series(shares)


def distances(embeddings: np.ndarray, clips: pd.DataFrame, pairs: int, seed: int = 0) -> pd.Series:
    """Mean cosine distance of random pairs of clips, by what the two clips share.

    embeddings : shape (n, d); standardised first. pairs : how many are drawn of each kind.
    """
    values = standardised(embeddings)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    rng = np.random.default_rng(seed)
    one, two = rng.integers(len(clips), size=(2, 40 * pairs))
    same = {
        factor: clips[factor].to_numpy()[one] == clips[factor].to_numpy()[two]
        for factor in ("speaker", "emotion", "gender")
    }
    kinds = {
        "same speaker and emotion": same["speaker"] & same["emotion"],
        "same speaker only": same["speaker"] & ~same["emotion"],
        "same gender and emotion": ~same["speaker"] & same["gender"] & same["emotion"],
        "same gender only": ~same["speaker"] & same["gender"] & ~same["emotion"],
        "same emotion only": ~same["gender"] & same["emotion"],
        "neither": ~same["gender"] & ~same["emotion"],
    }
    different = one != two
    chosen = {kind: np.flatnonzero(mask & different)[:pairs] for kind, mask in kinds.items()}
    return pd.Series(
        {kind: np.mean(1 - (values[one[i]] * values[two[i]]).sum(1)) for kind, i in chosen.items()}
    )


def plane(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """A 2-D map of standardised embeddings by PCA and t-SNE, shape (n, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    values = standardised(embeddings)
    components = min(30, *values.shape)
    reduced = PCA(components, random_state=seed).fit_transform(values)
    return TSNE(perplexity=min(30, (len(values) - 1) / 3), random_state=seed).fit_transform(reduced)


def extraction_cost(names: Sequence[str], clips: int = 32, seconds: float = 2.5) -> pd.DataFrame:
    """Dimension, and milliseconds per clip of `seconds` on one thread of this machine, warm.

    The clips are noise: no representation's speed depends on what is spoken. Decoding and the
    detection of speech, which all of them share, are not counted.

    Returns a frame indexed by name: `dimension`, `milliseconds` (the median over clips) and
    `speed`, how many times real time.
    """
    rng = np.random.default_rng(0)
    noise = list(rng.normal(0, 0.1, (clips, int(seconds * RATE))).astype(np.float32))
    rows = {}
    for name in names:
        loaded = representations.load(name)
        loaded.embed(noise[:1])  # what is loaded late, and compiled, is not counted
        [(_, each)] = parallel.run(_seconds, [(loaded, noise)])  # which sets one thread
        rows[name] = {
            "dimension": loaded.dimension,
            "milliseconds": 1000 * each,
            "speed": seconds / each,
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"dimension": int})


def _seconds(representation: representations.Representation, clips: list[np.ndarray]) -> float:
    """Median time to embed one clip."""
    times = []
    for clip in clips:
        start = time.perf_counter()
        representation.embed([clip])
        times.append(time.perf_counter() - start)
    return float(np.median(times))
