"""Fit one multi-task network: the only training loop.

The paper's loss is cross-entropy (emotion) + cross-entropy (gender) + mean squared error (age).
Taken in years, the squared error (about 170 for a constant) outweighs the rest, so by default age
is learnt in standard deviations of the training ages.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from persona.errors import PersonaError, known
from persona.keeping.progress import bar
from persona.labels import TASKS
from persona.losses import WEIGHINGS, Targets, Weighing, losses
from persona.network import AGE_HEADS, HIDDEN, SCALINGS, Ensemble, Network

if TYPE_CHECKING:
    from pandas import DataFrame

VERSION = 3
"""Raised whenever the same data, settings and seed would give another network."""

SCHEDULES = ("decay", "one-cycle")
AGE_UNITS = ("deviation", "year")


@dataclass(frozen=True)
class Settings:
    """How a network is built and trained; the defaults are the paper's, where it gives any.

    epochs : at most this many (paper: 20).
    batch_size : clips per update. The paper does not give it.
    learning_rate : of Adam (paper: 1e-3).
    schedule : "decay", the rate falls by the factor `decay` per epoch; "one-cycle", it rises for a
        tenth of the updates and falls to nothing (Smith and Topin 2019).
    patience : epochs without a lower validation loss after which training stops; the weights of
        the best epoch are kept. 0: no early stopping, and validation rows are trained on as well.
    weight_decay : decoupled, as of AdamW.
    dropout, input_dropout, age_dropout, age_head, hidden : as of `network.Network`.
    label_smoothing : of emotion; half of it for gender.
    age_unit : "deviation" (of the training ages) or "year" (as the paper's text reads).
    weights : of the emotion, gender and age loss; 0 leaves a task out.
    watched : weights of the losses in early stopping; None: those of `weights`.
    weighing : how the losses are weighed while training, see `losses.Weighing`.
    scaling : of the input, see `network.Standardisation`.
    networks : size of the ensemble.
    parts : columns of the embedding, each as of `network.Network`; `networks` of the ensemble
        listen to each of them. Empty: all listen to all.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: str = "decay"
    decay: float = 0.9
    patience: int = 5
    weight_decay: float = 0.0
    dropout: float = 0.0
    input_dropout: float = 0.0
    age_dropout: float = 0.0
    label_smoothing: float = 0.0
    age_unit: str = "deviation"
    age_head: str = "number"
    hidden: tuple[int, ...] = HIDDEN
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    watched: tuple[float, float, float] | None = None
    weighing: str = "fixed"
    scaling: str = "standard"
    networks: int = 1
    parts: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for name in ("weights", "watched"):  # 1 and 1.0 are one setting
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(map(float, value)))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "parts", tuple((first, last) for first, last in self.parts))
        known("schedule", self.schedule, SCHEDULES)
        known("unit of age", self.age_unit, AGE_UNITS)
        known("age head", self.age_head, AGE_HEADS)
        known("weighing", self.weighing, WEIGHINGS)
        known("scaling", self.scaling, SCALINGS)
        for name in ("epochs", "batch_size", "networks"):
            if getattr(self, name) < 1:
                raise PersonaError(f"{name} is {getattr(self, name)}: give 1 or more.")
        for name in ("dropout", "input_dropout", "age_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise PersonaError(f"{name} is {getattr(self, name)}: give a share below 1.")
        if not self.hidden or not any(self.weights):
            raise PersonaError("A network needs a hidden layer and a task whose weight is not 0.")
        if self.weighing == "gradnorm" and self.age_head == "linear":
            raise PersonaError(
                "weighing='gradnorm' compares gradients on the trunk, which age_head='linear' "
                "goes past: choose another of either."
            )
        if self.age_dropout and self.age_head != "linear":
            raise PersonaError("age_dropout goes with age_head='linear': set both or neither.")


@dataclass
class History:
    """Mean losses per epoch, each of shape (epochs, 3 tasks), and the best epoch, from 0."""

    training: list[np.ndarray] = field(default_factory=list)
    validation: list[np.ndarray] = field(default_factory=list)
    best_epoch: int = 0

    def frame(self) -> "DataFrame":
        """Columns epoch (from 1), part ("training", "validation"), task and loss."""
        import pandas as pd

        rows = [
            (epoch + 1, part, task, loss)
            for part in ("training", "validation")
            for epoch, values in enumerate(getattr(self, part))
            for task, loss in zip(TASKS, values, strict=True)
        ]
        return pd.DataFrame(rows, columns=["epoch", "part", "task", "loss"])


def build(
    dimension: int,
    architecture: str,
    settings: Settings,
    emotions: int = 6,
    columns: Sequence[int] = (),
) -> Network:
    """The network that `settings` describe, with random weights."""
    return Network(
        dimension,
        architecture,
        age_head=settings.age_head,
        hidden=settings.hidden,
        dropout=settings.dropout,
        input_dropout=settings.input_dropout,
        age_dropout=settings.age_dropout,
        emotions=emotions,
        columns=columns,
    )


def fit(
    embeddings: Tensor,
    targets: Targets,
    train: np.ndarray,
    validation: np.ndarray,
    seed: int,
    architecture: str = "fcn",
    settings: Settings | None = None,
    *,
    reference: np.ndarray | None = None,
    emotions: int = 6,
    progress: str = "",
    start: Network | None = None,
    columns: Sequence[int] = (),
) -> tuple[Network, History]:
    """Train one network; deterministic for its seed on one thread.

    embeddings : float32, shape (n, dimension); targets : of the same n rows.
    train, validation : row numbers. reference : rows that set the scale of input and age, by
        default `train`.
    progress : label of a progress bar; empty shows none.
    start : network of the same shape whose weights and scales training begins with.
    columns : that it listens to, as of `network.Network`.

    Raises `PersonaError` where there is nothing to train on.
    """
    settings = settings or Settings()
    if not settings.patience:
        train, validation = np.concatenate([train, validation]), validation[:0]
    if not len(train):
        raise PersonaError("There is no clip to train on: choose more speakers or clips.")
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(embeddings.shape[1], architecture, settings, emotions, columns)
        if start is None:
            rows = train if reference is None else reference
            _measure(network, embeddings, targets, rows, settings)
        else:
            network.load_state_dict(start.state_dict())
        history = _train(network, embeddings, targets, train, validation, rng, settings, progress)
    return network.eval(), history


def fit_ensemble(
    embeddings: Tensor,
    targets: Targets,
    train: np.ndarray,
    validation: np.ndarray,
    seed: int,
    architecture: str = "fcn",
    settings: Settings | None = None,
    start: Sequence[Network] = (),
    **options: "np.ndarray | int | str | None",
) -> tuple[Ensemble, list[History]]:
    """Train `settings.networks` networks for each of its parts; arguments as of `fit`.

    start : a network for each to begin with, or none.
    """
    settings = settings or Settings()
    parts = [part for part in settings.parts or ((),) for _ in range(settings.networks)]
    seeds = [seed] if len(parts) == 1 else [100 * seed + i for i in range(len(parts))]
    firsts = list[Network | None](start) or [None] * len(seeds)
    fitted = [
        fit(
            embeddings, targets, train, validation, one, architecture, settings,
            start=first, columns=part, **options,  # type: ignore[arg-type]
        )
        for one, first, part in zip(seeds, firsts, parts, strict=True)
    ]  # fmt: skip
    return Ensemble([network for network, _ in fitted]), [history for _, history in fitted]


def _measure(
    network: Network, embeddings: Tensor, targets: Targets, rows: np.ndarray, settings: Settings
) -> None:
    """Set the scale of the input and the unit of age from training rows."""
    chosen = torch.as_tensor(rows)
    network.input.measure(network.heard(embeddings[chosen]), settings.scaling)
    with_age = chosen[targets.known[chosen, TASKS.index("age")] > 0]
    if settings.age_unit == "deviation" and len(with_age):
        network.age.measure(targets.age[with_age])


def _train(
    network: Network,
    embeddings: Tensor,
    targets: Targets,
    train: np.ndarray,
    validation: np.ndarray,
    rng: np.random.Generator,
    settings: Settings,
    progress: str,
) -> History:
    weighing = Weighing(settings.weighing, settings.weights)
    watched = torch.tensor(settings.watched or settings.weights)
    optimiser = torch.optim.AdamW(
        [*network.parameters(), *weighing.parameters()],
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    updates = settings.epochs * -(-len(train) // settings.batch_size)
    cycle = _one_cycle(optimiser, settings, updates)
    history, lowest, best = History(), np.inf, deepcopy(network.state_dict())
    for epoch in bar(range(settings.epochs), progress, disable=not progress, leave=False):
        network.train()
        total = torch.zeros(3)
        for rows in torch.from_numpy(rng.permutation(train)).split(settings.batch_size):
            each = _batch_losses(network, embeddings, targets, rows, settings)
            optimiser.zero_grad()
            weighing.total(each / len(rows), network.last_shared).backward()
            optimiser.step()
            if cycle:
                cycle.step()
            total += each.detach()
        if not cycle:
            optimiser.param_groups[0]["lr"] *= settings.decay
        if not total.isfinite().all():
            raise PersonaError(f"Training diverged in epoch {epoch + 1}: lower learning_rate.")
        history.training.append((total / len(train)).numpy())
        if not len(validation):
            history.best_epoch = epoch
            continue
        held_out = _held_out(network, embeddings, targets, validation, settings)
        history.validation.append(held_out.numpy())
        if (loss := float(held_out @ watched)) < lowest:
            history.best_epoch, lowest = epoch, loss
            best = deepcopy(network.state_dict())
        if epoch - history.best_epoch >= settings.patience:
            break
    if len(validation):
        network.load_state_dict(best)
    return history


def _one_cycle(
    optimiser: torch.optim.Optimizer, settings: Settings, updates: int
) -> torch.optim.lr_scheduler.OneCycleLR | None:
    if settings.schedule == "decay":
        return None
    at_least = 11  # with ten, OneCycleLR divides by zero
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, max(updates, at_least), pct_start=0.1
    )


def _batch_losses(
    network: Network, embeddings: Tensor, targets: Targets, rows: Tensor, settings: Settings
) -> Tensor:
    """Sum over the rows of each task's loss, shape (3,)."""
    output = network(embeddings[rows])
    return losses(output, targets.at(rows), network, settings.label_smoothing).sum(dim=0)


@torch.inference_mode()
def _held_out(
    network: Network,
    embeddings: Tensor,
    targets: Targets,
    validation: np.ndarray,
    settings: Settings,
) -> Tensor:
    """Mean loss of each task on the validation rows, shape (3,)."""
    network.eval()
    rows = torch.from_numpy(validation)
    return _batch_losses(network, embeddings, targets, rows, settings) / len(validation)


def choose(
    embeddings: Tensor,
    targets: Targets,
    train: np.ndarray,
    held_out: np.ndarray,
    seed: int,
    architecture: str,
    candidates: Sequence[Settings],
    **options: "np.ndarray | int | str | None",
) -> Settings:
    """The candidate that is best on held-out rows: nested selection, blind to the test fold.

    The most emotions decide. A linear age head shares nothing with the trunk, so that its dropout
    is chosen by itself, by the smallest age error.
    """
    rows = torch.from_numpy(held_out)
    with_emotion, _, with_age = targets.known[rows].bool().T
    right, errors = [], []
    for candidate in candidates:
        one = replace(candidate, networks=1)
        network, _ = fit_ensemble(
            embeddings, targets, train, held_out[:0], seed, architecture, one, **options  # type: ignore[arg-type]
        )  # fmt: skip
        predicted = network.predict(embeddings[rows])
        hits = predicted.emotion.argmax(-1) == targets.emotion[rows]
        right.append(int(hits[with_emotion].sum()))
        errors.append(float((predicted.age - targets.age[rows])[with_age].square().mean()))
    best = candidates[int(np.argmax(right))]
    if best.age_head != "linear":
        return best
    return replace(best, age_dropout=candidates[int(np.argmin(errors))].age_dropout)
