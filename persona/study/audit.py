"""How much of a number is memory of who is speaking: a split with shared speakers, taken apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from persona import evaluation, folds, predictions
from persona.errors import CorpusError
from persona.evaluation import Sums
from persona.folds import Split
from persona.labels import GENDERS, emotion_classes
from persona.study.estimators import identified, scaled

TESTED = ("test", "testing", "eval", "evaluation")
"""Words in a split's column for what is tested; what is not, is trained on."""

MEASURES = {"emotion": "emotion_accuracy", "gender": "gender_accuracy", "age": "age_rmse"}
MOST = 30
"""Folds a column may name; one of more values is no split."""

Answer = Callable[[np.ndarray, pd.DataFrame, Split], Any]


@dataclass(frozen=True)
class Audit:
    """What was found of a split.

    speakers, shared : speakers tested, and those of them who are trained on too, in any fold.
    recognised : share of test clips whose speaker a linear model names.
    scores : index (task, way); columns value, low, high. Ways: "as split", "by speaker",
        "looked up", "exchanged", "constant". Accuracy, or for age RMSE in years.
    lost : index task; columns difference ("as split" less "by speaker", of the same clips), low,
        high.
    """

    speakers: int
    shared: int
    recognised: float
    scores: pd.DataFrame
    lost: pd.DataFrame

    def page(self) -> str:
        """What it means, in plain words."""
        lines = [f"Of {self.speakers} speakers who are tested, {self.shared} are trained on too."]
        if self.shared:
            lines.append(
                f"A linear model names the speaker of {self.recognised:.0%} of the test clips, so "
                "that whatever belongs to a person can be looked up instead of heard."
            )
        lines += [
            self._of_task(task) for task in dict.fromkeys(self.scores.index.get_level_values(0))
        ]
        lines.append(
            "The model is linear, on speaker embeddings. Brackets hold 95 % intervals over "
            "speakers. A larger network has more room to remember."
        )
        return "\n\n".join(lines)

    def _of_task(self, task: str) -> str:
        ways = self.scores.loc[task]
        said = {way: _said(task, row) for way, row in ways.iterrows()}
        words = (
            f"{task.capitalize()}. As split: {said['as split']}. The same folds cut by speaker: "
            f"{said['by speaker']}. One answer for all: {said['constant']}."
        )
        if self.shared:
            exchanged = (
                "with each speaker's labels named anew at random, so that only memory of that "
                "speaker helps"
                if task == "emotion"
                else "with labels exchanged at random between speakers, so that the voice tells "
                "nothing but who it is"
            )
            words += (
                f" Looked up by the nearest speaker: {said['looked up']}. Learnt {exchanged}: "
                f"{said['exchanged']}."
            )
        return f"{words} {self._verdict(task)}"

    def _verdict(self, task: str) -> str:
        if not self.shared:
            return "No speaker is shared: none of it is memory of a speaker."
        factor, unit = (-1, "years") if task == "age" else (100, "points")
        columns = self.lost[["difference", "low", "high"]]
        value, *limits = factor * columns.loc[[task]].to_numpy(float)[0]
        low, high = sorted(limits)
        chance = "" if low > 0 or high < 0 else ", which may be chance"
        return (
            f"For new voices, {value:.1f} [{low:.1f}, {high:.1f}] {unit} of what the split reports "
            f"are lost{chance}."
        )


def audit(clips: pd.DataFrame, embeddings: np.ndarray, column: str, seed: int = 0) -> Audit:
    """Take a split apart.

    clips : as of `Corpus.clips`, with a further column that names the split: fold numbers, each
        fold tested by what the others teach, or words of which one is among `TESTED`.
    embeddings : of the clips, shape (n, d).

    Raises `CorpusError` where the column is missing or is no split.
    """
    split = splits(clips, column)
    tasks = [task for task in MEASURES if clips[task].nunique() >= 2]
    if not tasks:
        raise CorpusError("The table has no labels that differ: fill in emotion, gender or age.")
    folds_wanted = len(split) if len(split) > 1 else folds.FOLDS
    by_speaker = [
        Split(np.concatenate([one.train, one.validation]), one.validation[:0], one.test)
        for one in folds.split(clips, "speaker-disjoint", seed, folds_wanted)
    ]
    changed = exchanged(clips, np.random.default_rng(seed))
    ways = {
        "as split": (linear, split, clips),
        "by speaker": (linear, by_speaker, clips),
        "looked up": (looked_up, split, clips),
        "exchanged": (linear, split, changed),
        "constant": (constant, split, clips),
    }
    tested = np.concatenate([one.test for one in split])
    sums = {way: _summed(embeddings, *how, tested) for way, how in ways.items()}
    found = {way: evaluation.score(counts) for way, counts in sums.items()}
    lost = evaluation.difference(sums["as split"], sums["by speaker"])
    scores = {(task, way): found[way].loc[MEASURES[task]] for task in tasks for way in found}
    named = [identified(embeddings, clips, one) == clips["speaker"].iloc[one.test] for one in split]
    speakers = clips["speaker"].to_numpy()
    shared = {s for one in split for s in set(speakers[one.test]) & set(speakers[one.train])}
    return Audit(
        len(set(speakers[tested])),
        len(shared),
        float(np.concatenate(named).mean()),
        pd.DataFrame(scores).T,
        lost.loc[[MEASURES[task] for task in tasks]].set_axis(tasks),
    )


def splits(clips: pd.DataFrame, column: str) -> list[Split]:
    """The splits that a column of a table names; `CorpusError` where it names none."""
    if column not in clips:
        raise CorpusError(
            f"The table has no column {column!r}: it has {', '.join(map(str, clips))}."
        )
    values = clips[column].fillna("").astype(str).str.strip()
    if (values == "").any():
        raise CorpusError(
            f"{column} is empty for {clips['clip'][values == ''].iloc[0]}: fill it in."
        )
    is_tested = values.str.casefold().isin(TESTED)
    masks = [is_tested] if is_tested.any() else [values == name for name in sorted(set(values))]
    if (len(masks) == 1 and masks[0].all()) or len(masks) > MOST:
        raise CorpusError(
            f"{column} has {values.nunique()} values and is no split: write fold numbers, or "
            "train and test."
        )
    nothing = np.empty(0, int)
    return [Split(np.flatnonzero(~mask), nothing, np.flatnonzero(mask)) for mask in masks]


def exchanged(clips: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Clips whose labels tell who is speaking and nothing else.

    Gender and age go from speaker to speaker at random; of emotion, which one speaker has several
    of, every speaker's classes are named anew at random.
    """
    people = clips.drop_duplicates("speaker").set_index("speaker")[["gender", "age"]]
    others = people.iloc[rng.permutation(len(people))].set_index(people.index)
    changed = clips.assign(
        **{name: clips["speaker"].map(others[name]) for name in ("gender", "age")}
    )
    classes = np.array(emotion_classes(clips["emotion"]), object)
    for _, own in clips.groupby("speaker"):
        names = dict(zip(classes, rng.permutation(classes), strict=True))
        changed.loc[own.index, "emotion"] = own["emotion"].map(names)
    return changed


def _summed(
    embeddings: np.ndarray,
    answer: Answer,
    split: list[Split],
    clips: pd.DataFrame,
    tested: np.ndarray,
) -> Sums:
    """Sums over the clips of the rows `tested`."""
    classes, names = emotion_classes(clips["emotion"]), clips["clip"].to_numpy()
    parts = [
        predictions.frame(answer(embeddings, clips, one), names[one.test], 0, k, classes)
        for k, one in enumerate(split)
    ]
    rows = pd.concat(parts, ignore_index=True)
    return evaluation.sums(rows[rows["clip"].isin(names[tested])], clips)


def linear(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """Logistic and ridge regression on the labels there are; nothing is tuned."""
    from sklearn.linear_model import LogisticRegression, Ridge

    known, tested = scaled(embeddings, split)

    def answer(task: str) -> np.ndarray:
        labels = clips[task].iloc[split.train]
        there = labels.notna().to_numpy()
        if labels.nunique() < 2:
            return np.full(len(tested), labels[there].iloc[0] if there.any() else None, object)
        model = Ridge() if task == "age" else LogisticRegression(max_iter=2000)
        return model.fit(known[there], labels[there]).predict(tested)

    return _as_predicted(answer, clips)


def looked_up(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """The usual label, or the mean age, of the training speaker whom each clip is taken for."""
    speakers = identified(embeddings, clips, split)
    of_speaker = clips.iloc[split.train].groupby("speaker")

    def answer(task: str) -> np.ndarray:
        usual = of_speaker[task].agg("mean" if task == "age" else _mode)
        return usual.reindex(speakers).to_numpy()

    return _as_predicted(answer, clips)


def constant(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> tuple[np.ndarray, ...]:
    """The most frequent labels and the mean age of what is trained on."""
    known = clips.iloc[split.train]

    def answer(task: str) -> np.ndarray:
        usual = known[task].mean() if task == "age" else _mode(known[task])
        return np.full(len(split.test), usual)

    return _as_predicted(answer, clips)


def _mode(labels: pd.Series) -> Any:
    return next(iter(labels.mode()), None)


def _as_predicted(answer: Callable[[str], np.ndarray], clips: pd.DataFrame) -> tuple[Any, ...]:
    """Certain answers as `predictions.frame` takes them."""
    emotion, gender = (
        (answer(task)[:, None] == np.array(classes, object)).astype(np.float32)
        for task, classes in (("emotion", emotion_classes(clips["emotion"])), ("gender", GENDERS))
    )
    return emotion, gender, np.asarray(answer("age"), np.float32)


def _said(task: str, row: pd.Series) -> str:
    value, low, high = row["value"], row["low"], row["high"]
    if task == "age":
        return f"{value:.1f} [{low:.1f}, {high:.1f}] years of error (RMSE)"
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}] %"
