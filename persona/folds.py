"""Five folds in two protocols: random clips (the paper's, as it seems) and unseen speakers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from persona.errors import PersonaError

PROTOCOLS = ("random-clip", "speaker-disjoint")
FOLDS = 5
VALIDATION = 0.1
"""Share of the training folds kept for early stopping."""


@dataclass(frozen=True)
class Split:
    """Row numbers of one fold: `train` fits, `validation` stops, `test` is predicted."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(clips: pd.DataFrame, protocol: str, seed: int, folds: int = FOLDS) -> list[Split]:
    """Cut the rows of `clips` (columns `speaker`, `gender`) into `folds` splits.

    random-clip : clips are shuffled; every speaker is heard in training and in test.
    speaker-disjoint : no speaker is in two parts of a split; folds are balanced by gender.

    Validation is a tenth of the training folds' clips or speakers. Every row is tested once.
    Raises `PersonaError` for an unknown protocol.
    """
    rng = np.random.default_rng(seed)
    if protocol == "random-clip":
        unit = np.arange(len(clips))  # what is dealt out, for each row
        strata = np.zeros(len(clips), dtype=int)
    elif protocol == "speaker-disjoint":
        speaker, gender = clips["speaker"].to_numpy(), clips["gender"].to_numpy()
        _, first, unit = np.unique(speaker, return_index=True, return_inverse=True)
        strata = np.unique(gender[first], return_inverse=True)[1]
    else:
        raise PersonaError(
            f"There is no protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}."
        )

    fold = _deal(strata, folds, rng)
    splits = []
    for k in range(folds):
        rest = np.flatnonzero(fold != k)
        parts = round(len(rest) / max(1, round(VALIDATION * len(rest))))
        validation = rest[_deal(strata[rest], parts, rng) == 0]
        train = np.setdiff1d(rest, validation)
        splits.append(
            Split(
                *(
                    np.flatnonzero(np.isin(unit, part))
                    for part in (train, validation, np.flatnonzero(fold == k))
                )
            )
        )
    return splits


def _deal(strata: np.ndarray, hands: int, rng: np.random.Generator) -> np.ndarray:
    """Deal units into `hands` of equal size, each with its share of every stratum."""
    shuffled = rng.permutation(len(strata))
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    hand = np.empty(len(strata), dtype=int)
    hand[order] = np.arange(len(strata)) % hands
    return hand
