"""Results of experiments: sums per tested corpus, condition, seed and speaker."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from persona import evaluation, predictions
from persona.cross_validation import classes, labelled_clips
from persona.errors import PersonaError
from persona.evaluation import Sums

if TYPE_CHECKING:
    from persona.experiment import Experiment


@dataclass(frozen=True)
class Results:
    """Sums of experiments per tested corpus and condition.

    rows : columns experiment (identity), representation, architecture, protocol, trained_on,
        corpus (tested), condition, seed, speaker, and `evaluation.sum_columns`.
    """

    rows: pd.DataFrame

    def __getitem__(self, experiment: "Experiment") -> Sums:
        """Sums over the corpus that the experiment tests first."""
        return self.of(experiment)

    def of(self, experiment: "Experiment", corpus: str = "", condition: str = "") -> Sums:
        """Sums over one of the tested corpora, under one of its conditions."""
        rows = self.rows[self.rows["experiment"] == experiment.identity()]
        rows = rows[rows["corpus"] == (corpus or experiment.tests[0])]
        rows = rows[rows["condition"] == condition]
        if rows.empty:
            raise PersonaError(
                f"There are no results of {experiment.label or experiment.representation} on "
                f"{corpus or experiment.tests[0]} {condition}".rstrip()
                + "."
            )
        return evaluation.from_frame(rows, classes(experiment.corpus))


def summed(name: str, experiment: "Experiment", predicted: pd.DataFrame) -> pd.DataFrame:
    """Sums of out-of-fold predictions of an experiment; columns as of `Results.rows`.

    name : identity of the experiment. predicted : columns of `predictions.COLUMNS`, and corpus.
    """
    parts = []
    for corpus in experiment.tests:
        clips = labelled_clips(experiment, corpus)
        rows = predicted[predicted["corpus"] == corpus]
        for condition, some in _by_condition(clips):
            counts = evaluation.sums(rows[rows["clip"].isin(some["clip"])], some)
            keys = {
                "experiment": name,
                "representation": experiment.representation,
                "architecture": experiment.architecture,
                "protocol": experiment.protocol,
                "trained_on": "+".join([experiment.corpus, *experiment.besides]),
                "corpus": corpus,
                "condition": condition,
            }
            sums = evaluation.frame(counts, predictions.emotions(rows))
            parts.append(sums.assign(**keys))
    return pd.concat(parts, ignore_index=True)


def _by_condition(clips: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if "condition" not in clips:
        yield "", clips
        return
    for condition, some in clips.groupby("condition", sort=False):
        yield str(condition), some
