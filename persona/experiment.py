"""Experiments: declared as data, cross-validated in parallel, kept with what made them.

results = run([Experiment("campplus"), Experiment("mfcc")], study="ears", train=True)
results[Experiment("mfcc")]                     # sums per seed and speaker, for `evaluation`
"""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from inspect import getsource
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd

from persona import features, folds, parallel, speech, store, training
from persona.cross_validation import check, checksum, fingerprint, given_folds, predict_fold
from persona.errors import PersonaError, StoreError, known
from persona.folds import GIVEN, PROTOCOLS, Split
from persona.labels import TASKS
from persona.network import ARCHITECTURES
from persona.results import Results, summed
from persona.training import Settings

Transform = Callable[[np.ndarray], np.ndarray]
Subset = Callable[[pd.DataFrame, Split, int], Split]
Relabel = Callable[[pd.DataFrame], pd.DataFrame]
Estimator = Callable[[np.ndarray, pd.DataFrame, Split, int], Any]
Start = Callable[[tuple[str, ...]], Any]
Folds = Callable[[pd.DataFrame], np.ndarray]


PLAIN = Settings()
"""The paper's settings."""


@dataclass(frozen=True)
class Experiment:
    """What is trained, on what, and what it is tested on.

    representation : a feature table, or several side by side: "dvector+mfcc".
    corpus : dealt into folds; several are joined by "+".
    besides : further corpora to train on, never tested. Of degraded copies only those are taken
        whose original, and everybody audible in them, is trained on.
    tested : corpora tested, by default `corpus`; of copies, those of the test fold's clips. All of
        a foreign corpus is tested by every network, whose seed is then 5 * seed + fold.
    candidates : settings to choose among on held-out training speakers, in place of `settings`.
    transform : embeddings (n, d) to embeddings, row by row: it must learn nothing from them.
    subset : clips, split and seed to the split that is used instead.
    relabel : clips to the clips with other labels, in training and in test.
    estimator : embeddings, clips, split and seed to what is predicted of `split.test` (emotion
        (n, 6), gender (n, 2), age (n,)); takes the place of the network.
    start : emotion classes to the networks that training begins with, one for each of the ensemble.
    given : clips to fold numbers as of `folds.given`, with protocol="given".
    label : what tables and figures call it.

    Functions may be defined in a notebook. They are identified by their name, the values that they
    are given (by `partial`, or from around their definition) and their attribute `version`, or
    else, unless they are this package's, their source.
    """

    representation: str
    architecture: str = "fcn"
    protocol: str = "speaker-disjoint"
    corpus: str = "crema-d"
    seeds: tuple[int, ...] = (0, 1, 2)
    settings: Settings = PLAIN
    besides: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    candidates: tuple[Settings, ...] = ()
    transform: Transform | None = None
    subset: Subset | None = None
    relabel: Relabel | None = None
    estimator: Estimator | None = None
    start: Start | None = None
    given: Folds | None = None
    label: str = ""

    def __post_init__(self) -> None:
        known("architecture", self.architecture, ARCHITECTURES)
        known("protocol", self.protocol, (*PROTOCOLS, GIVEN))
        if (self.protocol == GIVEN) != (self.given is not None):
            raise PersonaError(
                'Ready-made folds go with protocol="given", and it with them: set both or neither.'
            )
        for name in ("seeds", "besides", "tested", "candidates"):
            value = getattr(self, name)
            one = isinstance(value, int | str | Settings)
            object.__setattr__(self, name, (value,) if one else tuple(value))
        object.__setattr__(self, "seeds", tuple(sorted({int(seed) for seed in self.seeds})))
        if not self.seeds:
            raise PersonaError("An experiment needs a seed: give seeds=[0] or more.")
        unused = {
            "settings": self.settings != PLAIN or self.candidates,
            "architecture": self.architecture != "fcn",
            "besides": self.besides,
            "tested": self.tested,
            "start": self.start,
        }
        if self.estimator and (given := [name for name, value in unused.items() if value]):
            raise PersonaError(
                f"An estimator takes the network's place, so {given[0]} would be ignored: leave "
                "it out."
            )
        if self.candidates and self.settings != PLAIN:
            raise PersonaError("Settings are chosen among the candidates: leave `settings` out.")
        if len({candidate.patience > 0 for candidate in self.candidates}) > 1:
            raise PersonaError("Candidates stop early all or none: set patience=0 in all or none.")

    def but(self, **changes: Any) -> "Experiment":
        """The same experiment with other fields; names of `Settings` change its settings."""
        own = {field.name for field in fields(self)}
        settings = {name: changes.pop(name) for name in set(changes) - own}
        if unknown := set(settings) - {field.name for field in fields(Settings)}:
            raise PersonaError(f"An experiment has no field {sorted(unknown)[0]!r}.")
        if settings:
            changes["settings"] = replace(changes.get("settings", self.settings), **settings)
        return replace(self, **changes)

    def only(self, *tasks: str) -> "Experiment":
        """The same experiment for some of the three tasks: the others' losses weigh nothing."""
        for task in tasks:
            known("task", task, TASKS)
        return self.but(weights=tuple(float(task in tasks) for task in TASKS))

    @property
    def tests(self) -> tuple[str, ...]:
        """Corpora that are tested."""
        return self.tested or (self.corpus,)

    def description(self) -> dict[str, Any]:
        """Every field but the label as plain JSON."""
        described: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "label" or value is None or value == ():
                continue
            if field.name == "settings":
                value = _described(value)
            elif field.name == "candidates":
                value = [_described(candidate) for candidate in value]
            described[field.name] = _identified(value)
        return described

    def identity(self) -> str:
        """Twelve hex digits of a hash over all that decides the predictions.

        What is tested besides goes in by its audio, not by its tables, which need not be there to
        read results.
        """
        trained = [*self.corpus.split("+"), *self.besides]
        tables = {
            corpus: [features.checksum(self.representation, corpus), checksum(corpus)]
            for corpus in trained
        }
        tested = {
            corpus: [fingerprint(corpus), checksum(corpus), speech.provenance()]
            for name in self.tested
            for corpus in name.split("+")
            if corpus not in trained
        }
        version = {"training": training.VERSION, "experiment": VERSION}
        decisive: list[Any] = [version, self.description(), tables, tested]
        if (numbers := given_folds(self)) is not None:
            decisive.append(store.checksum({"fold": numbers}))
        return store.fingerprint(decisive)[:12]

    def folds(self) -> int:
        """How many folds are tested."""
        numbers = given_folds(self)
        return folds.FOLDS if numbers is None else int(numbers.max()) + 1


VERSION = 1
"""Raised whenever the same experiment would give other predictions for the code in this file."""


def _described(settings: Settings) -> dict[str, Any]:
    """Settings as plain JSON, without what is empty: it changes nothing."""
    return {name: value for name, value in asdict(settings).items() if value != ()}


def _identified(value: Any) -> Any:
    """A function, or what one is given, as plain JSON: equal only if it does the same."""
    if isinstance(value, partial):
        given = {name: _identified(given) for name, given in value.keywords.items()}
        return [_identified(value.func), [_identified(given) for given in value.args], given]
    try:
        if not isinstance(value, FunctionType):
            return json.loads(store.plain_json(value))
        around = [_identified(cell.cell_contents) for cell in value.__closure__ or ()]
        version = getattr(value, "version", None)
        if version is None and not str(value.__module__).startswith("persona."):
            version = store.fingerprint(getsource(value))[:12]
    except (TypeError, ValueError, OSError) as error:
        raise PersonaError(
            f"{value!r} cannot be told from others in an experiment: give a function that a file "
            "or notebook defines, and to it plain values."
        ) from error
    return [f"{value.__qualname__} version {version or 1}", around]


def run(
    experiments: Sequence[Experiment],
    study: str = "experiments",
    *,
    train: bool | Sequence[str] = False,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
) -> Results:
    """Results of experiments: read, or computed.

    study : name of the table of results that is read or written.
    train : compute what has not been computed here, of all experiments or of those on the named
        representations. Predictions are kept by experiment, so that an interrupted run goes on
        where it was; two runs of one study take turns. False: read the results that ship, or those
        made here before.
    jobs, backend, scheduler : as of `parallel.run`.

    Raises `PersonaError` before anything is trained where a table or a result is missing.
    """
    if not experiments:
        raise PersonaError("There is no experiment to run: name one or more.")
    wanted = {experiment.identity(): experiment for experiment in experiments}
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
    file = store.find("predictions", f"{experiment.identity()}.parquet")
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


def _trained(wanted: dict[str, Experiment], train: bool | Sequence[str]) -> set[str]:
    """Identities of the experiments that `run` is asked to compute."""
    if isinstance(train, int):
        return set(wanted) if train else set()
    names = [train] if isinstance(train, str) else list(train)
    there = sorted({experiment.representation for experiment in wanted.values()})
    for name in names:
        known("representation to train on", name, there)
    return {name for name, e in wanted.items() if e.representation in names}


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
    from tqdm import tqdm

    tasks = [
        (name, experiment, seed, fold)
        for name, experiment in waiting.items()
        for seed in experiment.seeds
        for fold in range(experiment.folds())
    ]
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in waiting}
    done = parallel.run(
        predict_fold, [task[1:] for task in tasks], jobs=jobs, backend=backend,
        scheduler=scheduler,
    )  # fmt: skip
    for number, rows in tqdm(done, "training", len(tasks), unit="fold", disable=not tasks):
        name, experiment = tasks[number][:2]
        parts[name].append(rows)
        if len(parts[name]) == experiment.folds() * len(experiment.seeds):
            whole = pd.concat(parts.pop(name)).sort_values(
                ["corpus", "seed", "fold"], kind="stable"
            )
            columns = {str(column): whole[column].to_numpy() for column in whole}
            store.write_table(_file(name), columns, {"experiment": experiment.description()})
