"""Whom the network is wrong about: groups of speakers and clips, the crowd, and its own doubts.

All from out-of-fold predictions (`predictions.COLUMNS`) of clips with CREMA-D's columns; the
speaker, not the clip, is the unit of every interval and test.
"""

import numpy as np
import pandas as pd

from persona import calibration, evaluation
from persona.labels import EMOTIONS, GENDERS
from persona.predictions import PROBABILITIES
from persona.study.comparison import ALPHA, enough

TASKS = {"emotion": "emotion error, %", "gender": "gender error, %", "age": "age error, years"}
"""Columns of `per_clip`, and what they are called."""

FEWEST = 5
"""Groups of fewer speakers are listed without an interval or a test."""


def mean(values: np.ndarray, speakers: np.ndarray) -> tuple[float, float, float]:
    """Mean over clips, shape (n,), and its 95 % bootstrap interval over speakers, shape (n,)."""
    row = np.unique(speakers, return_inverse=True)[1]
    people = np.stack([np.bincount(row), np.bincount(row, values)])
    drawn = evaluation.resample(people.shape[1]) @ people.T
    return float(np.mean(values)), *evaluation.interval(drawn[:, 1] / drawn[:, 0])


def labelled(predicted: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """Predictions with their clips' labels; `age_predicted` is the predicted age."""
    return predicted.merge(clips, on="clip", suffixes=("_predicted", ""), validate="many_to_one")


def per_clip(predicted: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """`clips` with the columns of `TASKS`, and `bias`, predicted minus true age, seeds averaged."""
    rows = labelled(predicted, clips)
    emotion = np.array(EMOTIONS)[rows[PROBABILITIES].to_numpy().argmax(axis=1)]
    gender = np.where(rows["p_female"] >= 0.5, *GENDERS)
    bias = rows["age_predicted"] - rows["age"]
    wrong = pd.DataFrame(
        {
            "clip": rows["clip"],
            "emotion_error": 100.0 * (emotion != rows["emotion"]),
            "gender_error": 100.0 * (gender != rows["gender"]),
            "age_error": bias.abs(),
            "bias": bias,
        }
    )
    return clips.merge(wrong.groupby("clip", as_index=False).mean(), on="clip")


def by_group(wrong: pd.DataFrame, groups: pd.DataFrame, permutations: int) -> pd.DataFrame:
    """Error of every group of every attribute, and whether it differs from the other groups.

    wrong : as of `per_clip`. groups : a categorical column per attribute, in the same order of
    clips; empty where a clip is left out.

    Returns a row per attribute, group and task: `clips`, `speakers`, `value`, its interval `low`
    and `high`, `difference` from the other groups, its permutation `p` (attributes of speakers are
    dealt out anew over speakers; for those of clips the speakers' own differences change sign),
    `p_holm`, corrected over all groups of the task, and `clear`, whether that is below 0.05.

    Raises `PersonaError` where so few permutations could not tell any group from the others.
    """
    columns = [column.cat.remove_unused_categories() for _, column in groups.items()]
    enough(permutations, sum(len(column.cat.categories) for column in columns), "permutations")
    speaker = np.unique(wrong["speaker"], return_inverse=True)[1]
    rows = [
        {"attribute": attribute, "task": task, "group": name}
        | _group((column == name).to_numpy(), column.notna().to_numpy(),
                 wrong[f"{task}_error"].to_numpy(), speaker, permutations)
        for attribute, column in zip(groups, columns, strict=True)
        for task in TASKS
        for name in column.cat.categories
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table["p_holm"] = table.groupby("task")["p"].transform(evaluation.holm)
    return table.assign(clear=table["p_holm"] < ALPHA)


def _group(
    own: np.ndarray, known: np.ndarray, errors: np.ndarray, speaker: np.ndarray, permutations: int
) -> dict[str, float]:
    def sums(chosen: np.ndarray) -> np.ndarray:
        """Clips and summed error of every speaker, shape (2, S)."""
        size, who = speaker.max() + 1, speaker[chosen]
        return np.stack([np.bincount(who, minlength=size),
                         np.bincount(who, errors[chosen], minlength=size)])  # fmt: skip

    inside, outside = sums(own), sums(known & ~own)
    present = inside[0] > 0
    row = {"clips": inside[0].sum(), "speakers": present.sum(),
           "value": inside[1].sum() / inside[0].sum()}  # fmt: skip
    empty = dict.fromkeys(("low", "high", "difference", "p"), np.nan)
    if present.sum() < FEWEST or not outside[0].any():
        return row | empty
    _, low, high = mean(errors[own], speaker[own])
    shared = present & (outside[0] > 0)
    difference, p = (
        _within(inside[:, shared], outside[:, shared], permutations)
        if shared.any()
        else _between(inside + outside, present, permutations)
    )
    return row | {"low": low, "high": high, "difference": difference, "p": p}


def _between(sums: np.ndarray, members: np.ndarray, permutations: int) -> tuple[float, float]:
    """Difference between speakers in and outside a group, and its permutation p value."""
    rng = np.random.default_rng(0)
    dealt = rng.permuted(np.tile(members, (permutations, 1)), axis=1)

    def difference(chosen: np.ndarray) -> np.ndarray:
        inside, outside = chosen @ sums.T, ~chosen @ sums.T
        return inside[:, 1] / inside[:, 0] - outside[:, 1] / outside[:, 0]

    seen = difference(members[None])[0]
    return seen, _p(seen, difference(dealt))


def _within(own: np.ndarray, rest: np.ndarray, permutations: int) -> tuple[float, float]:
    """Mean of the speakers' own differences between groups of clips, and its sign-flip p value."""
    differences = own[1] / own[0] - rest[1] / rest[0]
    signs = np.random.default_rng(0).choice([-1, 1], (permutations, len(differences)))
    return differences.mean(), _p(differences.mean(), signs @ differences / len(differences))


def _p(seen: float, permuted: np.ndarray) -> float:
    # The margin counts ties that rounding would break.
    return (1 + (abs(permuted) >= abs(seen) - 1e-12).sum()) / (1 + len(permuted))


def joint(predicted: pd.DataFrame, clips: pd.DataFrame) -> np.ndarray:
    """Clips per speaker, acted emotion, network's and listeners' answer: shape (S, 6, 6, 6).

    Clips with a tied vote are left out; each clip counts 1 in all, shared among the seeds.
    """
    rows = labelled(predicted, clips[~clips["voice_vote"].str.contains(":")])
    people, speaker = np.unique(rows["speaker"], return_inverse=True)
    acted, votes = (pd.Categorical(rows[c], EMOTIONS).codes for c in ("emotion", "voice_vote"))
    network = rows[PROBABILITIES].to_numpy().argmax(axis=1)
    counts = np.zeros((len(people), 6, 6, 6))
    np.add.at(counts, (speaker, acted, network, votes), 1 / rows["seed"].nunique())
    return counts


def together(counts: np.ndarray) -> pd.DataFrame:
    """Where network and listeners are right and wrong together; `value`, `low`, `high`.

    counts : as of `joint`. Shares of clips; "neither, if independent" is given how hard each
    emotion is for either.
    """
    weights = np.vstack([np.ones(len(counts)), evaluation.resample(len(counts))])
    cells = np.einsum("bs,stnp->btnp", weights, counts)
    clips = cells.sum(axis=(2, 3))
    network, people, both = (np.einsum(f"{i}->bt", cells) for i in ("bttp", "btnt", "bttt"))
    neither = clips - network - people + both
    independent = (clips - network) * (clips - people) / np.maximum(clips, 1e-12)
    of_clips = {
        "network right": network,
        "listeners right": people,
        "only the network right": network - both,
        "only the listeners right": people - both,
        "neither right": neither,
        "neither, if independent": independent,
        "neither, beyond independence": neither - independent,
    }
    shares = {name: part.sum(axis=1) / clips.sum(axis=1) for name, part in of_clips.items()}
    rows = {name: (s[0], *evaluation.interval(s[1:])) for name, s in shares.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def probabilities(rows: pd.DataFrame, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, shape (n, C), and labels, shape (n,), of "emotion" or "gender"."""
    if task == "emotion":
        return rows[PROBABILITIES].to_numpy(float), pd.Categorical(rows[task], EMOTIONS).codes
    female = rows["p_female"].to_numpy(float)
    return np.stack([female, 1 - female], axis=1), pd.Categorical(rows[task], GENDERS).codes


def tempered(rows: pd.DataFrame, task: str) -> np.ndarray:
    """Probabilities whose temperatures come from the other folds of the same seed; (n, C)."""
    raw, labels = probabilities(rows, task)
    found = np.empty((len(rows), 1))
    for seed in rows["seed"].unique():
        own = (rows["seed"] == seed).to_numpy()
        fold = rows["fold"].to_numpy()[own]
        found[own] = calibration.held_out_temperatures(raw[own], labels[own], fold)
    return calibration.tempered(raw, found)


def calibration_error(
    shares: np.ndarray, labels: np.ndarray, speakers: np.ndarray
) -> tuple[float, float, float]:
    """Expected calibration error in per cent, and its 95 % bootstrap interval over speakers."""
    counts = calibration.binned(shares, labels, np.unique(speakers, return_inverse=True)[1])
    weights = np.vstack([np.ones(len(counts)), evaluation.resample(len(counts))])
    value, *drawn = 100 * calibration.expected_error(counts, weights)
    return value, *evaluation.interval(np.array(drawn))


def tells(score: np.ndarray, right: np.ndarray, speakers: np.ndarray) -> tuple[float, float, float]:
    """How well a number tells right answers from wrong ones, with a 95 % interval over speakers.

    The area under the ROC curve: the share of pairs of a right and a wrong answer, each shape
    (n,), in which the right one has the higher score. 0.5 is chance.
    """
    row = np.unique(speakers, return_inverse=True)[1]
    rank = np.unique(score, return_inverse=True)[1]
    weights = np.vstack([np.ones(row.max() + 1), evaluation.resample(row.max() + 1)])
    areas = []
    for weight in weights:
        good, bad = (np.bincount(rank, weight[row] * part) for part in (right, ~right))
        below = np.cumsum(bad) - bad / 2
        areas.append((good * below).sum() / max(good.sum() * bad.sum(), 1e-12))
    return areas[0], *evaluation.interval(np.array(areas[1:]))
