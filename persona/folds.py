"""Five folds in two protocols: random clips (the paper's, as it seems) and unseen speakers.

Folds that others have cut are taken as they are, by `given`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from persona.errors import PersonaError, known

PROTOCOLS = ("random-clip", "speaker-disjoint")
GIVEN = "given"
"""In place of a protocol: the folds are ready-made."""

TRAINED, WATCHED, LEFT_OUT = -1, -2, -3
"""In place of a fold's number: a row is only trained on, only validated on, or not used."""

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
    """Cut the rows of `clips` (column `speaker`; `gender`, `corpus` if any) into `folds` splits.

    random-clip : clips are shuffled; every speaker is in training and in test.
    speaker-disjoint : no speaker is in two parts of a split; folds are balanced by gender and
        corpus.

    Validation is a tenth of the training folds' clips or speakers. Every row is tested once.
    Raises `PersonaError` for an unknown protocol, or fewer speakers or clips than folds.
    """
    known("protocol", protocol, PROTOCOLS)
    rng = np.random.default_rng(seed)
    if protocol == "random-clip":
        unit = np.arange(len(clips))  # what is dealt out, for each row
        strata = np.zeros(len(clips), dtype=int)
        if len(clips) < folds:
            raise PersonaError(f"{len(clips)} clips cannot be dealt into {folds} folds: add more.")
    else:
        names, first, unit = np.unique(
            clips["speaker"].to_numpy(), return_index=True, return_inverse=True
        )
        if len(names) < folds:
            raise PersonaError(
                f"{len(names)} speakers cannot be dealt into {folds} folds: add recordings of "
                "other people."
            )
        balanced = [column for column in ("corpus", "gender") if column in clips]
        people = [" ".join(map(str, row)) for row in clips.iloc[first][balanced].to_numpy()]
        strata = np.unique(people, return_inverse=True)[1]

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


def given(clips: pd.DataFrame, numbers: np.ndarray, seed: int) -> list[Split]:
    """Splits of the rows of `clips` by ready-made fold numbers, whole, shape (n,).

    Each fold 0, 1, ... is tested once, and all that is neither it, WATCHED nor LEFT_OUT is trained
    on. Without WATCHED rows, validation is a tenth of that: of its speakers where they are several
    and none of them is tested, else of its clips.

    Raises `PersonaError` where the numbers do not fit the clips, skip a fold, or leave nothing to
    train on.
    """
    numbers = np.asarray(numbers)
    if numbers.shape != (len(clips),) or numbers.dtype.kind not in "iu":
        raise PersonaError(
            f"Fold numbers of {len(clips)} clips are {len(clips)} whole numbers, not "
            f"{numbers.dtype} of shape {numbers.shape}."
        )
    folds = np.unique(numbers[numbers >= 0])
    if not len(folds) or folds[-1] != len(folds) - 1 or numbers.min() < LEFT_OUT:
        raise PersonaError(
            f"Folds are numbered 0, 1, ... without a gap, or {TRAINED} (trained on), {WATCHED} "
            f"(validated on) and {LEFT_OUT} (left out), not {np.unique(numbers).tolist()}."
        )
    rng, speaker = np.random.default_rng(seed), clips["speaker"].to_numpy()
    watched = np.flatnonzero(numbers == WATCHED)
    splits = []
    for fold in folds:
        test = np.flatnonzero(numbers == fold)
        rest = np.flatnonzero((numbers >= TRAINED) & (numbers != fold))
        if len(rest) < 2:
            raise PersonaError(f"Fold {fold} leaves nothing to train on: give further folds.")
        validation = watched
        if not len(watched):
            several = len(np.unique(speaker[rest])) > 1
            apart = several and not np.isin(speaker[rest], speaker[test]).any()
            names, unit = np.unique(speaker[rest] if apart else rest, return_inverse=True)
            parts = round(len(names) / max(1, round(VALIDATION * len(names))))
            validation = rest[_deal(np.zeros(len(names), int), parts, rng)[unit] == 0]
        splits.append(Split(np.setdiff1d(rest, validation), validation, test))
    return splits


def _deal(strata: np.ndarray, hands: int, rng: np.random.Generator) -> np.ndarray:
    """Deal units into `hands` of equal size, each with its share of every stratum."""
    shuffled = rng.permutation(len(strata))
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    hand = np.empty(len(strata), dtype=int)
    hand[order] = np.arange(len(strata)) % hands
    return hand
