"""Fit stacks of multi-task networks and write their out-of-fold predictions.

The loss is the paper's: cross-entropy (emotion) + cross-entropy (gender) + mean squared error
(age). Two recipes differ in the unit of age: `literal` takes years, so that the squared error
(about 170 for a constant) outweighs the rest; `balanced` takes standard deviations of the
training part's ages.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from persona import corpora, features, folds, predictions
from persona.corpora import GENDERS
from persona.losses import TASKS, Targets, Weighing, losses
from persona.model import HIDDEN, Network, Prediction
from persona.predictions import Configuration
from persona.provenance import software

RECIPES = ("literal", "balanced")


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    epochs : at most this many (paper: 20).
    steps : updates per epoch. Each takes an equal share of the training rows, about 54 clips of
        CREMA-D's four folds, so that networks trained side by side keep in step. The paper does
        not give its batch size.
    learning_rate, decay : Adam's rate (paper: 1e-3) and its factor per epoch.
    patience : epochs without a lower validation loss after which a network stops; the weights of
        its best epoch are kept.
    """

    epochs: int = 20
    steps: int = 100
    learning_rate: float = 1e-3
    decay: float = 0.9
    patience: int = 5


@dataclass(frozen=True)
class Fit:
    """One network to train: its rows, its seed and what it is trained for.

    validation : rows for early stopping; where no network has any, all epochs are trained and
        the last is kept.
    weights : of the emotion, gender and age loss; 0 leaves a task out.
    watched : weights of the losses in early stopping; None: those of `weights`.
    weighing : how the losses are weighed while training, see `losses.Weighing`.
    scaling : of the input, see `Network.standardise`.
    """

    train: np.ndarray
    validation: np.ndarray
    seed: int
    recipe: str = "balanced"
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    weighing: str = "fixed"
    scaling: str = "standard"
    watched: tuple[float, float, float] | None = None


@dataclass
class History:
    """Mean losses per epoch, each of shape (epochs, M, 3 tasks), and each network's best epoch."""

    train: list[np.ndarray] = field(default_factory=list)
    validation: list[np.ndarray] = field(default_factory=list)
    best_epoch: np.ndarray = field(default_factory=lambda: np.empty(0, int))


def fit(
    embeddings: Tensor,
    targets: Targets,
    fits: Sequence[Fit],
    architecture: str,
    settings: Settings | None = None,
    *,
    age_head: str = "number",
    hidden: Sequence[int] = HIDDEN,
    progress: str = "",
) -> tuple[Network, History]:
    """Train one network per element of `fits`, all at once; deterministic for their seeds.

    embeddings : float32, shape (n, dimension). A network's result depends on its own `Fit` only,
    not on its neighbours in the stack. `progress` labels a progress bar; empty shows none.
    Whatever the weighing, early stopping watches the weighted sum of the losses.
    """
    settings = settings or Settings()
    seeds = [job.seed for job in fits]
    network = Network(embeddings.shape[1], architecture, seeds, age_head, hidden)
    for model, job in enumerate(fits):
        rows = torch.as_tensor(job.train)
        ages = targets.age[rows] if job.recipe == "balanced" else None
        network.standardise(model, embeddings[rows], ages, job.scaling)
    weighing = Weighing([job.weighing for job in fits], [job.weights for job in fits])
    watched = torch.tensor([job.watched or job.weights for job in fits], dtype=torch.float32)
    parameters = [*network.parameters(), *weighing.parameters()]
    optimiser = torch.optim.Adam(parameters, settings.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, settings.decay)
    generators = [np.random.default_rng(seed) for seed in seeds]
    validation = []
    if any(len(job.validation) for job in fits):
        validation = list(_batches([job.validation for job in fits], settings.steps // 10 or 1))

    history = History(best_epoch=np.zeros(len(fits), int))
    best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    lowest = torch.full((len(fits),), torch.inf)
    for epoch in tqdm(range(settings.epochs), progress, disable=not progress, leave=False):
        order = [rng.permutation(job.train) for rng, job in zip(generators, fits, strict=True)]
        seen = []
        for batch in _batches(order, settings.steps):
            optimiser.zero_grad()
            each = _task_losses(network, embeddings, targets, batch)
            weighing.total(each, network.shared).backward()
            optimiser.step()
            seen.append(each.detach())
        schedule.step()
        history.train.append(_mean(seen).numpy())
        if not validation:
            history.best_epoch[:] = epoch
            continue
        with torch.inference_mode():
            held_out = _mean([_task_losses(network, embeddings, targets, b) for b in validation])
        history.validation.append(held_out.numpy())

        total = (held_out * watched).sum(dim=1)
        running = epoch - torch.as_tensor(history.best_epoch) <= settings.patience
        better = running & (total < lowest)
        lowest = torch.where(better, total, lowest)
        history.best_epoch[better.numpy()] = epoch
        for name, tensor in network.state_dict().items():
            best[name][better] = tensor[better]
        if not running.any():
            break
    if validation:
        network.load_state_dict(best)
    return network.eval(), history


class _Batch(NamedTuple):
    rows: Tensor  # (M, width), padded with row 0
    share: Tensor  # (M, width), so that the mean over batches is the mean over rows; 0 for padding


def _batches(rows: Sequence[np.ndarray], steps: int) -> Iterator[_Batch]:
    """Cut each network's rows into `steps` near-equal parts, padded to a common width."""
    cuts = [np.array_split(r, steps) for r in rows]
    for step in range(steps):
        parts = [cut[step] for cut in cuts]
        width = max(map(len, parts))
        padded = np.zeros((len(parts), width), np.int64)
        share = np.zeros((len(parts), width), np.float32)
        for model, part in enumerate(parts):
            padded[model, : len(part)] = part
            share[model, : len(part)] = steps / len(rows[model])
        yield _Batch(torch.from_numpy(padded), torch.from_numpy(share))


def _task_losses(network: Network, embeddings: Tensor, targets: Targets, batch: _Batch) -> Tensor:
    """Mean loss of each network and task over its batch, shape (M, 3)."""
    wanted = Targets(*(labels[batch.rows] for labels in targets))
    each = losses(network(embeddings[batch.rows]), wanted, network)
    return (each * batch.share.unsqueeze(-1)).sum(dim=1)


def _mean(of_batches: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(of_batches)).mean(dim=0)


VERSION = 2
"""Raised whenever the same configuration, settings and seed would give other predictions."""


def cross_validate(
    configurations: Sequence[Configuration],
    folder: Path,
    seeds: Sequence[int],
    settings: Settings | None = None,
    *,
    policy: str = "clean",
    jobs: int | None = None,
) -> None:
    """Train every configuration on all folds and seeds and write its out-of-fold predictions.

    Configurations whose predictions are in `folder` already, made the same way, are kept, so a
    killed run goes on where it was. The networks of a configuration train side by side; several
    configurations run in `jobs` processes (default: one per core). Learning curves are written
    beside the predictions (`read_history`).
    """
    settings = settings or Settings()
    waiting = []
    for configuration in configurations:
        made_by = _provenance(configuration, seeds, settings, policy)
        found = predictions.provenance(configuration.file(folder))
        if any(found.get(key) != value for key, value in made_by.items()):
            waiting.append((configuration, made_by))
    if not waiting:
        return
    # The longest first, so that the cores finish together.
    waiting.sort(key=lambda item: item[0].architecture == "cnn", reverse=True)
    jobs = min(jobs or os.cpu_count() or 1, len(waiting))
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        futures = [
            pool.submit(
                _cross_validate_one, configuration, folder, seeds, settings, policy, made_by
            )
            for configuration, made_by in waiting
        ]
        try:
            for future in tqdm(
                as_completed(futures), "training", len(futures), unit="configuration"
            ):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _provenance(
    configuration: Configuration, seeds: Sequence[int], settings: Settings, policy: str
) -> dict[str, Any]:
    """What decides the predictions, in the form it has after a round trip through JSON."""
    made_by = {
        "training_version": VERSION,
        "features": features.read(configuration.representation).identity(),
        "seeds": list(seeds),
        "settings": asdict(settings),
        "policy": policy,
    }
    return json.loads(json.dumps(made_by))


def _cross_validate_one(
    configuration: Configuration,
    folder: Path,
    seeds: Sequence[int],
    settings: Settings,
    policy: str,
    made_by: dict[str, Any],
) -> None:
    clips = corpora.clips(policy)
    embeddings = torch.from_numpy(features.read(configuration.representation).at(clips["clip"]))
    splits = [split for seed in seeds for split in folds.split(clips, configuration.protocol, seed)]
    fold_seeds = [(seed, fold) for seed in seeds for fold in range(folds.FOLDS)]
    fits = [
        Fit(split.train, split.validation, seed * folds.FOLDS + fold, configuration.recipe)
        for split, (seed, fold) in zip(splits, fold_seeds, strict=True)
    ]
    network, history = fit(
        embeddings, Targets.of(clips), fits, configuration.architecture, settings
    )
    rows = [
        out_of_fold(prediction, clips["clip"].to_numpy()[split.test], seed, fold)
        for prediction, split, (seed, fold) in zip(
            predict_each(network, embeddings, [split.test for split in splits]),
            splits, fold_seeds, strict=True,
        )
    ]  # fmt: skip
    _write_history(configuration, folder, history, fold_seeds)
    made_by = {**made_by, "software": software("torch", "numpy")}
    predictions.write(folder, configuration, pd.concat(rows, ignore_index=True), made_by)


def predict_each(
    network: Network, embeddings: Tensor, rows: Sequence[np.ndarray]
) -> list[Prediction]:
    """What each network of a stack says about its own rows; shapes (n, 6), (n, 2) and (n,)."""
    (batch,) = _batches(rows, 1)
    said = network.predict(embeddings[batch.rows])
    return [
        Prediction(*(part[model, : len(own)] for part in said)) for model, own in enumerate(rows)
    ]


def out_of_fold(prediction: Prediction, clips: np.ndarray, seed: int, fold: int) -> pd.DataFrame:
    """Rows of a prediction table (`predictions.COLUMNS`) for the clips of one test fold."""
    emotion = pd.DataFrame(prediction.emotion.numpy(), columns=predictions.PROBABILITIES)
    female = prediction.gender[:, GENDERS.index("female")].numpy()
    return emotion.assign(
        clip=clips, seed=seed, fold=fold, p_female=female, age=prediction.age.numpy()
    )


def _history_file(configuration: Configuration, folder: Path) -> Path:
    return configuration.file(folder).with_suffix(".history.csv")


def _write_history(
    configuration: Configuration,
    folder: Path,
    history: History,
    fold_seeds: Sequence[tuple[int, int]],
) -> None:
    rows = [
        {"seed": seed, "fold": fold, "epoch": epoch + 1, "part": part, "task": task,
         "loss": values[epoch][model, number], "best": epoch == history.best_epoch[model]}
        for part, values in (("training", history.train), ("validation", history.validation))
        for epoch in range(len(values))
        for model, (seed, fold) in enumerate(fold_seeds)
        for number, task in enumerate(TASKS)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(
        _history_file(configuration, folder), index=False, float_format="%.5g"
    )


def read_history(configuration: Configuration, folder: Path) -> pd.DataFrame:
    """Learning curves: one row per seed, fold, epoch, part and task; `loss` as it was summed."""
    return pd.read_csv(_history_file(configuration, folder))
