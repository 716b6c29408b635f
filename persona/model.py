"""The multi-task network of the paper: a shared trunk (CNN or FCN) and three heads.

Networks are written as a *stack*: `models` independent networks of one shape whose parameters
share a leading axis, so that five folds (or sixty configurations) train in one pass over batched
matrix products. A single network is a stack of one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from persona.corpora import EMOTIONS, GENDERS
from persona.errors import PersonaError

ARCHITECTURES = ("fcn", "cnn")
HIDDEN = (200, 128, 56)
"""Widths of the fully connected stack, from the paper."""
CHANNELS = (8, 16)
KERNEL = 3
"""Filters and kernel of the two convolutions; the paper gives neither."""

AGE_HEADS = ("number", "linear", "distribution", "ordinal")
BINS = torch.arange(15.0, 81.0, 5.0)
"""Ages in years that a distribution head weighs and between which an ordinal head ranks."""

OUTLIER = 5.0
"""Deviations from the training mean beyond which an input is taken for this far."""

SCALINGS = ("standard", "none", "range", "robust")


class Output(NamedTuple):
    """Raw output of the heads for a stack of M networks and B clips.

    emotion : logits, shape (M, B, 6), in the order of `corpora.EMOTIONS`.
    gender : logits, shape (M, B, 2), in the order of `corpora.GENDERS`.
    age : shape (M, B), in units of the network's `age_scale` around its `age_mean`; of the other
        age heads logits, (M, B, 14) over `BINS`, or (M, B, 13): "older than this bin's middle".
    """

    emotion: Tensor
    gender: Tensor
    age: Tensor


class Prediction(NamedTuple):
    """Probabilities, shapes (M, B, 6) and (M, B, 2), and age in years, shape (M, B)."""

    emotion: Tensor
    gender: Tensor
    age: Tensor


class StackedLinear(nn.Module):
    """M linear layers side by side: (M, B, inputs) to (M, B, outputs)."""

    def __init__(self, inputs: int, outputs: int, generators: Sequence[torch.Generator]):
        super().__init__()
        self.weight = _uniform((inputs, outputs), inputs, generators)
        self.bias = _uniform((1, outputs), inputs, generators)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class StackedConv1d(nn.Module):
    """M convolutions side by side, with same padding: (B, M * inputs, L) to (B, M * outputs, L)."""

    def __init__(self, inputs: int, outputs: int, generators: Sequence[torch.Generator]):
        super().__init__()
        self.weight = _uniform((outputs, inputs, KERNEL), inputs * KERNEL, generators)
        self.bias = _uniform((outputs,), inputs * KERNEL, generators)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.flatten(0, 1), self.bias.flatten()
        return functional.conv1d(x, weight, bias, padding="same", groups=len(self.weight))


def _halve(x: Tensor) -> Tensor:
    """Max-pooling of size 2 over the last axis; several times faster than `max_pool1d` on a CPU."""
    even = x.shape[-1] // 2 * 2
    return torch.maximum(x[..., 0:even:2], x[..., 1:even:2])


def _uniform(
    shape: tuple[int, ...], fan_in: int, generators: Sequence[torch.Generator]
) -> nn.Parameter:
    """PyTorch's own initialisation of linear and convolution layers, one draw per network."""
    bound = fan_in**-0.5
    draws = [torch.empty(shape).uniform_(-bound, bound, generator=g) for g in generators]
    return nn.Parameter(torch.stack(draws))


class Network(nn.Module):
    """A stack of multi-task networks over embeddings of size `dimension`.

    Parameters
    ----------
    dimension : size of the embedding.
    architecture : "fcn" (fully connected 200-128-56) or "cnn" (two 1-D convolutions with
        max-pooling over the embedding before it).
    seeds : one per network; a network's initial weights depend on its own seed only.
    age_head : "number" (the paper's), "linear" (a number read from the standardised input, past
        the trunk), "distribution" (softmax over `BINS`, of which the expected age is said; Rothe
        et al. 2015) or "ordinal" (one score against ranked thresholds, CORAL; Cao et al. 2020).
    hidden : widths of the fully connected stack.

    The standardisation of the input and of age belongs to the network (buffers `mean`, `scale`,
    `age_mean`, `age_scale`): set it with `standardise` from training rows.
    """

    mean: Tensor
    scale: Tensor
    limit: Tensor
    age_mean: Tensor
    age_scale: Tensor

    def __init__(
        self,
        dimension: int,
        architecture: str,
        seeds: Sequence[int],
        age_head: str = "number",
        hidden: Sequence[int] = HIDDEN,
    ):
        super().__init__()
        _known("architecture", architecture, ARCHITECTURES)
        _known("age head", age_head, AGE_HEADS)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.models = len(seeds)
        self.convolutions = nn.ModuleList()
        flat = dimension
        if architecture == "cnn":
            for inputs, outputs in zip((1, *CHANNELS), CHANNELS, strict=False):
                self.convolutions.append(StackedConv1d(inputs, outputs, generators))
            flat = CHANNELS[-1] * (dimension // 2 // 2)
        self.hidden = nn.ModuleList(
            StackedLinear(inputs, outputs, generators)
            for inputs, outputs in zip((flat, *hidden), hidden, strict=False)
        )
        self.emotion = StackedLinear(hidden[-1], len(EMOTIONS), generators)
        self.gender = StackedLinear(hidden[-1], len(GENDERS), generators)
        self.age_head = age_head
        outputs = len(BINS) if age_head == "distribution" else 1
        heard = dimension if age_head == "linear" else hidden[-1]
        self.age = StackedLinear(heard, outputs, generators)
        if age_head == "linear":
            nn.init.zeros_(self.age.weight)  # noise along directions that nobody varies in stays
        if age_head == "ordinal":
            easy_to_hard = torch.linspace(2, -2, len(BINS) - 1)
            self.thresholds = nn.Parameter(easy_to_hard.expand(self.models, 1, -1).clone())
        self.register_buffer("mean", torch.zeros(self.models, 1, dimension))
        self.register_buffer("scale", torch.ones(self.models, 1, dimension))
        self.register_buffer("limit", torch.full((self.models, 1, 1), torch.inf))
        self.register_buffer("age_mean", torch.zeros(self.models, 1))
        self.register_buffer("age_scale", torch.ones(self.models, 1))

    def standardise(
        self, model: int, embeddings: Tensor, ages: Tensor | None, scaling: str = "standard"
    ) -> None:
        """Take input (and, unless None, age) location and scale of network `model` from training.

        embeddings : shape (n, dimension); ages : years, shape (n,).
        scaling : "standard" (mean, standard deviation), "none", "range" (smallest value and
            range) or "robust" (median, interquartile range).
        Dimensions that do not vary (a d-vector has dead ones) are centred and left at their scale.
        Standardised values are limited to `OUTLIER` deviations: a dimension that is nearly dead in
        training can be 80 deviations away in a test clip, and the age head would say 300 years.
        """
        location, scale = _location_and_scale(embeddings, scaling)
        self.mean[model] = location
        self.scale[model] = torch.where(scale > 1e-6, scale, 1.0)
        self.limit[model] = OUTLIER if scaling in ("standard", "robust") else torch.inf
        if ages is not None:
            self.age_mean[model] = ages.mean()
            self.age_scale[model] = ages.std(correction=0)

    def standardised(self, x: Tensor) -> Tensor:
        """Embeddings of shape (M, B, dimension) or (B, dimension) as the first layer sees them."""
        return ((x - self.mean) / self.scale).clamp(-self.limit, self.limit)

    def forward(self, x: Tensor) -> Output:
        """Embeddings of shape (M, B, dimension), or (B, dimension) for all alike, to logits."""
        x = standardised = self.standardised(x)
        if self.convolutions:
            x = x.transpose(0, 1)
            batch = len(x)
            for convolution in self.convolutions:
                x = functional.relu(_halve(convolution(x)))
            x = x.reshape(batch, self.models, -1).transpose(0, 1)
        for layer in self.hidden:
            x = functional.relu(layer(x))
        age = self.age(standardised if self.age_head == "linear" else x)
        if self.age_head in ("number", "linear"):
            age = age.squeeze(-1)
        elif self.age_head == "ordinal":
            age = age + self.thresholds
        return Output(self.emotion(x), self.gender(x), age)

    @property
    def widths(self) -> list[int]:
        """Widths of the fully connected stack."""
        return [layer.bias.shape[-1] for layer in self.hidden if isinstance(layer, StackedLinear)]

    @property
    def shared(self) -> Tensor:
        """Weights of the last layer that all tasks share, shape (M, inputs, outputs)."""
        last = self.hidden[-1]
        assert isinstance(last, StackedLinear)
        return last.weight

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Prediction:
        """Embeddings of shape (M, B, dimension) or (B, dimension) to probabilities and years."""
        output = self(x)
        return Prediction(
            output.emotion.softmax(-1),
            output.gender.softmax(-1),
            self._years(output.age),
        )

    def _years(self, age: Tensor) -> Tensor:
        if self.age_head == "distribution":
            return age.softmax(-1) @ BINS
        if self.age_head == "ordinal":
            return BINS[0] + age.sigmoid() @ BINS.diff()
        return age * self.age_scale + self.age_mean


def _location_and_scale(values: Tensor, scaling: str) -> tuple[Tensor, Tensor]:
    _known("scaling", scaling, SCALINGS)
    if scaling == "standard":
        return values.mean(dim=0), values.std(dim=0, correction=0)
    if scaling == "range":
        low, high = values.aminmax(dim=0)
        return low, high - low
    if scaling == "robust":
        quarter, median, three_quarters = values.quantile(torch.tensor([0.25, 0.5, 0.75]), dim=0)
        return median, three_quarters - quarter
    return torch.zeros(values.shape[1]), torch.ones(values.shape[1])


def _known(what: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise PersonaError(f"There is no {what} {name!r}; choose from {', '.join(names)}.")
