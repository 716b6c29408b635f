"""As good as it gets: the best joint model that needs no download.

A ladder from the paper's recipe upward. What the last steps choose (dropout, how far age may stray
from the mean) they choose on held-out speakers of the training folds. The rest of the recipe was
found by trying some forty configurations on folds of the same speakers, dealt with another seed,
so the ladder's gains are somewhat flattered; another corpus would tell by how much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from persona import corpora, evaluation, features, folds, tables
from persona.ablations import Variant, _speechocean, results, run
from persona.ablations._scores import clear, planned, value
from persona.evaluation import Sums
from persona.folds import Split
from persona.losses import TASKS, Targets
from persona.model import Network, Output, Prediction

TABLES = ("dvector_layers", "mfcc_delta")
"""Feature tables of the model; other people's ages have these vectors too."""

SEEDS = (1,)
NETWORKS = 3
"""Networks in an ensemble."""

INNER = 4
"""One of this many parts of the training speakers is held out to choose on."""

EXTRAS = ("none", "adults", "everyone")
"""Whose ages and genders are learnt besides: nobody's, or those of speechocean762."""


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: AdamW with one cycle of the learning rate, no early stopping.

    dropout : share of hidden units left out of each step; of inputs half of it.
    smoothing : of emotion labels; half of it for gender.
    weights : of the emotion, gender and age loss.
    """

    dropout: float = 0.5
    epochs: int = 12
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    batch: int = 64
    smoothing: float = 0.1
    hidden: tuple[int, ...] = (256,)
    weights: tuple[float, float, float] = (1.0, 0.3, 0.3)


CANDIDATES = (Recipe(0.5), Recipe(0.3))


@dataclass(frozen=True)
class Rows:
    """What a network can learn from: vectors (n, d), their labels, and per clip (n, 3) which of
    emotion, gender and age are known."""

    embeddings: Tensor
    targets: Targets
    known: Tensor


class _Dropout(Network):
    """The plain network, but units are left out while it trains."""

    dropout = 0.0

    def forward(self, x: Tensor) -> Output:
        x = functional.dropout((x - self.mean) / self.scale, self.dropout / 2, self.training)
        for layer in self.hidden:
            x = functional.dropout(functional.relu(layer(x)), self.dropout, self.training)
        return Output(self.emotion(x), self.gender(x), self.age(x).squeeze(-1))


def rows(embeddings: np.ndarray, clips: pd.DataFrame, extra: str = "none") -> Rows:
    """CREMA-D's clips, followed by those of other people whose age and gender are known."""
    vectors, labels = torch.from_numpy(embeddings), Targets.of(clips)
    known = torch.ones(len(vectors), 3)
    if extra == "none":
        return Rows(vectors, labels, known)
    others, theirs = _speechocean.read()
    if extra == "adults":
        grown = (others["age"] >= _speechocean.ADULT).to_numpy()
        others, theirs = others[grown], theirs[grown]
    more = Targets.of(others.assign(emotion=corpora.EMOTIONS[0]))  # never looked at
    return Rows(
        torch.cat([vectors, torch.from_numpy(theirs)]),
        Targets(*(torch.cat(pair) for pair in zip(labels, more, strict=True))),
        torch.cat([known, torch.tensor([0.0, 1.0, 1.0]).expand(len(others), 3)]),
    )


def train(data: Rows, chosen: np.ndarray, seeds: Sequence[int], recipe: Recipe) -> Network:
    """Train one network per seed on the rows `chosen`, side by side.

    Input and age are standardised by the rows whose emotion is known, CREMA-D's.
    """
    network = _Dropout(data.embeddings.shape[1], "fcn", seeds, hidden=recipe.hidden)
    network.dropout = recipe.dropout
    own = torch.from_numpy(chosen)[data.known[chosen, 0] > 0]
    for model in range(len(seeds)):
        network.standardise(model, data.embeddings[own], data.targets.age[own])
    steps = len(chosen) // recipe.batch
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, recipe.epochs * steps, pct_start=0.1
    )
    orders = [np.random.default_rng(seed) for seed in seeds]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds[0])
        for _ in range(recipe.epochs):
            order = np.stack([rng.permutation(chosen)[: steps * recipe.batch] for rng in orders])
            for batch in np.split(order, steps, axis=1):
                optimiser.zero_grad()
                _loss(network, data, torch.from_numpy(batch), recipe).backward()
                optimiser.step()
                cycle.step()
    plain = Network(data.embeddings.shape[1], "fcn", seeds, hidden=recipe.hidden)
    plain.load_state_dict(network.state_dict())
    return plain.eval()


def _loss(network: Network, data: Rows, batch: Tensor, recipe: Recipe) -> Tensor:
    """Sum over networks of the mean weighted loss of their rows, `batch` of shape (M, B)."""
    said = network(data.embeddings[batch])
    emotion, gender, age = (labels[batch] for labels in data.targets)
    age = (age - network.age_mean) / network.age_scale
    each = [
        _smoothed(said.emotion, emotion, recipe.smoothing),
        _smoothed(said.gender, gender, recipe.smoothing / 2),
        (said.age - age) ** 2,
    ]
    weights = data.known[batch] * torch.tensor(recipe.weights)
    return (torch.stack(each, dim=-1) * weights).sum() / batch.shape[1]


def _smoothed(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    flat = functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), reduction="none", label_smoothing=smoothing
    )
    return flat.view(target.shape)


def choose(data: Rows, clips: pd.DataFrame, chosen: np.ndarray, seed: int) -> tuple[Recipe, float]:
    """Recipe with the best emotion accuracy on held-out speakers of the rows `chosen`.

    clips : CREMA-D's. Returns the recipe and the slope of true on predicted age there (both as
    distances from the training mean), between 0 and 1: how far predicted age may be trusted.
    """
    own = chosen[chosen < len(clips)]
    others = chosen[chosen >= len(clips)]
    held_out = folds.split(clips.iloc[own], "speaker-disjoint", seed, INNER)[0].test
    fitted = np.concatenate([np.delete(own, held_out), others])
    held_out = own[held_out]
    best, accuracy, slope = CANDIDATES[0], -1.0, 0.0
    for candidate in CANDIDATES:
        network = train(data, fitted, [seed], candidate)
        said = network.predict(data.embeddings[held_out])
        hits = said.emotion[0].argmax(-1) == data.targets.emotion[held_out]
        if hits.float().mean() > accuracy:
            best, accuracy = candidate, float(hits.float().mean())
            away = said.age[0] - network.age_mean[0]
            truly = data.targets.age[held_out] - network.age_mean[0]
            slope = float(((away * truly).sum() / (away * away).sum()).clamp(0, 1))
    return best, slope


def train_chosen(
    data: Rows, clips: pd.DataFrame, chosen: np.ndarray, seeds: Sequence[int]
) -> tuple[Network, dict[str, Any]]:
    """Choose a recipe on held-out speakers, then train an ensemble on all rows `chosen`.

    Returns the networks, whose ages are drawn to the mean by the slope that was chosen, and what
    was chosen.
    """
    recipe, slope = choose(data, clips, chosen, seeds[0])
    network = train(data, chosen, seeds, recipe)
    network.age_scale *= slope
    return network, {**asdict(recipe), "age_slope": slope}


def train_best(networks: int = NETWORKS, extra: str = "none") -> tuple[Network, dict[str, Any]]:
    """The model on all of CREMA-D (policy clean): networks over `TABLES` joined, and settings."""
    clips = corpora.clips()
    data = rows(features.read("+".join(TABLES)).at(clips["clip"]), clips, extra)
    return train_chosen(data, clips, np.arange(len(data.embeddings)), range(networks))


def estimate(
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    split: Split,
    seed: int,
    *,
    networks: int = 1,
    nested: bool = False,
    extra: str = "none",
) -> Prediction:
    """What networks of this module say about `split.test`, averaged; for `ablations.Variant`."""
    data = rows(embeddings, clips, extra)
    others = np.arange(len(clips), len(data.embeddings))
    chosen = np.concatenate([split.train, split.validation, others])
    seeds = [seed * 100 + number for number in range(networks)]
    if nested:
        network, _ = train_chosen(data, clips, chosen, seeds)
    else:
        network = train(data, chosen, seeds, Recipe())
    return Prediction(*(p.mean(0) for p in network.predict(data.embeddings[split.test])))


OURS = "+".join(TABLES)
PAPER = "the paper's recipe on MFCC"
CHOSEN = "three networks, settings chosen"
ADULTS, EVERYONE = "with other adults' ages", "with other people's ages"
_nested = partial(estimate, networks=NETWORKS, nested=True)

LADDER = (
    Variant(PAPER, "mfcc"),
    Variant("... on MFCC, d-vector and eGeMAPS", "mfcc_delta+dvector+egemaps"),
    Variant("... on the d-vector's layers", "dvector_layers"),
    Variant("... and MFCC", OURS),
    Variant("one hidden layer, dropout, smoothing", OURS, estimator=estimate),
    Variant(CHOSEN, OURS, estimator=_nested),
    Variant(ADULTS, OURS, estimator=partial(_nested, extra="adults")),
    Variant(EVERYONE, OURS, estimator=partial(_nested, extra="everyone")),
    Variant("with d-vector and eGeMAPS", f"{OURS}+dvector+egemaps", estimator=_nested),
)


def make(jobs: int | None = None) -> Path:
    """Train what is missing and write the results table."""
    return run("best", LADDER, SEEDS, jobs=jobs)


def ladder() -> dict[str, Sums]:
    """The constant, then every step, from the shipped results."""
    clips = corpora.clips()
    ignorant = evaluation.sums(evaluation.constant(clips, "speaker-disjoint", SEEDS), clips)
    return {tables.CONSTANT: ignorant, **results("best")}


def compared(counts: Mapping[str, Sums], draws: int = 10_000) -> pd.DataFrame:
    """Each step against the one it builds on: a table as of `_scores.planned`.

    Steps follow one another up to the chosen settings; those after it are compared with it.
    """
    names = list(counts)
    top = names.index(CHOSEN)
    pairs = [*zip(names[1 : top + 1], names[:top], strict=True)]
    pairs += [(name, CHOSEN) for name in names[top + 1 :]] + [(CHOSEN, tables.CONSTANT)]
    return planned(
        counts, {(f"{first} - {second}",): (first, second) for first, second in pairs}, draws
    )


def in_short(counts: Mapping[str, Sums], differences: pd.DataFrame) -> str:
    """The chapter's closing sentence, from `ladder` and `compared`."""
    ours, paper = counts[CHOSEN], counts[PAPER]
    emotion, gender = (
        [100 * value(of, f"{task}_accuracy") for of in (ours, paper)] for task in TASKS[:2]
    )
    heading = tables.MEASURES["age_rmse"][0]
    age = differences.xs(heading, level=-1).T
    against_constant = age[f"{CHOSEN} - {tables.CONSTANT}"]
    others = [age[f"{name} - {CHOSEN}"] for name in (ADULTS, EVERYONE)]
    helped = [clear(row) and row["difference"] < 0 for row in others]
    change = "lowers" if any(helped) else "does not lower"
    return (
        f"on speakers it never heard, the best model within the app's reach names "
        f"{emotion[0]:.1f} % of emotions and {gender[0]:.1f} % of genders, against "
        f"{emotion[1]:.1f} % and {gender[1]:.1f} % of the paper's recipe on MFCC; its age error of "
        f"{value(ours, 'age_rmse'):.1f} years is {-against_constant['difference']:.1f} years "
        f"below that of the constant ({'beyond' if clear(against_constant) else 'not beyond'} "
        f"chance), and learning from {_speechocean.SPEAKERS} other people's ages {change} it "
        "beyond chance."
    )
