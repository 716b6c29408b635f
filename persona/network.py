"""The multi-task network of the paper: a shared trunk (CNN or FCN) and three heads."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from persona.errors import PersonaError, known
from persona.labels import EMOTIONS, GENDERS

ARCHITECTURES = ("fcn", "cnn")
HIDDEN = (200, 128, 56)
"""Widths of the fully connected layers, from the paper."""
CHANNELS = (8, 16)
KERNEL = 3
"""Filters and kernel of the two convolutions; the paper gives neither."""

AGE_HEADS = ("number", "linear", "distribution", "ordinal")
BINS = tuple(range(15, 81, 5))
"""Ages in years that a distribution head weighs and between which an ordinal head ranks."""

SCALINGS = ("standard", "none", "range", "robust")
OUTLIER = 5.0
"""Deviations from the training mean beyond which an input is taken for this far."""


class Output(NamedTuple):
    """What the heads put out for B clips.

    emotion : logits, shape (B, 6), in the order of `labels.EMOTIONS`.
    gender : logits, shape (B, 2), in the order of `labels.GENDERS`.
    age : shape (B, k), as the age head expresses it: see `AgeHead`.
    """

    emotion: Tensor
    gender: Tensor
    age: Tensor


class Predicted(NamedTuple):
    """Probabilities, shapes (B, 6) and (B, 2), and age in years, shape (B,)."""

    emotion: Tensor
    gender: Tensor
    age: Tensor


class Network(nn.Module):
    """The paper's network: input, shared trunk, three heads.

    Parameters
    ----------
    dimension : size of the embedding.
    architecture : "fcn", fully connected layers of 200, 128 and 56 units, or "cnn", two
        convolutions with max-pooling along the embedding in front of them.
    age_head : one of `AGE_HEADS`.
    hidden : widths of the fully connected layers.
    dropout, input_dropout, age_dropout : share left out in training: of hidden units, of the
        trunk's inputs, and of the inputs of a linear age head (for a linear map a ridge penalty;
        Wager, Wang and Liang 2013).
    emotions : number of emotion classes.
    columns : first column of the embedding that it listens to and one past the last; empty: all.

    Raises `PersonaError` for an unknown architecture or age head, and columns that are not there.
    """

    def __init__(
        self,
        dimension: int,
        architecture: str = "fcn",
        *,
        age_head: str = "number",
        hidden: Sequence[int] = HIDDEN,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        age_dropout: float = 0.0,
        emotions: int = len(EMOTIONS),
        columns: Sequence[int] = (),
    ):
        super().__init__()
        first, last = self.columns = tuple(columns) or (0, dimension)
        if not 0 <= first < last <= dimension:
            raise PersonaError(
                f"There are no columns {first} to {last} in an embedding of {dimension}: give the "
                "first and one past the last."
            )
        inputs = last - first
        self.input = Standardisation(inputs)
        self.trunk = trunk(inputs, architecture, hidden, dropout, input_dropout)
        self.emotion = nn.Linear(hidden[-1], emotions)
        self.gender = nn.Linear(hidden[-1], len(GENDERS))
        self.age = AgeHead(age_head, inputs if age_head == "linear" else hidden[-1])
        self.age_dropout = nn.Dropout(age_dropout)

    def forward(self, embeddings: Tensor) -> Output:
        """Embeddings of shape (B, dimension) to logits."""
        return self.answer(self.heard(embeddings))

    def answer(self, heard: Tensor) -> Output:
        """What it listens to, shape (B, inputs), to logits."""
        x = self.input(heard)  # (B, inputs), standardised
        shared = self.trunk(x)  # (B, 56)
        past_trunk = self.age.kind == "linear"
        age = self.age(self.age_dropout(x) if past_trunk else shared)
        return Output(self.emotion(shared), self.gender(shared), age)

    def heard(self, embeddings: Tensor) -> Tensor:
        """The columns that it listens to: (B, dimension) to (B, inputs)."""
        return embeddings[:, slice(*self.columns)]

    @property
    def last_shared(self) -> Tensor:
        """Weights of the last layer that all tasks share."""
        return [module for module in self.trunk if isinstance(module, nn.Linear)][-1].weight

    @torch.inference_mode()
    def predict(self, embeddings: Tensor) -> Predicted:
        """Embeddings of shape (B, dimension) to probabilities and years."""
        output = self(embeddings)
        return Predicted(
            output.emotion.softmax(-1), output.gender.softmax(-1), self.age.years(output.age)
        )


class Ensemble(nn.Module):
    """Networks that differ in weights and columns; their probabilities and ages are averaged."""

    def __init__(self, networks: Sequence[Network]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def predict(self, embeddings: Tensor) -> Predicted:
        """Embeddings of shape (B, dimension) to probabilities and years."""
        each = [network.predict(embeddings) for network in self.networks]  # type: ignore[operator]
        return Predicted(*(torch.stack(part).mean(dim=0) for part in zip(*each, strict=True)))


def trunk(
    dimension: int, architecture: str, hidden: Sequence[int], dropout: float, input_dropout: float
) -> nn.Sequential:
    """The shared layers: (B, dimension) to (B, hidden[-1]).

    The CNN slides along the embedding, so each of its two poolings halves the dimension.
    """
    known("architecture", architecture, ARCHITECTURES)
    layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
    width = dimension
    if architecture == "cnn":
        layers.append(nn.Unflatten(1, (1, dimension)))
        for inputs, outputs in pairwise((1, *CHANNELS)):
            layers += [nn.Conv1d(inputs, outputs, KERNEL, padding="same"), Halving(), nn.ReLU()]
        layers.append(nn.Flatten())
        width = CHANNELS[-1] * (dimension // 2 // 2)
    for inputs, outputs in pairwise((width, *hidden)):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class Halving(nn.Module):
    """Max-pooling of size 2 over the last axis; on a CPU several times as fast as `MaxPool1d`."""

    def forward(self, x: Tensor) -> Tensor:
        even = x.shape[-1] // 2 * 2
        return torch.maximum(x[..., 0:even:2], x[..., 1:even:2])


class Standardisation(nn.Module):
    """Input centred and scaled by what was measured on training rows; part of the network."""

    mean: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, dimension: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        self.register_buffer("limit", torch.tensor(torch.inf))

    def measure(self, embeddings: Tensor, scaling: str = "standard") -> None:
        """Take location and scale from training embeddings, shape (n, dimension).

        scaling : "standard" (mean, standard deviation), "none", "range" (smallest value and
            range) or "robust" (median, interquartile range).

        Dimensions that do not vary are centred and left at their scale. Standardised values are
        limited to `OUTLIER` deviations: a dimension that is nearly dead in training can be 80
        deviations away in a test clip.
        """
        known("scaling", scaling, SCALINGS)
        location, scale = _location_and_scale(embeddings, scaling)
        self.mean.copy_(location)
        self.scale.copy_(torch.where(scale > 1e-6, scale, 1.0))
        self.limit.fill_(OUTLIER if scaling in ("standard", "robust") else torch.inf)

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.scale).clamp(-self.limit, self.limit)


class AgeHead(nn.Module):
    """Age, expressed in one of four ways.

    number, linear : one number, (B, 1), in deviations of the training ages ("linear" reads the
        standardised input, past the trunk).
    distribution : logits over `BINS`, (B, 14); the expected age is predicted (Rothe et al. 2015).
    ordinal : logits of "older than this bin's middle", (B, 13), one score against ranked
        thresholds (CORAL; Cao et al. 2020).
    """

    bins: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, kind: str, inputs: int):
        super().__init__()
        known("age head", kind, AGE_HEADS)
        self.kind = kind
        self.linear = nn.Linear(inputs, len(BINS) if kind == "distribution" else 1)
        if kind == "linear":
            nn.init.zeros_(self.linear.weight)  # inputs that do not vary must not add noise
        if kind == "ordinal":
            self.thresholds = nn.Parameter(torch.linspace(2, -2, len(BINS) - 1))
        self.register_buffer("bins", torch.tensor(BINS, dtype=torch.float32))
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))

    def measure(self, ages: Tensor) -> None:
        """Take the unit of age from training ages in years, shape (n,)."""
        self.mean.fill_(ages.mean())
        self.scale.fill_(ages.std(correction=0).clamp_min(1e-6))

    def forward(self, x: Tensor) -> Tensor:
        score = self.linear(x)
        return score + self.thresholds if self.kind == "ordinal" else score

    def years(self, output: Tensor) -> Tensor:
        """What the head puts out, shape (B, k), in years, shape (B,)."""
        if self.kind == "distribution":
            return output.softmax(-1) @ self.bins
        if self.kind == "ordinal":
            return self.bins[0] + output.sigmoid() @ (self.bins[1:] - self.bins[:-1])
        return output.squeeze(-1) * self.scale + self.mean

    def loss(self, output: Tensor, ages: Tensor) -> Tensor:
        """Loss of each clip, shape (B,), for ages in years, shape (B,).

        A squared error; of the other heads a cross-entropy with the age as they express it: a
        distribution head learns a normal distribution one bin wide around the age (Gao et al.
        2017), an ordinal head the mean over its yes-or-no questions.
        """
        if self.kind == "distribution":
            width = self.bins[1] - self.bins[0]
            wanted = (-0.5 * ((self.bins - ages[:, None]) / width) ** 2).softmax(-1)
            return -(wanted * output.log_softmax(-1)).sum(-1)
        if self.kind == "ordinal":
            older = (ages[:, None] > (self.bins[:-1] + self.bins[1:]) / 2).float()
            each = functional.binary_cross_entropy_with_logits(output, older, reduction="none")
            return each.mean(-1)
        return (output.squeeze(-1) - (ages - self.mean) / self.scale) ** 2


def _location_and_scale(values: Tensor, scaling: str) -> tuple[Tensor, Tensor]:
    if scaling == "standard":
        return values.mean(dim=0), values.std(dim=0, correction=0)
    if scaling == "range":
        low, high = values.aminmax(dim=0)
        return low, high - low
    if scaling == "robust":
        shares = values.new_tensor([0.25, 0.5, 0.75])
        quarter, median, three_quarters = values.quantile(shares, dim=0)
        return median, three_quarters - quarter
    return torch.zeros_like(values[0]), torch.ones_like(values[0])
