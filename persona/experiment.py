"""Experiments, declared as data: what is trained, on what, and what it is tested on."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from persona.errors import PersonaError, known
from persona.folds import GIVEN, PROTOCOLS, Split
from persona.keeping.identity import identified
from persona.labels import TASKS
from persona.network import ARCHITECTURES
from persona.training import Settings

Transform = Callable[[np.ndarray], np.ndarray]
Subset = Callable[[pd.DataFrame, Split, int], Split]
Relabel = Callable[[pd.DataFrame], pd.DataFrame]
Estimator = Callable[[np.ndarray, pd.DataFrame, Split, int], Any]
Start = Callable[[tuple[str, ...]], Any]
Folds = Callable[[pd.DataFrame], np.ndarray]


One = TypeVar("One")


class _Several(Generic[One]):
    """A field that is given one value or several, and holds a tuple."""

    def __init__(self, default: tuple[One, ...] = ()) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> tuple[One, ...]:
        if instance is None:
            return self._default
        values: tuple[One, ...] = vars(instance)[self._name]
        return values

    def __set__(self, instance: Any, given: One | Iterable[One]) -> None:
        many = isinstance(given, Iterable) and not isinstance(given, str)
        vars(instance)[self._name] = tuple(given) if many else (given,)  # type: ignore[arg-type]


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
    moved_to : corpus, one of `besides`, whose speakers' plain speech says where the copies of
        `Settings.moved` are moved to: see `training.Moves`.
    candidates : settings to choose among on held-out training speakers, in place of `settings`.
    transform : embeddings (n, d) to embeddings, row by row: it must learn nothing from them.
    subset : clips, split and seed to the split that is used instead.
    relabel : clips to the clips with other labels, in training and in test.
    estimator : embeddings, clips, split and seed to what is predicted of `split.test` (emotion
        (n, 6), gender (n, 2), age (n,)); takes the place of the network.
    start : emotion classes to the networks that training begins with, one for each of the ensemble.
    given : clips to fold numbers as of `folds.given`, with protocol="given".
    label : what tables and figures call it.

    Functions may be defined in a notebook. They are identified by their module and name, the values
    that they are given (by `partial`, or from around their definition) and their attribute
    `version`, or else by their source and the globals that it reads, as of `keeping.identity`.
    """

    representation: str
    architecture: str = "fcn"
    protocol: str = "speaker-disjoint"
    corpus: str = "crema-d"
    seeds: _Several[int] = _Several((0, 1, 2))
    settings: Settings = PLAIN
    besides: _Several[str] = _Several()
    tested: _Several[str] = _Several()
    moved_to: str = ""
    candidates: _Several[Settings] = _Several()
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
        object.__setattr__(self, "seeds", tuple(sorted({int(seed) for seed in self.seeds})))
        if not self.seeds:
            raise PersonaError("An experiment needs a seed: give seeds=[0] or more.")
        unused = {
            "settings": self.settings != PLAIN or self.candidates,
            "architecture": self.architecture != "fcn",
            "besides": self.besides,
            "tested": self.tested,
            "moved_to": self.moved_to,
            "start": self.start,
        }
        if self.estimator and (given := [name for name, value in unused.items() if value]):
            raise PersonaError(
                f"An estimator takes the network's place, so {given[0]} would be ignored: leave "
                "it out."
            )
        if self.moved_to and self.moved_to not in self.besides:
            raise PersonaError(f"{self.moved_to} is not trained on: name it in `besides`, too.")
        moved = any(one.moved for one in self.candidates or (self.settings,))
        if moved != bool(self.moved_to):
            raise PersonaError("moved copies and moved_to go together: set both or neither.")
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
            if field.name == "label" or value in (None, (), ""):
                continue
            if field.name == "settings":
                value = _described(value)
            elif field.name == "candidates":
                value = [_described(candidate) for candidate in value]
            described[field.name] = identified(value)
        return described


def _described(settings: Settings) -> dict[str, Any]:
    """Settings as plain JSON, without what is empty or came later, where it changes nothing."""
    values = asdict(settings)
    same = [f.name for f in fields(settings) if f.metadata and values[f.name] == f.default]
    return {k: value for k, value in values.items() if value != () and k not in same}
