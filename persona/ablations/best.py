"""As good as it gets: the best joint model that needs no download.

A ladder from the paper's recipe upward. What the last steps choose (the dropout of the trunk and of
the age head) they choose on held-out speakers of the training folds. The rest of the recipe was
found by trying some sixty configurations on folds of the same speakers, dealt with other seeds,
so the ladder's gains are somewhat flattered; another corpus would tell by how much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from persona import corpora, evaluation, features, folds, tables
from persona.ablations import Variant, _speechocean, results, run
from persona.ablations._copies import Copy, training_copies, with_copies
from persona.ablations._scores import DRAWS, clear, planned, value
from persona.evaluation import Sums
from persona.folds import Split
from persona.losses import TASKS, Targets
from persona.model import Network, Output, Prediction

TABLES = ("dvector_layers", "mfcc_delta")
"""Feature tables of the model; degraded copies and other people have these vectors too."""
OURS = "+".join(TABLES)
DEGRADED = tuple(f"augmented_{table}" for table in TABLES)

SEEDS = (1, 2, 3)
NETWORKS = 3
"""Networks in an ensemble."""

INNER = 4
"""One of this many parts of the training speakers is held out to choose on."""


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: AdamW with one cycle of the learning rate, no early stopping.

    dropout : share of hidden units left out of each step; of the trunk's inputs half of it.
    age_head : as of `model.Network`.
    age_dropout : share of inputs that a linear age head does without in each step. For a linear
        map that is a ridge penalty (Wager, Wang and Liang 2013), which 91 speakers need.
    smoothing : of emotion labels; half of it for gender.
    weights : of the emotion, gender and age loss.
    """

    dropout: float = 0.5
    age_head: str = "linear"
    age_dropout: float = 0.6
    epochs: int = 12
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    batch: int = 64
    smoothing: float = 0.1
    hidden: tuple[int, ...] = (256,)
    weights: tuple[float, float, float] = (1.0, 0.3, 0.3)


CANDIDATES = (Recipe(), Recipe(dropout=0.3, age_dropout=0.8))


@dataclass(frozen=True)
class Rows:
    """What a network can learn from: vectors (n, d), their labels, and per clip (n, 3) which of
    emotion, gender and age are known.

    CREMA-D's `clips` come first, then, where there are any, their degraded `copies`, then other
    people.
    """

    embeddings: Tensor
    targets: Targets
    known: Tensor
    clips: pd.DataFrame
    copies: Sequence[Copy]

    def learnable(self, own: np.ndarray) -> np.ndarray:
        """Of CREMA-D's clips the rows `own`, their copies, and everybody else's rows."""
        chosen = with_copies(own, self.clips, self.copies) if self.copies else own
        others = np.arange(len(self.clips) + len(self.copies), len(self.embeddings))
        return np.concatenate([chosen, others])


class _Dropout(Network):
    """The plain network, but units are left out while it trains."""

    def __init__(self, dimension: int, seeds: Sequence[int], recipe: Recipe):
        super().__init__(dimension, "fcn", seeds, recipe.age_head, recipe.hidden)
        self.recipe = recipe

    def forward(self, x: Tensor) -> Output:
        recipe, standardised = self.recipe, self.standardised(x)
        x = functional.dropout(standardised, recipe.dropout / 2)
        for layer in self.hidden:
            x = functional.dropout(functional.relu(layer(x)), recipe.dropout)
        if recipe.age_head == "linear":
            age = self.age(functional.dropout(standardised, recipe.age_dropout))
        else:
            age = self.age(x)
        return Output(self.emotion(x), self.gender(x), age.squeeze(-1))


def rows(
    embeddings: np.ndarray, clips: pd.DataFrame, *, degraded: bool = False, others: bool = False
) -> Rows:
    """CREMA-D's clips, and, if asked for, a degraded copy of each and other people's clips.

    embeddings : of `clips`; those of the copies and of others come from shipped tables of `TABLES`.
    """
    vectors, labels, known = [torch.from_numpy(embeddings)], [Targets.of(clips)], [(1, 1, 1)]
    copies = training_copies(clips) if degraded else []
    if degraded:
        vectors.append(torch.from_numpy(features.read("+".join(DEGRADED)).at(clips["clip"])))
        labels.append(labels[0])
        known.append((1, 1, 1))
    if others:
        people, theirs = _speechocean.read()
        vectors.append(torch.tensor(theirs))
        labels.append(Targets.of(people.assign(emotion=corpora.EMOTIONS[0])))  # never looked at
        known.append((0, 1, 1))
    return Rows(
        torch.cat(vectors),
        Targets(*(torch.cat(parts) for parts in zip(*labels, strict=True))),
        torch.tensor(known).repeat_interleave(torch.tensor([len(v) for v in vectors]), dim=0),
        clips,
        copies,
    )


def train(data: Rows, chosen: np.ndarray, seeds: Sequence[int], recipe: Recipe) -> Network:
    """Train one network per seed on the rows `chosen`, side by side.

    Input and age are standardised by the rows whose emotion is known, CREMA-D's.
    """
    network = _Dropout(data.embeddings.shape[1], seeds, recipe)
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
    plain = Network(data.embeddings.shape[1], "fcn", seeds, recipe.age_head, recipe.hidden)
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


def choose(data: Rows, own: np.ndarray, seed: int, candidates: Sequence[Recipe]) -> Recipe:
    """The recipe that is best on held-out speakers of the rows `own`, CREMA-D's.

    The most emotions decide; a linear age head shares nothing with the trunk, so that its dropout
    is chosen for itself, by the smallest age error.
    """
    if len(candidates) == 1:
        return candidates[0]
    held_out = folds.split(data.clips.iloc[own], "speaker-disjoint", seed, INNER)[0].test
    fitted, held_out = data.learnable(np.delete(own, held_out)), own[held_out]
    hits, age_errors = [], []
    for candidate in candidates:
        said = train(data, fitted, [seed], candidate).predict(data.embeddings[held_out])
        named = said.emotion[0].argmax(-1)
        hits.append(int((named == data.targets.emotion[held_out]).sum()))
        age_errors.append(float((said.age[0] - data.targets.age[held_out]).square().mean()))
    for_age = candidates[int(np.argmin(age_errors))]
    return replace(candidates[int(np.argmax(hits))], age_dropout=for_age.age_dropout)


def train_chosen(
    data: Rows, own: np.ndarray, seeds: Sequence[int], candidates: Sequence[Recipe] = CANDIDATES
) -> tuple[Network, Recipe]:
    """An ensemble trained on all that goes with the rows `own`, by the recipe chosen on them."""
    recipe = choose(data, own, seeds[0], candidates)
    return train(data, data.learnable(own), seeds, recipe), recipe


def train_best() -> tuple[Network, Recipe]:
    """The model that ships: `NETWORKS` networks over `TABLES` joined, and the recipe chosen.

    They learn from all of CREMA-D (policy clean), degraded copies of it, and other people.
    """
    clips = corpora.clips()
    data = rows(features.read(OURS).at(clips["clip"]), clips, degraded=True, others=True)
    return train_chosen(data, np.arange(len(clips)), range(NETWORKS))


def estimate(
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    split: Split,
    seed: int,
    *,
    networks: int = 1,
    candidates: Sequence[Recipe] = CANDIDATES,
    degraded: bool = False,
    others: bool = False,
) -> Prediction:
    """What networks of this module say about `split.test`, averaged; for `ablations.Variant`."""
    data = rows(embeddings, clips, degraded=degraded, others=others)
    own = np.concatenate([split.train, split.validation])
    seeds = [seed * 100 + number for number in range(networks)]
    network, _ = train_chosen(data, own, seeds, candidates)
    return Prediction(*(p.mean(0) for p in network.predict(data.embeddings[split.test])))


PAPER = "the paper's recipe on MFCC"
CHOSEN = "three networks, settings chosen"
DEGRADED_TOO = "with degraded copies"
SHIPPED = "with other people's ages"
_chosen = partial(estimate, networks=NETWORKS, candidates=CANDIDATES)

LADDER = (
    Variant(PAPER, "mfcc"),
    Variant("... on MFCC, d-vector and eGeMAPS", "mfcc_delta+dvector+egemaps"),
    Variant("... on the d-vector's layers", "dvector_layers"),
    Variant("... and MFCC", OURS),
    Variant(
        "one hidden layer, dropout, smoothing", OURS,
        estimator=partial(estimate, candidates=(Recipe(age_head="number"),)),
    ),
    Variant(
        "age straight from the input", OURS, estimator=partial(estimate, candidates=(Recipe(),))
    ),
    Variant(CHOSEN, OURS, estimator=_chosen),
    Variant(
        DEGRADED_TOO, OURS, estimator=partial(_chosen, degraded=True), besides=DEGRADED
    ),
    Variant(
        SHIPPED, OURS, estimator=partial(_chosen, degraded=True, others=True),
        besides=(*DEGRADED, _speechocean.NAME),
    ),
)  # fmt: skip
"""Each keeps what the one before it had. The last is the model that ships."""


def make(jobs: int | None = None) -> Path:
    """Train what is missing and write the results table."""
    return run("best", LADDER, SEEDS, jobs=jobs)


def ladder() -> dict[str, Sums]:
    """The constant, then every step, from the shipped results."""
    clips = corpora.clips()
    ignorant = evaluation.sums(evaluation.constant(clips, "speaker-disjoint", SEEDS), clips)
    return {tables.CONSTANT: ignorant, **results("best")}


def compared(counts: Mapping[str, Sums], draws: int = DRAWS) -> pd.DataFrame:
    """Each step against the one before it, and the last one's age error against the constant's.

    A table as of `planned`.
    """
    steps = list(counts)[1:]
    pairs: list[tuple[str, ...]] = [*zip(steps[1:], steps, strict=False)]
    pairs += [(SHIPPED, tables.CONSTANT, "age_rmse")]
    return planned(counts, {(f"{pair[0]} - {pair[1]}",): pair for pair in pairs}, draws)


def in_short(counts: Mapping[str, Sums], differences: pd.DataFrame) -> str:
    """The chapter's closing sentence, from `ladder` and `compared`."""
    ours, paper = counts[SHIPPED], counts[PAPER]
    emotion, gender = (
        [100 * value(of, f"{task}_accuracy") for of in (ours, paper)] for task in TASKS[:2]
    )
    heading = tables.MEASURES["age_rmse"][0]
    against_constant = differences.T[f"{SHIPPED} - {tables.CONSTANT}"][heading]
    side = "below" if against_constant["difference"] < 0 else "above"
    return (
        f"on speakers it never heard, the best model within the app's reach names "
        f"{emotion[0]:.1f} % of emotions and {gender[0]:.1f} % of genders, against "
        f"{emotion[1]:.1f} % and {gender[1]:.1f} % of the paper's recipe on MFCC; its age error of "
        f"{value(ours, 'age_rmse'):.1f} years is {abs(against_constant['difference']):.1f} years "
        f"{side} that of the constant ({'beyond' if clear(against_constant) else 'not beyond'} "
        "chance)."
    )
