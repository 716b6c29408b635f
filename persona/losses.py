"""The loss of each task, and ways of weighing the three against each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from persona.corpora import EMOTIONS, GENDERS
from persona.errors import PersonaError
from persona.model import BINS, Network, Output

TASKS = ("emotion", "gender", "age")
WEIGHINGS = ("fixed", "uncertainty", "gradnorm")


class Targets(NamedTuple):
    """Labels of n clips: class indices of shape (n,), and age in years, float32 (n,)."""

    emotion: Tensor
    gender: Tensor
    age: Tensor

    @classmethod
    def of(cls, clips: pd.DataFrame) -> "Targets":
        """From the columns `emotion`, `gender` and `age` of a clip table."""
        emotion = pd.Categorical(clips["emotion"], EMOTIONS).codes.astype(np.int64)
        gender = pd.Categorical(clips["gender"], GENDERS).codes.astype(np.int64)
        age = clips["age"].to_numpy(np.float32)
        return cls(torch.tensor(emotion), torch.tensor(gender), torch.tensor(age))


def losses(output: Output, targets: Targets, network: Network) -> Tensor:
    """Loss of each network, clip and task, shape (M, B, 3); targets have shape (M, B)."""
    return torch.stack(
        [
            _cross_entropy(output.emotion, targets.emotion),
            _cross_entropy(output.gender, targets.gender),
            _age_loss(output.age, targets.age, network),
        ],
        dim=-1,
    )


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    flat = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return flat.view(target.shape)


def _age_loss(said: Tensor, age: Tensor, network: Network) -> Tensor:
    """Squared error; of the other heads cross-entropy with the age as they express it.

    A distribution head learns a normal distribution one bin wide around the age (Gao et al. 2017);
    an ordinal head answers one yes-or-no question per threshold, and the mean is taken.
    """
    if network.age_head == "distribution":
        width = BINS[1] - BINS[0]
        wanted = (-0.5 * ((BINS - age.unsqueeze(-1)) / width) ** 2).softmax(-1)
        return -(wanted * said.log_softmax(-1)).sum(-1)
    if network.age_head == "ordinal":
        older = (age.unsqueeze(-1) > (BINS[:-1] + BINS[1:]) / 2).float()
        return functional.binary_cross_entropy_with_logits(said, older, reduction="none").mean(-1)
    return (said - (age - network.age_mean) / network.age_scale) ** 2


class Weighing:
    """Weighs the losses of every network of a stack by the method that network asks for.

    methods : one per network:
        "fixed" - the sum with the given weights.
        "uncertainty" - each loss is divided by a learnt variance (Kendall, Gal and Cipolla 2018).
        "gradnorm" - factors are learnt so that the tasks' gradients with respect to the last
        shared layer have like norms, larger for a task that has learnt less (Chen et al. 2018).
    weights : of emotion, gender and age, one triple per network; a task with weight 0 is left out.
    """

    RESTORING = 1.5
    """GradNorm's alpha, as in its paper: how much larger the gradients of slow tasks may be."""
    RATE = 0.025
    """Step of the logarithm of GradNorm's factors. Its paper steps the factors themselves, which
    cannot meet gradients a hundred times apart."""

    def __init__(self, methods: Sequence[str], weights: Sequence[tuple[float, float, float]]):
        if unknown := set(methods) - set(WEIGHINGS):
            raise PersonaError(
                f"There is no weighing {unknown.pop()!r}; choose from {', '.join(WEIGHINGS)}."
            )
        self.weights = torch.tensor(weights, dtype=torch.float32)
        self._uncertain = torch.tensor([[method == "uncertainty"] for method in methods])
        self._normed = torch.tensor([[method == "gradnorm"] for method in methods])
        self._log_variance = nn.Parameter(torch.zeros_like(self.weights))
        self._factors = torch.ones_like(self.weights)
        self._first: Tensor | None = None

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser learns beside the networks."""
        return [self._log_variance] if self._uncertain.any() else []

    def total(self, each: Tensor, shared: Tensor) -> Tensor:
        """The number to minimise, from the task losses (M, 3) and the last shared weights."""
        weighted = each * self.weights
        if self._normed.any():
            self._learn_factors(weighted, shared)
            weighted = weighted * self._factors
        if self._uncertain.any():
            # A squared error is a Gaussian's, with a factor of one half; cross-entropy has none.
            half = torch.tensor([1.0, 1.0, 0.5])
            variance = self._log_variance.exp()
            likelihood = weighted * half / variance + self.weights * self._log_variance / 2
            weighted = torch.where(self._uncertain, likelihood, weighted)
        return weighted.sum()

    def _learn_factors(self, weighted: Tensor, shared: Tensor) -> None:
        losses = weighted.detach()
        asked = self.weights > 0
        if self._first is None:
            self._first = losses.clamp(min=1e-8)
        norms = torch.stack(
            [
                torch.autograd.grad(task, shared, retain_graph=True)[0].flatten(1).norm(dim=1)
                for task in weighted.sum(dim=0)
            ],
            dim=1,
        )
        tasks = asked.sum(dim=1, keepdim=True)
        pace = torch.where(asked, losses / self._first, 0)
        pace = pace / (pace.sum(dim=1, keepdim=True) / tasks)
        scaled = self._factors * norms
        wanted = scaled.sum(dim=1, keepdim=True) / tasks * pace**self.RESTORING
        # Down the gradient of |scaled - wanted|, `wanted` held constant: its sign is enough.
        factors = self._factors * torch.exp(-self.RATE * torch.sign(scaled - wanted))
        factors = factors * tasks / torch.where(asked, factors, 0).sum(dim=1, keepdim=True)
        self._factors = torch.where(self._normed & asked, factors, 1)
