"""The input: how it is scaled and pooled, which representations are joined, which layer is read."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from persona import audio, corpora, evaluation, features, tables, training
from persona.ablations import SEEDS, Variant, run
from persona.ablations._scores import DRAWS, planned
from persona.evaluation import Sums
from persona.folds import Split
from persona.model import Network, Prediction
from persona.training import Fit, Settings, Targets

if TYPE_CHECKING:
    from persona.representations.wavlm import WavLM

ALL = "mfcc+dvector+egemaps"

SCALINGS: dict[str, dict[str, Any]] = {
    "mean and deviation": {},
    "not scaled": {"scaling": "none"},
    "smallest and largest value": {"scaling": "range"},
    "median and quartiles": {"scaling": "robust"},
    "normal quantiles": {},
}
"""Ways to scale the fusion of all three, learnt from training rows; the first is the default."""

POOLINGS = {"mean": 40, "mean and deviation": 80, "mean, deviation and deltas": 160}
"""MFCC poolings: the leading columns of the table `mfcc_delta`, 40 per statistic."""

FUSIONS = (
    "mfcc", "dvector", "egemaps",
    "mfcc+dvector", "mfcc+egemaps", "dvector+egemaps", ALL,
)  # fmt: skip
"""Representations alone, in pairs, and all three, side by side."""

LAYERS = "wavlm_layers"
"""Feature table of WavLM's hidden states, one after the other; made by `extract_layers`."""


def variants(architecture: str = "fcn") -> list[Variant]:
    """Every scaling, pooling and fusion, for unseen speakers."""
    made_of = partial(Variant, architecture=architecture)
    return [
        *(
            made_of(f"scaling: {name}", ALL, **changed)
            for name, changed in SCALINGS.items()
            if name != "normal quantiles"
        ),
        made_of(
            "scaling: normal quantiles", ALL,
            estimator=partial(on_quantiles, architecture=architecture),
        ),
        *(
            made_of(f"pooling: {name}", "mfcc_delta", transform=partial(leading, columns=columns))
            for name, columns in POOLINGS.items()
        ),
        *(made_of(f"fusion: {name}", name) for name in FUSIONS),
    ]  # fmt: skip


def pairs(section: str) -> list[tuple[str, str]]:
    """The comparisons of a section, planned before looking: "scaling", "pooling" or "fusion".

    Each scaling against the default, each pooling against the one before, and each fusion
    against the same with one representation fewer.
    """
    if section == "scaling":
        default, *others = SCALINGS
        chosen = [(other, default) for other in others]
    elif section == "pooling":
        names = list(POOLINGS)
        chosen = list(zip(names[1:], names, strict=False))
    else:
        chosen = [
            (larger, smaller)
            for larger in FUSIONS
            for smaller in FUSIONS
            if set(smaller.split("+")) < set(larger.split("+"))
            and smaller.count("+") == larger.count("+") - 1
        ]
    return [(f"{section}: {first}", f"{section}: {second}") for first, second in chosen]


def table_name(architecture: str = "fcn", seeds: Sequence[int] = SEEDS) -> str:
    """Name of the results table; "inputs" is shipped."""
    shipped = architecture == "fcn" and tuple(seeds) == SEEDS
    return "inputs" if shipped else "-".join(["inputs", architecture, *map(str, seeds)])


def make(
    jobs: int | None = None,
    architecture: str = "fcn",
    seeds: tuple[int, ...] = SEEDS,
    settings: Settings | None = None,
) -> Path:
    """Train what is missing, six minutes on two cores; WavLM's layers too, where they are."""
    if features.available(LAYERS):
        run("inputs_wavlm", layer_variants(), seeds, settings, jobs=jobs)
    return run(table_name(architecture, seeds), variants(architecture), seeds, settings, jobs=jobs)


def shown(counts: Mapping[str, Sums], section: str = "") -> pd.DataFrame:
    """Values with 95 % intervals of the variants of a section, a column per measure."""
    rows = {
        name.removeprefix(f"{section}: "): {
            heading: tables.cell(evaluation.score(counts[name]), metric)
            for metric, (heading, _, _) in tables.MEASURES.items()
        }
        for name in counts
        if name.startswith(section)
    }
    return pd.DataFrame(rows).T


def compared(counts: Mapping[str, Sums], section: str, draws: int = DRAWS) -> pd.DataFrame:
    """The planned comparisons of a section (`pairs`), Holm-corrected over all of its rows."""
    named: dict[tuple[str, ...], tuple[str, str]] = {
        (first.removeprefix(f"{section}: "), second.removeprefix(f"{section}: ")): (first, second)
        for first, second in pairs(section)
    }
    table = planned(counts, named, draws)
    return table.rename_axis(["first", "minus", "measure"])


def in_short(counts: Mapping[str, Sums], scaling: pd.DataFrame, pooling: pd.DataFrame) -> str:
    """The chapter's closing sentence, from the results and two tables of `compared`."""
    accuracy = {
        name: float(evaluation.score(counts[f"fusion: {name}"])["value"]["emotion_accuracy"])
        for name in FUSIONS
    }
    best = max(accuracy, key=accuracy.__getitem__)
    single = max((name for name in FUSIONS if "+" not in name), key=accuracy.__getitem__)
    return (
        f"on unseen speakers the best input is {best}, "
        f"{100 * (accuracy[best] - accuracy[single]):.1f} points of emotion accuracy above "
        f"{single}, the best by itself; an unscaled input gets "
        f"{_change(scaling, 'not scaled', 'mean and deviation')} of the emotions right than a "
        "scaled one, and MFCC deviations besides means "
        f"{_change(pooling, 'mean and deviation', 'mean')}."
    )


def _change(table: pd.DataFrame, first: str, second: str) -> str:
    row = table.loc[[(first, second, "emotion %")]].iloc[0]
    doubt = "" if row["p_holm"] < 0.05 else " (which may be chance)"
    more = "more" if row["difference"] > 0 else "fewer"
    return f"{abs(row['difference']):.1f} points {more}{doubt}"


def leading(embeddings: np.ndarray, columns: int) -> np.ndarray:
    """The first columns of embeddings, shape (n, columns)."""
    return embeddings[:, :columns]


def on_quantiles(
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    split: Split,
    seed: int,
    architecture: str = "fcn",
    settings: Settings | None = None,
) -> Prediction:
    """A network whose inputs are the normal deviates of their quantiles in the training rows."""
    from sklearn.preprocessing import QuantileTransformer

    scale = QuantileTransformer(n_quantiles=500, output_distribution="normal", subsample=None)
    scale.fit(embeddings[split.train])
    inputs = torch.from_numpy(scale.transform(embeddings).astype(np.float32))
    fits = [Fit(split.train, split.validation, seed, scaling="none")]
    network, _ = training.fit(inputs, Targets.of(clips), fits, architecture, settings)
    return training.predict_each(network, inputs, [split.test])[0]


def extract_layers(folder: Path | None = None, model: str = "microsoft/wavlm-base") -> Path:
    """Average every hidden state of WavLM over each clip and write the table `LAYERS`.

    folder : of CREMA-D's audio, by default where `persona corpus fetch` puts it.

    Takes about an hour on two cores, and 0.3 GB of disk; goes on where it was killed. Raises
    `WeightsError` where the weights cannot be had, `CorpusError` where clips are missing.
    """
    from persona.representations.wavlm import WavLM

    names, recordings = corpora.clips("all")["clip"], corpora.locate(folder)
    wavlm = WavLM(model)
    layers_table(wavlm, {name: recordings / f"{name}.wav" for name in names}, features.path(LAYERS))
    return features.path(LAYERS)


def layers_table(wavlm: "WavLM", files: Mapping[str, Path], out: Path) -> None:
    """Write the table of `wavlm.embed_layers`, shape (clips, layers * dimension)."""
    from tqdm import tqdm

    provenance = {**wavlm.provenance(), "layer": "all", "corpus_sha256": corpora.corpus_hash()}
    names = sorted(files)
    fingerprint = hashlib.sha256(json.dumps([provenance, names], sort_keys=True).encode())
    folder = out.with_name(f"{out.stem}-{fingerprint.hexdigest()[:12]}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        folder / f"{start:06d}.npz": names[start : start + features.PART]
        for start in range(0, len(names), features.PART)
    }
    for part, clips in tqdm(parts.items(), out.stem, unit="part"):
        if part.exists():
            continue
        waveforms = [audio.read(files[clip], accept_silence=True).samples for clip in clips]
        vectors = wavlm.embed_layers(waveforms).reshape(len(clips), -1)
        unfinished = part.with_suffix(".unfinished.npz")
        np.savez(unfinished, clips=np.array(clips), vectors=vectors, bad=np.empty((0, 2), str))
        unfinished.replace(part)
    features._assemble(out, list(parts), provenance)
    shutil.rmtree(folder)


def layer_variants(layers: int = 13) -> list[Variant]:
    """The last layer, the plain mean of all, and a learnt weighted sum."""
    return [
        Variant("last layer", LAYERS, transform=partial(last_layer, layers=layers)),
        Variant("mean of all layers", LAYERS, transform=partial(mean_layer, layers=layers)),
        Variant("learnt weighted sum", LAYERS, estimator=partial(weighted_sum, layers=layers)),
    ]


def last_layer(embeddings: np.ndarray, layers: int) -> np.ndarray:
    """The last of `layers` equal parts of each row."""
    return embeddings[:, -(embeddings.shape[1] // layers) :]


def mean_layer(embeddings: np.ndarray, layers: int) -> np.ndarray:
    """The mean of `layers` equal parts of each row."""
    return embeddings.reshape(len(embeddings), layers, -1).mean(axis=1)


class LayerSum(nn.Module):
    """A multi-task network that hears a weighted sum of layers and learns the weights as well.

    Yang et al. (2021), "SUPERB". The weights are a softmax, equal before training.
    """

    def __init__(self, layers: int, dimension: int, seed: int):
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))
        self.network = Network(dimension, "fcn", [seed])

    def weights(self) -> Tensor:
        """Share of each layer in the sum, shape (layers,)."""
        return self.scores.softmax(0)

    def mixed(self, x: Tensor) -> Tensor:
        """Layers side by side, shape (B, layers * dimension), to their sum (1, B, dimension)."""
        parts = x.view(len(x), len(self.scores), -1)
        return torch.einsum("bld,l->bd", parts, self.weights()).unsqueeze(0)

    def losses(self, x: Tensor, targets: Targets) -> Tensor:
        """Summed losses of the three tasks, averaged over clips."""
        wanted = Targets(*(labels.unsqueeze(0) for labels in targets))
        return training.losses(self.network(self.mixed(x)), wanted, self.network).sum(-1).mean()


def weighted_sum(
    embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int, layers: int = 13
) -> Prediction:
    """What a `LayerSum` trained on the split says about `split.test`."""
    x = torch.from_numpy(embeddings)
    x = (x - x[split.train].mean(0)) / x[split.train].std(0).clamp_min(1e-6)
    model = fit_layer_sum(x, Targets.of(clips), split, seed, layers)
    with torch.inference_mode():
        prediction = model.network.predict(model.mixed(x[split.test]))
    return Prediction(*(part[0] for part in prediction))


def fit_layer_sum(
    x: Tensor,
    targets: Targets,
    split: Split,
    seed: int,
    layers: int,
    settings: Settings | None = None,
) -> LayerSum:
    """Train a `LayerSum` as `training.fit` trains a network.

    x : float32, shape (n, layers * dimension), each column standardised on the training rows.
    """
    settings = settings or Settings()
    model = LayerSum(layers, x.shape[1] // layers, seed)
    model.network.standardise(0, model.mixed(x[split.train])[0].detach(), targets.age[split.train])
    optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, settings.decay)
    rng = np.random.default_rng(seed)
    steps = min(settings.steps, len(split.train))
    best, lowest, waited = deepcopy(model.state_dict()), np.inf, 0
    for _ in range(settings.epochs):
        for rows in np.array_split(rng.permutation(split.train), steps):
            optimiser.zero_grad()
            model.losses(x[rows], Targets(*(labels[rows] for labels in targets))).backward()
            optimiser.step()
        schedule.step()
        rows = split.validation
        with torch.inference_mode():
            held_out = float(model.losses(x[rows], Targets(*(t[rows] for t in targets))))
        waited += 1
        if held_out < lowest:
            best, lowest, waited = deepcopy(model.state_dict()), held_out, 0
        if waited > settings.patience:
            break
    model.load_state_dict(best)
    return model
