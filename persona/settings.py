"""How a network is built and trained: what an experiment says of it."""

from dataclasses import dataclass, field
from typing import Any

from persona.errors import PersonaError, known
from persona.losses import WEIGHINGS
from persona.network import AGE_HEADS, HIDDEN, SCALINGS

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
        room: see `training.Moves`. They take part in every epoch, moved anew.
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
