"""Who the network is wrong about: groups of speakers and clips, the crowd, and its own doubts.

Everything is computed from out-of-fold predictions for unseen speakers, three seeds, of the
best representation that needs no download.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from persona import calibration, evaluation, paths, predictions, training
from persona.corpora import EMOTIONS, GENDERS
from persona.predictions import PROBABILITIES, Configuration

CONFIGURATION = Configuration("mfcc+dvector+egemaps", "fcn", "speaker-disjoint", "balanced")
SEEDS = (0, 1, 2)
TASKS = {"emotion": "emotion error", "gender": "gender error", "age": "age error, years"}
CLASSES = ("emotion", "gender")
"""The tasks with probabilities to calibrate."""

FEWEST = 5
"""Groups of fewer speakers are listed without an interval or a test."""

PERMUTATIONS = 20_000


def file() -> Path:
    """The predictions that ship with the repository."""
    return paths.data() / "results" / "errors_predictions.parquet"


def make(jobs: int | None = None) -> None:
    """Train the networks (about a minute) and keep their out-of-fold predictions in `file()`."""
    made = CONFIGURATION.file(_folder())
    if file().exists() and not made.exists():  # kept by cross_validate if made the same way
        made.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file(), made)
    training.cross_validate([CONFIGURATION], _folder(), SEEDS, jobs=jobs)
    file().parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, file())


def _folder() -> Path:
    return paths.build() / "ablations" / "errors"


def read(representation: str, architecture: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Predictions for unseen speakers, columns `predictions.COLUMNS`.

    Those of `CONFIGURATION` and `SEEDS` are shipped, any others are trained first.
    """
    wanted = replace(CONFIGURATION, representation=representation, architecture=architecture)
    if wanted == CONFIGURATION and set(seeds) <= set(SEEDS):
        small = dict.fromkeys([*PROBABILITIES, "p_female"], np.float32)
        rows = pd.read_parquet(file()).astype(small)
        return rows[rows["seed"].isin(seeds)].reset_index(drop=True)
    folder = _folder() / "-".join(map(str, seeds))
    training.cross_validate([wanted], folder, seeds)
    return predictions.read([wanted], folder)[predictions.COLUMNS]


def per_clip(said: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """`clips` with three errors, averaged over seeds, and the bias of age in years.

    Columns `emotion_error` and `gender_error` are shares of wrong answers, `age_error` is
    |said - true| and `age_bias` is said - true, both in years.
    """
    rows = _labelled(said, clips)
    heard = rows[PROBABILITIES].to_numpy().argmax(axis=1)
    female = np.where(rows["p_female"] >= 0.5, 0, 1)
    bias = rows["age_said"] - rows["age"]
    errors = pd.DataFrame(
        {
            "clip": rows["clip"],
            "emotion_error": heard != _codes(rows["emotion"], EMOTIONS),
            "gender_error": female != _codes(rows["gender"], GENDERS),
            "age_error": bias.abs(),
            "age_bias": bias,
        }
    )
    return clips.merge(errors.groupby("clip", as_index=False).mean(), on="clip")


def _labelled(said: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    return said.merge(clips, on="clip", suffixes=("_said", ""), validate="many_to_one")


def _codes(values: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    return pd.Categorical(values, classes).codes


def attributes(clips: pd.DataFrame) -> pd.DataFrame:
    """What clips are grouped by, a categorical column each; empty where a clip is left out of it.

    Only the sentence IEO was acted at stated intensities, and neutral never was, so intensity
    compares those clips among themselves: elsewhere it would stand for the sentence.
    """
    intensity = clips["level"].map({"LO": "low", "MD": "medium", "HI": "high"})
    columns = ["gender", "race", "ethnicity", "emotion", "sentence"]
    return (
        clips[columns]
        .astype("category")
        .assign(
            age=pd.cut(
                clips["age"],
                [19, 29, 39, 49, 99],
                labels=["20-29", "30-39", "40-49", "50 and over"],
            ),
            intensity=pd.Categorical(intensity, ["low", "medium", "high"]),
        )
    )


def by_group(errors: pd.DataFrame, permutations: int = PERMUTATIONS) -> pd.DataFrame:
    """Error of every group of every attribute, and whether it differs from the other groups.

    errors : as of `per_clip`.

    Returns one row per attribute, group and task: `clips`, `speakers`, `value` with its 95 %
    bootstrap interval (`low`, `high`) over the group's speakers, `difference` from the other
    groups, its permutation `p`, and `p_holm`, corrected over all groups of the task. Attributes
    of speakers are tested by dealing them out anew over speakers, attributes of clips by
    flipping the signs of the speakers' own differences.
    """
    speaker = np.unique(errors["speaker"], return_inverse=True)[1]
    rows = [
        {"attribute": attribute, "task": task} | row
        for attribute, groups in attributes(errors).items()
        for task in TASKS
        for row in _groups(groups, errors[f"{task}_error"].to_numpy(float), speaker, permutations)
    ]
    table = pd.DataFrame(rows)
    table["p_holm"] = table.dropna(subset="p").groupby("task")["p"].transform(evaluation.holm)
    return table


def _groups(
    groups: pd.Series, values: np.ndarray, speaker: np.ndarray, permutations: int
) -> list[dict[str, object]]:
    def sums(chosen: pd.Series) -> np.ndarray:
        """Clips and summed error of every speaker, shape (2, S)."""
        size, who = speaker.max() + 1, speaker[chosen]
        return np.stack([np.bincount(who, minlength=size),
                         np.bincount(who, values[chosen], minlength=size)])  # fmt: skip

    rows = []
    for name in groups.cat.remove_unused_categories().cat.categories:
        own, rest = sums(groups == name), sums(groups.notna() & (groups != name))
        present = own[0] > 0
        clips, total = own.sum(axis=1)
        row = {"group": name, "clips": int(clips), "speakers": present.sum(),
               "value": total / clips}  # fmt: skip
        if present.sum() >= FEWEST and rest[0].any():
            drawn = evaluation.resample(present.sum()) @ own[:, present].T
            row["low"], row["high"] = np.quantile(drawn[:, 1] / drawn[:, 0], [0.025, 0.975])
            shared = present & (rest[0] > 0)
            row["difference"], row["p"] = (
                _within(own[:, shared], rest[:, shared], permutations)
                if shared.any()
                else _between(own + rest, present, permutations)
            )
        rows.append(row)
    return rows


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


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`by_group` as it is printed: a row per group, "*" where Holm's p is below 0.05."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for _, row in table.iterrows():
        factor, digits = (1, 1) if row["task"] == "age" else (100, 1)
        value, low, high = factor * row["value"], factor * row["low"], factor * row["high"]
        cell = f"{value:.{digits}f}"
        if np.isfinite(low):
            cell += f" [{low:.{digits}f}, {high:.{digits}f}]" + "*" * (row["p_holm"] < 0.05)
        heading = TASKS[row["task"]] + ("" if row["task"] == "age" else ", %")
        key = (row["attribute"], row["group"])
        rows.setdefault(key, {"speakers": row["speakers"], "clips": row["clips"]})[heading] = cell
    return pd.DataFrame(rows).T.rename_axis(["by", "group"])


def age_bias(errors: pd.DataFrame) -> pd.DataFrame:
    """Mean of said minus true age, in years, per age band, with its interval over speakers."""
    rows = {}
    for band, part in errors.groupby(attributes(errors)["age"], observed=True):
        people = part.groupby("speaker")["age_bias"].agg(["size", "sum"]).to_numpy()
        drawn = evaluation.resample(len(people)) @ people
        low, high = np.quantile(drawn[:, 1] / drawn[:, 0], [0.025, 0.975])
        rows[band] = {"speakers": len(people), "bias": part["age_bias"].mean(),
                      "low": low, "high": high}  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("age")


def vote_accuracy(clips: pd.DataFrame) -> pd.DataFrame:
    """How often the listeners' leading emotion is the acted one, with its interval over speakers.

    A tied vote counts by its share: one of two leaders is half right. Columns `clips`, `value`,
    `low`, `high`; rows for all clips and for those without a tie.
    """
    leaders = clips["voice_vote"].str.split(":")
    credit = [
        (emotion in said) / len(said)
        for emotion, said in zip(clips["emotion"], leaders, strict=True)
    ]
    table = clips.assign(credit=credit)
    rows = {}
    untied = table[~table["voice_vote"].str.contains(":")]
    for name, part in {"all": table, "no tie": untied}.items():
        people = part.groupby("speaker")["credit"].agg(["size", "sum"]).to_numpy()
        drawn = evaluation.resample(len(people)) @ people
        low, high = np.quantile(drawn[:, 1] / drawn[:, 0], [0.025, 0.975])
        rows[name] = {"clips": len(part), "value": part["credit"].mean(), "low": low, "high": high}
    return pd.DataFrame(rows).T


def joint(said: pd.DataFrame, clips: pd.DataFrame) -> np.ndarray:
    """Clips per speaker, acted emotion, network's and listeners' answer: shape (S, 6, 6, 6).

    Clips with a tied vote are left out; each clip counts 1 in all, shared among the seeds.
    """
    rows = _labelled(said, clips[~clips["voice_vote"].str.contains(":")])
    speakers, speaker = np.unique(rows["speaker"], return_inverse=True)
    acted, people = (_codes(rows[column], EMOTIONS) for column in ("emotion", "voice_vote"))
    network = rows[PROBABILITIES].to_numpy().argmax(axis=1)
    counts = np.zeros((len(speakers), 6, 6, 6))
    np.add.at(counts, (speaker, acted, network, people), 1 / rows["seed"].nunique())
    return counts


def together(counts: np.ndarray) -> pd.DataFrame:
    """Where network and listeners fail together; `value`, `low`, `high` over speakers.

    counts : as of `joint`.

    Shares of clips that both, one or neither got right, "neither, were they independent" given
    how hard each emotion is for either, Cohen's kappa of being right (and kappa beyond what the
    emotion explains), and, of the clips that both got wrong, how many got the same wrong answer
    and how many would if each answered at random from its own wrong answers to that emotion.
    """
    weights = np.ones((1, len(counts)))
    value = _together(weights, counts)
    drawn = _together(evaluation.resample(len(counts)), counts)
    return pd.DataFrame(
        {
            "value": {name: value[name][0] for name in value},
            "low": {name: np.quantile(drawn[name], 0.025) for name in value},
            "high": {name: np.quantile(drawn[name], 0.975) for name in value},
        }
    )


def _together(weights: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    cells = np.einsum("bs,stnp->btnp", weights, counts)
    clips = cells.sum(axis=(2, 3))
    network, people, both = (
        np.einsum(f"{subscripts}->bt", cells) for subscripts in ("bttp", "btnt", "bttt")
    )
    neither = clips - network - people + both
    chance_neither = _over((clips - network) * (clips - people), clips)
    chance_both = _over(network * people, clips)

    def share(part: np.ndarray) -> np.ndarray:
        return part.sum(axis=1) / clips.sum(axis=1)

    agreement = share(both + neither)
    p, q = share(network), share(people)
    wrong = cells * _WRONG
    each, other = wrong.sum(axis=3), wrong.sum(axis=2)
    same = np.einsum("btii->b", wrong)
    chance_same = _over((each * other).sum(axis=2), each.sum(axis=2)).sum(axis=1)
    all_wrong = each.sum(axis=(1, 2))
    return {
        "network right": p,
        "listeners right": q,
        "both right": share(both),
        "only the network right": share(network - both),
        "only the listeners right": share(people - both),
        "neither right": share(neither),
        "neither, were they independent": share(chance_neither),
        "neither, beyond independence": share(neither - chance_neither),
        "kappa of being right": _kappa(agreement, p * q + (1 - p) * (1 - q)),
        "kappa within emotions": _kappa(agreement, share(chance_both + chance_neither)),
        "same answer, of those both got wrong": _over(same, all_wrong),
        "same answer, were they independent": _over(chance_same, all_wrong),
        "same answer, beyond independence": _over(same - chance_same, all_wrong),
    }


_WRONG = np.array(
    [[[n != t and p != t for p in range(6)] for n in range(6)] for t in range(6)], dtype=float
)


def _kappa(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return _over(observed - expected, 1 - expected)


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, and 0 where there is nothing to share out."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 1e-12)


def confusions(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Confusion counts, shape (6, 6), of network and listeners, and how alike their errors are.

    The last is Pearson's correlation of the 30 off-diagonal shares of each acted emotion.
    """
    cells = counts.sum(axis=0)
    network, people = cells.sum(axis=2), cells.sum(axis=1)
    off = ~np.eye(6, dtype=bool)
    shares = [(c / c.sum(axis=1, keepdims=True))[off] for c in (network, people)]
    return network, people, float(np.corrcoef(*shares)[0, 1])


def temperatures(said: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """Temperature of emotion and of gender for every seed and fold.

    A fold's temperature is fitted on the same seed's predictions of the other four folds: none
    of its speakers is among them, and every one of those predictions is itself out of fold.
    """
    rows = _labelled(said, clips)
    found = []
    for (seed, fold), _ in rows.groupby(["seed", "fold"]):
        others = rows[(rows["seed"] == seed) & (rows["fold"] != fold)]
        found.append(
            {"seed": seed, "fold": fold}
            | {
                task: calibration.temperature(*_said(others, task))
                for task in ("emotion", "gender")
            }
        )
    return pd.DataFrame(found)


def _said(rows: pd.DataFrame, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, shape (n, C), and labels, shape (n,), of a task."""
    if task == "emotion":
        return rows[PROBABILITIES].to_numpy(float), _codes(rows["emotion"], EMOTIONS)
    # Half-precision steps of 0.0005 below 1 hide how far from certain the network was.
    female = rows["p_female"].to_numpy(float).clip(2.5e-4, 1 - 2.5e-4)
    return np.stack([female, 1 - female], axis=1), _codes(rows["gender"], GENDERS)


def calibrations(
    said: pd.DataFrame, clips: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Calibration of emotion and gender as trained and after temperature scaling.

    Returns a table indexed by task and state: `ece` with its interval over speakers, `log_loss`
    and mean `temperature`; and the reliability curve of each, named "TASK, STATE".
    """
    fitted = temperatures(said, clips)
    rows = _labelled(said, clips)
    speakers, speaker = np.unique(rows["speaker"], return_inverse=True)
    of_row = rows[["seed", "fold"]].merge(fitted, on=["seed", "fold"], how="left")
    weights = evaluation.resample(len(speakers))
    table, curves = {}, {}
    for task in CLASSES:
        raw, labels = _said(rows, task)
        scaled = calibration.tempered(raw, of_row[task].to_numpy()[:, None])
        for state, shares, factor in (
            ("as trained", raw, 1.0),
            ("temperature-scaled", scaled, fitted[task].mean()),
        ):
            counts = calibration.binned(shares, labels, speaker)
            low, high = np.quantile(calibration.expected_error(counts, weights), [0.025, 0.975])
            table[task, state] = {
                "ece": calibration.expected_error(counts, np.ones((1, len(speakers))))[0],
                "low": low, "high": high,
                "log_loss": calibration.log_loss(shares, labels), "temperature": factor,
            }  # fmt: skip
            curves[f"{task}, {state}"] = calibration.reliability(counts)
    return pd.DataFrame(table).T.rename_axis(["task", "state"]), curves
