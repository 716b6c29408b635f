"""Run experiments: identify, compute in parallel, keep, sum up.

results = run([Experiment("campplus"), Experiment("mfcc")], study="ears", train=True)
results[Experiment("mfcc")]                     # sums per seed and speaker, for `evaluation`
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from persona import corpora, evaluation, folds, predictions, training
from persona.audio import speech
from persona.cross_validation import (
    check,
    given_folds,
    predict_fold,
)
from persona.dataset import Dataset
from persona.errors import PersonaError, StoreError, known
from persona.evaluation import Sums
from persona.experiment import Experiment
from persona.keeping import parallel, progress, store

VERSION = 1
"""Raised whenever an experiment would give other predictions for `cross_validation`'s code."""


def identity(experiment: Experiment) -> str:
    """Twelve hex digits of a hash over all that decides the predictions of an experiment.

    What is tested besides goes in by its audio, not by its tables, which need not be there to
    read results.
    """
    trained = [*corpora.several(experiment.corpus), *experiment.besides]
    data = [Dataset(corpus, experiment.representation) for corpus in trained]
    tables = {one.corpus: [one.embeddings_checksum, one.checksum] for one in data}
    heard = [
        Dataset(corpus)
        for name in experiment.tested
        for corpus in corpora.several(name)
        if corpus not in trained
    ]
    tested = {one.corpus: [one.fingerprint, one.checksum, speech.provenance()] for one in heard}
    version = {"training": training.VERSION, "experiment": VERSION}
    decisive: list[Any] = [version, experiment.description(), tables, tested]
    if (numbers := given_folds(experiment)) is not None:
        decisive.append(store.checksum({"fold": numbers}))
    return store.fingerprint(decisive)[:12]


def _folds(experiment: Experiment) -> int:
    """How many folds are tested."""
    numbers = given_folds(experiment)
    return folds.FOLDS if numbers is None else int(numbers.max()) + 1


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
        rows = self.rows[self.rows["experiment"] == identity(experiment)]
        rows = rows[rows["corpus"] == (corpus or experiment.tests[0])]
        rows = rows[rows["condition"] == condition]
        if rows.empty:
            raise PersonaError(
                f"There are no results of {experiment.label or experiment.representation} on "
                f"{corpus or experiment.tests[0]} {condition}".rstrip()
                + "."
            )
        return evaluation.from_frame(rows, Dataset(experiment.corpus).classes)


def summed(name: str, experiment: "Experiment", predicted: pd.DataFrame) -> pd.DataFrame:
    """Sums of out-of-fold predictions of an experiment; columns as of `Results.rows`.

    name : identity of the experiment. predicted : columns of `predictions.COLUMNS`, and corpus.
    """
    parts = []
    for corpus in experiment.tests:
        clips = Dataset(corpus).relabelled(experiment.relabel)
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


def run(
    experiments: Sequence[Experiment],
    study: str = "experiments",
    *,
    train: bool | Sequence[str | Experiment] = False,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
) -> Results:
    """Results of experiments: read, or computed.

    study : name of the table of results that is read or written.
    train : compute what has not been computed here, of all experiments or of some: those on the
        named representations, and those given. Predictions are kept by experiment, so that an
        interrupted run goes on where it was; two runs of one study take turns. False: read the
        results that ship, or those made here before.
    jobs, backend, scheduler : as of `parallel.run`.

    Raises `PersonaError` before anything is trained where a table or a result is missing.
    """
    if not experiments:
        raise PersonaError("There is no experiment to run: name one or more.")
    wanted = {identity(experiment): experiment for experiment in experiments}
    trained = _trained(wanted, train)
    kept = _kept(study, trained)
    missing = {name: e for name, e in wanted.items() if name not in kept}
    waiting = {name: e for name, e in missing.items() if not _file(name).exists()}
    if lacking := [e for name, e in waiting.items() if name not in trained]:
        first = lacking[0]
        raise PersonaError(
            f"The results of {len(lacking)} experiments ({first.label or first.representation}, "
            f"...) are not among those of {study!r}: compute them with train=True."
        )
    for experiment in waiting.values():
        check(experiment)
    with store.lock(store.made() / "predictions" / study) if waiting else nullcontext():
        here = {name: e for name, e in waiting.items() if not _file(name).exists()}
        _compute(here, jobs, backend, scheduler)
    for name, experiment in missing.items():
        kept[name] = summed(name, experiment, _predictions(_file(name)))
    rows = pd.concat([kept[name] for name in wanted], ignore_index=True)
    if missing:
        made_by = {
            "study": study,
            "experiments": {name: e.description() for name, e in wanted.items()},
            "software": store.software("torch", "numpy"),
        }
        columns = {str(column): rows[column].to_numpy() for column in rows}
        store.write_table(store.made() / "results" / f"{study}.parquet", columns, made_by)
    return Results(rows)


def out_of_fold(experiment: Experiment) -> pd.DataFrame:
    """Every prediction of an experiment that was run here or ships; columns as of `predictions`.

    Raises `PersonaError` where it was not run.
    """
    file = store.find("predictions", f"{identity(experiment)}.parquet")
    if not file.exists():
        raise PersonaError(
            f"There are no predictions of {experiment.label or experiment.representation}: run it "
            "with train=True."
        )
    return _predictions(file)


def _predictions(file: Path) -> pd.DataFrame:
    try:
        return pd.DataFrame(store.read_table(file).columns)
    except StoreError as error:
        raise PersonaError(f"{error} It holds the predictions of an experiment.") from error


def _file(identity: str) -> Path:
    return store.made() / "predictions" / f"{identity}.parquet"


def _trained(wanted: dict[str, Experiment], train: bool | Sequence[str | Experiment]) -> set[str]:
    """Identities of the experiments that `run` is asked to compute."""
    if isinstance(train, int):
        return set(wanted) if train else set()
    asked = [train] if isinstance(train, str) else list(train)
    there = sorted({experiment.representation for experiment in wanted.values()})
    for one in asked:
        if not isinstance(one, Experiment):
            known("representation to train on", one, there)
    return {name for name, e in wanted.items() if e.representation in asked or e in asked}


def _kept(study: str, trained: set[str]) -> dict[str, pd.DataFrame]:
    """Rows of results by experiment: made here or, unless they are to be computed, shipped."""
    kept: dict[str, pd.DataFrame] = {}
    for folder in (store.shipped(), store.made()):
        file = folder / "results" / f"{study}.parquet"
        if file.exists():
            rows = pd.DataFrame(store.read_table(file).columns)
            found = {str(name): part for name, part in rows.groupby("experiment", sort=False)}
            ships = folder == store.shipped()
            kept |= {name: part for name, part in found.items() if not (ships and name in trained)}
    return kept


def _compute(
    waiting: dict[str, Experiment], jobs: int | None, backend: str, scheduler: str | None
) -> None:
    """Train every fold of every experiment; predictions are written as each is complete."""
    tasks = [
        (name, experiment, seed, fold)
        for name, experiment in waiting.items()
        for seed in experiment.seeds
        for fold in range(_folds(experiment))
    ]
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in waiting}
    done = parallel.run(
        predict_fold, [task[1:] for task in tasks], jobs=jobs, backend=backend,
        scheduler=scheduler,
    )  # fmt: skip
    for number, rows in progress.bar(
        done, "training", total=len(tasks), unit="fold", disable=not tasks
    ):
        name, experiment = tasks[number][:2]
        parts[name].append(rows)
        if len(parts[name]) == _folds(experiment) * len(experiment.seeds):
            whole = pd.concat(parts.pop(name)).sort_values(
                ["corpus", "seed", "fold"], kind="stable"
            )
            columns = {str(column): whole[column].to_numpy() for column in whole}
            store.write_table(_file(name), columns, {"experiment": experiment.description()})
