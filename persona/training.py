"""Fit one multi-task network: the only training loop.

The paper's loss is cross-entropy (emotion) + cross-entropy (gender) + mean squared error (age).
Taken in years, the squared error (about 170 for a constant) outweighs the rest, so by default age
is learnt in standard deviations of the training ages.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

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


OLD = 60
"""Years from which on people are few in training."""


def later(default: Any) -> Any:
    """A setting that came after results were kept: at its default it is no part of an identity."""
    return field(default=default, metadata={"later": True})


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
    old : weight of the age loss of people of `OLD` years and over, who are few.
    per_label : a task's loss is its mean over the clips of a batch whose label is known. False:
        over all clips, so that a task weighs less the fewer labels it has.
    watched : weights of the losses in early stopping; None: those of `weights`.
    weighing : how the losses are weighed while training, see `losses.Weighing`.
    scaling : of the input, see `network.Standardisation`.
    moved : copies of every clip of the corpus itself that sound like another person in another
        room: see `Moves`. They take part in every epoch, moved anew.
    moved_by : smallest and largest share of the way that they are moved.
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
    old: float = later(1.0)
    per_label: bool = later(False)
    watched: tuple[float, float, float] | None = None
    weighing: str = "fixed"
    scaling: str = "standard"
    moved: int = later(0)
    moved_by: tuple[float, float] = later((0.3, 1.2))
    networks: int = 1
    parts: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for name in ("weights", "watched"):  # 1 and 1.0 are one setting
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(map(float, value)))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "moved_by", tuple(map(float, self.moved_by)))
        object.__setattr__(self, "parts", tuple((first, last) for first, last in self.parts))
        known("schedule", self.schedule, SCHEDULES)
        known("unit of age", self.age_unit, AGE_UNITS)
        known("age head", self.age_head, AGE_HEADS)
        known("weighing", self.weighing, WEIGHINGS)
        known("scaling", self.scaling, SCALINGS)
        for name in ("epochs", "batch_size", "networks"):
            if getattr(self, name) < 1:
                raise PersonaError(f"{name} is {getattr(self, name)}: give 1 or more.")
        if self.moved < 0 or not 0 <= self.moved_by[0] <= self.moved_by[1]:
            raise PersonaError(
                f"moved={self.moved}, moved_by={self.moved_by}: give 0 copies or more, and a "
                "smallest and a largest share."
            )
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


@dataclass(frozen=True)
class Moves:
    """Where clips are moved to: offset augmentation.

    An offset is the mean embedding of a reader's plain clips less that of the corpus's plain clips:
    another voice, microphone and room. A clip plus a share of it keeps its emotion; whose gender
    and age it then has is not known.

    offsets : float32, shape (readers, dimension).
    rows : of the clips that are moved, shape (n,).
    """

    offsets: Tensor
    rows: np.ndarray

    def drawn(self, count: int, by: tuple[float, float], rng: np.random.Generator) -> Tensor:
        """Shares of mixtures of two readers' offsets at random, shape (count, dimension)."""
        first, second = torch.from_numpy(rng.integers(0, len(self.offsets), (2, count)))
        mix = torch.from_numpy(rng.random((count, 1), np.float32))
        share = torch.from_numpy(rng.uniform(*by, (count, 1)).astype(np.float32))
        return share * torch.lerp(self.offsets[first], self.offsets[second], mix)


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
    moves: Moves | None = None,
) -> tuple[Network, History]:
    """Train one network; deterministic for its seed on one thread.

    embeddings : float32, shape (n, dimension); targets : of the same n rows.
    train, validation : row numbers. reference : rows that set the scale of input and age, by
        default `train`.
    progress : label of a progress bar; empty shows none.
    start : network of the same shape whose weights and scales training begins with.
    columns : that it listens to, as of `network.Network`.
    moves : which clips `settings.moved` copies are made of, and where to.

    Raises `PersonaError` where there is nothing to train on, or nowhere to move copies to.
    """
    settings = settings or Settings()
    if not settings.patience:
        train, validation = np.concatenate([train, validation]), validation[:0]
    if not len(train):
        raise PersonaError("There is no clip to train on: choose more speakers or clips.")
    if settings.moved and moves is None:
        raise PersonaError("Copies are moved to other readers' voices: say which with `moves`.")
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(embeddings.shape[1], architecture, settings, emotions, columns)
        if start is None:
            rows = train if reference is None else reference
            _measure(network, embeddings, targets, rows, settings)
        else:
            network.load_state_dict(start.state_dict())
        history = _train(
            network, embeddings, targets, train, validation, rng, settings, progress, moves
        )
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
    **options: Any,
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
            start=first, columns=part, **options,
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
    moves: Moves | None,
) -> History:
    own = len(train)
    if settings.moved and moves is not None:
        train = np.concatenate([train, np.tile(moves.rows, settings.moved)])
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
    heard = network.heard(embeddings)  # a view: only what is listened to is copied below
    if moves is not None:
        moves = replace(moves, offsets=network.heard(moves.offsets))
    history, lowest, best = History(), np.inf, deepcopy(network.state_dict())
    for epoch in bar(range(settings.epochs), progress, disable=not progress, leave=False):
        network.train()
        total, clips = torch.zeros(3), torch.zeros(3)
        for batch in torch.from_numpy(rng.permutation(len(train))).split(settings.batch_size):
            rows, moved = torch.from_numpy(train)[batch], batch >= own
            x, labels = heard[rows], targets.at(rows)
            if moves is not None and moved.any():
                x[moved] += moves.drawn(int(moved.sum()), settings.moved_by, rng)
                labels.known[moved, 1:] = 0
            labels.known[:, 2] *= torch.where(labels.age >= OLD, settings.old, 1.0)
            each = _batch_losses(network, x, labels, settings)
            over = _over(labels, settings)
            optimiser.zero_grad()
            weighing.total(each / over, network.last_shared).backward()
            optimiser.step()
            if cycle:
                cycle.step()
            total += each.detach()
            clips += over
        if not cycle:
            optimiser.param_groups[0]["lr"] *= settings.decay
        if not total.isfinite().all():
            raise PersonaError(f"Training diverged in epoch {epoch + 1}: lower learning_rate.")
        history.training.append((total / clips).numpy())
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


def _batch_losses(network: Network, heard: Tensor, targets: Targets, settings: Settings) -> Tensor:
    """Sum over the rows of each task's loss, shape (3,)."""
    output = network.answer(heard)
    return losses(output, targets, network, settings.label_smoothing).sum(dim=0)


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
    labels = targets.at(rows)
    summed = _batch_losses(network, network.heard(embeddings)[rows], labels, settings)
    return summed / _over(labels, settings)


def _over(labels: Targets, settings: Settings) -> Tensor:
    """Over how many clips each task's losses are averaged, shape (3,)."""
    if settings.per_label:
        return labels.known.sum(dim=0).clamp_min(1)
    return torch.full((3,), float(len(labels.known)))
