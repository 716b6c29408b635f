"""How much of a number is memory of who is speaking: a split with shared speakers, taken apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from persona import evaluation, folds, predictions
from persona.errors import CorpusError
from persona.evaluation import Sums
from persona.folds import Split
from persona.labels import GENDERS, emotion_classes
from persona.model.limits import too_few
from persona.own.check import document
from persona.own.memory import GIVEN, classes, constant, given, identified, linear, looked_up

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
        "looked up", "exchanged", "constant", and "given" where the table holds predictions.
        Accuracy, or for age RMSE in years.
    lost : index task; columns difference ("as split" less "by speaker", of the same clips), low,
        high; limits are NaN where speakers are fewer than `evaluation.FEWEST`.
    gained : the same of "given" less "looked up", or less "constant" where no speaker is shared.
    """

    speakers: int
    shared: int
    recognised: float
    scores: pd.DataFrame
    lost: pd.DataFrame
    gained: pd.DataFrame

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
        intervals = "Brackets hold 95 % intervals over speakers."
        if self.speakers < evaluation.FEWEST:
            intervals = too_few()
        lines.append(
            f"The model is linear, on speaker embeddings. {intervals} A larger network has more "
            "room to remember."
        )
        return "\n\n".join(lines)

    def html(self, title: str) -> str:
        """The same on one page, with the scores as a table; nothing is loaded from elsewhere."""
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.page().split("\n\n"))
        cells = [(t, way, _said(t, self.scores.loc[(t, way)])) for t, way in self.scores.index]
        rows = "".join("<tr><td>" + "</td><td>".join(row) + "</td></tr>" for row in cells)
        return document(title, f"{lines}<table>{rows}</table>")

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
        return " ".join([words, self._verdict(task), *self._of_given(task, said)])

    def _verdict(self, task: str) -> str:
        if not self.shared:
            return "No speaker is shared: none of it is memory of a speaker."
        better, chance = _better(task, self.lost)
        return f"For new voices, {better} of what the split reports are lost{chance}."

    def _of_given(self, task: str, said: dict[Any, str]) -> list[str]:
        if "given" not in said:
            return []
        better, chance = _better(task, self.gained)
        than = "looking the speaker up" if self.shared else "one answer for all"
        more = " What they would lose on new voices, they do not tell." if self.shared else ""
        return [
            f"The predictions given: {said['given']}, better than {than} by {better}{chance}.{more}"
        ]


def audit(clips: pd.DataFrame, embeddings: np.ndarray, column: str, seed: int = 0) -> Audit:
    """Take a split apart.

    clips : as of `Corpus.clips`, with a further column that names the split: fold numbers, each
        fold tested by what the others teach, or words of which one is among `TESTED`. Columns that
        end in `GIVEN` hold what a model predicted of each clip when it was tested.
    embeddings : of the clips, shape (n, d).

    Raises `CorpusError` where the column is missing or is no split, or a prediction is none.
    """
    split = splits(clips, column)
    folds_wanted = len(split) if len(split) > 1 else folds.FOLDS
    people = max(2, clips["speaker"].nunique())
    by_speaker = [
        Split(np.concatenate([one.train, one.validation]), one.validation[:0], one.test)
        for one in folds.split(clips, "speaker-disjoint", seed, min(folds_wanted, people))
    ]
    tasks = [task for task in MEASURES if _can_be_tested(clips[task], [*split, *by_speaker])]
    if not tasks:
        raise CorpusError(
            "The table has no labels that differ and are trained on in every fold: fill in "
            "emotion, gender or age."
        )
    changed = exchanged(clips, np.random.default_rng(seed))
    ways = {
        "as split": (linear, split, clips),
        "by speaker": (linear, by_speaker, clips),
        "looked up": (looked_up, split, clips),
        "exchanged": (linear, split, changed),
        "constant": (constant, split, clips),
    }
    tested = np.concatenate([one.test for one in split])
    predicted = predicted_tasks(clips.iloc[tested], tasks)
    if predicted:
        ways["given"] = (given, split, clips)
    sums = {way: _summed(embeddings, *how, tested) for way, how in ways.items()}
    found = {way: evaluation.score(counts) for way, counts in sums.items()}
    lost = evaluation.difference(sums["as split"], sums["by speaker"])
    scores = {
        (task, way): found[way].loc[MEASURES[task]]
        for task in tasks
        for way in found
        if way != "given" or task in predicted
    }
    named = [identified(embeddings, clips, one) == clips["speaker"].iloc[one.test] for one in split]
    speakers = clips["speaker"].to_numpy()
    shared = {s for one in split for s in set(speakers[one.test]) & set(speakers[one.train])}
    reference = sums["looked up" if shared else "constant"]
    gained = evaluation.difference(sums["given"], reference) if predicted else lost
    if len(set(speakers[tested])) < evaluation.FEWEST:
        for frame in (*found.values(), lost, gained):
            frame[["low", "high"]] = np.nan
    return Audit(
        len(set(speakers[tested])),
        len(shared),
        float(np.concatenate(named).mean()),
        pd.DataFrame(scores).T,
        lost.loc[[MEASURES[task] for task in tasks]].set_axis(tasks),
        gained.loc[[MEASURES[task] for task in predicted]].set_axis(predicted),
    )


def _can_be_tested(labels: pd.Series, split: Sequence[Split]) -> bool:
    known = labels.notna().to_numpy()
    return labels.nunique() >= 2 and all(known[one.train].any() for one in split)


def predicted_tasks(clips: pd.DataFrame, tasks: Sequence[str]) -> list[str]:
    """Tasks of which a table holds predictions; `CorpusError` naming the first that is none.

    A clip without a true label needs no prediction.
    """
    found = [task for task in tasks if task + GIVEN in clips]
    for task in found:
        labelled = clips[clips[task].notna()]
        values = labelled[task + GIVEN].astype(object)
        if task == "age":
            wrong = pd.to_numeric(values, errors="coerce").isna()
        elif task == "gender":
            wrong = ~values.isin(GENDERS)
        else:
            wrong = values.fillna("").astype(str) == ""
        if wrong.any():
            raise CorpusError(
                f"{task}{GIVEN} of {labelled['clip'][wrong].iloc[0]} is "
                f"{str(values[wrong].iloc[0])!r}, which is no {task}: every labelled clip that the "
                "split tests needs a prediction."
            )
    return found


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
    for mask in masks:
        clips_of = clips["speaker"][~mask].value_counts()
        if len(clips_of) < 2 or clips_of.max() < 2:
            raise CorpusError(
                f"A fold of {column} trains on {len(clips_of)} speakers with {clips_of.max()} "
                "clips at most: two or more speakers are needed, and two clips of one of them."
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
    emotions = np.array(emotion_classes(clips["emotion"]), object)
    for _, own in clips.groupby("speaker"):
        names = dict(zip(emotions, rng.permutation(emotions), strict=True))
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
    names, emotions = clips["clip"].to_numpy(), classes(clips)
    parts = [
        predictions.frame(answer(embeddings, clips, one), names[one.test], 0, k, emotions)
        for k, one in enumerate(split)
    ]
    rows = pd.concat(parts, ignore_index=True)
    return evaluation.sums(rows[rows["clip"].isin(names[tested])], clips)


def _better(task: str, difference: pd.DataFrame) -> tuple[str, str]:
    """A difference with its interval, positive where the first is better; what chance may be."""
    factor, unit = (-1, "years") if task == "age" else (100, "points")
    columns = difference[["difference", "low", "high"]]
    value, *limits = factor * columns.loc[[task]].to_numpy(float)[0]
    low, high = sorted(limits)
    chance = "" if low > 0 or high < 0 else ", which may be chance"
    return f"{value:.1f}{_brackets(low, high)} {unit}", chance


def _said(task: str, row: pd.Series) -> str:
    value, low, high = row[["value", "low", "high"]] * (1 if task == "age" else 100)
    unit = "years of error (RMSE)" if task == "age" else "%"
    return f"{value:.1f}{_brackets(low, high)} {unit}"


def _brackets(low: float, high: float) -> str:
    """An interval after a space; nothing where there is none."""
    return f" [{low:.1f}, {high:.1f}]" if np.isfinite(low) else ""
