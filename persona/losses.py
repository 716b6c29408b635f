"""The loss of each task, and ways of weighing the three against each other."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from persona.errors import PersonaError, known
from persona.labels import EMOTIONS, GENDERS
from persona.network import Network, Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

WEIGHINGS = ("fixed", "uncertainty", "gradnorm")


class Targets(NamedTuple):
    """Labels of n clips.

    emotion, gender : class indices, shape (n,); 0 where unknown.
    age : years, float32, shape (n,); 0 where unknown.
    known : 1 where the label of a task is known, else 0; float32, shape (n, 3).
    """

    emotion: Tensor
    gender: Tensor
    age: Tensor
    known: Tensor

    @classmethod
    def of(cls, clips: "DataFrame", emotions: "Sequence[str]" = EMOTIONS) -> "Targets":
        """From the columns `emotion`, `gender` and `age`; missing values are unknown.

        Raises `PersonaError` for a label that is not among the classes.
        """
        import pandas as pd

        indices = []
        for task, classes in (("emotion", emotions), ("gender", GENDERS)):
            codes = pd.Categorical(clips[task], list(classes)).codes
            if unknown := set(clips[task][codes < 0].dropna()):
                raise PersonaError(
                    f"The labels hold the {task} {sorted(unknown)[0]!r}; known are "
                    f"{', '.join(classes)}."
                )
            indices.append(torch.tensor(codes.astype("int64")))
        age = torch.tensor(pd.to_numeric(clips["age"]).to_numpy("float32", na_value=torch.nan))
        there = torch.stack([indices[0] >= 0, indices[1] >= 0, age.isfinite()], dim=1).float()
        emotion, gender = (index.clamp_min(0) for index in indices)
        return cls(emotion, gender, age.where(age.isfinite(), 0), there)

    def at(self, rows: Tensor) -> "Targets":
        """Labels of some rows, in their order."""
        return Targets(*(labels[rows] for labels in self))


def losses(
    output: Output, targets: Targets, network: Network, label_smoothing: float = 0.0
) -> Tensor:
    """Loss of each clip and task, shape (B, 3); 0 where the label is unknown.

    Cross-entropy for emotion and gender, the age head's own loss for age.
    label_smoothing : of emotion; of gender, which has fewer classes, half of it.
    """
    each = torch.stack(
        [
            functional.cross_entropy(
                output.emotion, targets.emotion, reduction="none", label_smoothing=label_smoothing
            ),
            functional.cross_entropy(
                output.gender, targets.gender, reduction="none", label_smoothing=label_smoothing / 2
            ),
            network.age.loss(output.age, targets.age),
        ],
        dim=1,
    )
    return each * targets.known


class Weighing:
    """Weighs the three losses against each other while a network trains.

    method : "fixed" - the sum with the given weights.
        "uncertainty" - each loss is divided by a learnt variance (Kendall, Gal and Cipolla 2018).
        "gradnorm" - factors are learnt so that the tasks' gradients with respect to the last
        shared layer have like norms, larger for a task that has learnt less (Chen et al. 2018).
    weights : of emotion, gender and age; a task with weight 0 is left out.
    """

    RESTORING = 1.5
    """GradNorm's alpha, as in its paper: how much larger the gradients of slow tasks may be."""
    RATE = 0.025
    """Step of the logarithm of GradNorm's factors. Its paper steps the factors themselves, which
    cannot meet gradients a hundred times apart."""

    def __init__(self, method: str, weights: tuple[float, float, float]):
        known("weighing", method, WEIGHINGS)
        self.method, self.weights = method, torch.tensor(weights, dtype=torch.float32)
        self._log_variance = nn.Parameter(torch.zeros(3))
        self._factors = torch.ones(3)
        self._first: Tensor | None = None

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser learns beside the network."""
        return [self._log_variance] if self.method == "uncertainty" else []

    def total(self, each: Tensor, shared: Tensor) -> Tensor:
        """The number to minimise, from the task losses (3,) and the last shared weights."""
        weighted = each * self.weights
        if self.method == "gradnorm":
            self._learn_factors(weighted, shared)
            return (weighted * self._factors).sum()
        if self.method == "uncertainty":
            # A squared error is a Gaussian's, with a factor of one half; cross-entropy has none.
            half = torch.tensor([1.0, 1.0, 0.5])
            variance = self._log_variance.exp()
            return (weighted * half / variance + self.weights * self._log_variance / 2).sum()
        return weighted.sum()

    def _learn_factors(self, weighted: Tensor, shared: Tensor) -> None:
        asked = self.weights > 0
        if self._first is None:
            self._first = weighted.detach().clamp(min=1e-8)
        norms = torch.stack(
            [torch.autograd.grad(task, shared, retain_graph=True)[0].norm() for task in weighted]
        )
        pace = torch.where(asked, weighted.detach() / self._first, 0)
        pace = pace / (pace.sum() / asked.sum())
        scaled = self._factors * norms
        wanted = scaled.sum() / asked.sum() * pace**self.RESTORING
        # Down the gradient of |scaled - wanted|, `wanted` held constant: its sign is enough.
        factors = self._factors * torch.exp(-self.RATE * torch.sign(scaled - wanted))
        factors = factors * asked.sum() / torch.where(asked, factors, 0).sum()
        self._factors = torch.where(asked, factors, 1)
