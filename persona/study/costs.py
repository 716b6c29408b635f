"""What networks cost: parameters, training time, time to answer, measured on this machine."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from persona import folds
from persona.dataset import Dataset
from persona.keeping import parallel
from persona.labels import TASKS
from persona.losses import Targets
from persona.network import Network
from persona.training import Settings, build, fit

ANSWERS = 200
"""Answers whose median time is taken."""


def network_costs(
    representation: str, networks: Mapping[str, Sequence[Settings]], epochs: int = 3
) -> pd.DataFrame:
    """Costs of one or several networks, trained and asked one after the other, on one thread.

    networks : label to the settings of its networks.
    epochs : that the training is measured over.

    Returns a row per label: `parameters` (of trunks and of the heads that are trained), `seconds`
    per epoch of one fold, and `milliseconds` to answer one clip whose embedding is there.
    """
    [(_, warm)] = parallel.run(_measured, [(representation, [Settings()], 1)])
    rows = {
        label: next(parallel.run(_measured, [(representation, several, epochs)]))[1]
        for label, several in networks.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(warm))


def parameters(network: Network, settings: Settings | None = None) -> int:
    """Parameters of the trunk and of the heads that are trained."""
    weights = (settings or Settings()).weights
    idle = tuple(f"{task}." for task, weight in zip(TASKS, weights, strict=True) if not weight)
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith(idle))


def matched_width(dimension: int) -> int:
    """Width of the first layer at which an FCN has about as many parameters as the CNN."""

    def size(architecture: str, width: int) -> int:
        hidden = (width, *Settings().hidden[1:])
        return parameters(build(dimension, architecture, Settings(hidden=hidden)))

    one, two = size("fcn", 1), size("fcn", 2)  # every further unit adds as many
    return max(1, round(1 + (size("cnn", Settings().hidden[0]) - one) / (two - one)))


def _measured(representation: str, several: Sequence[Settings], epochs: int) -> dict[str, float]:
    data = Dataset("crema-d", representation)
    clips, embeddings = data.clips, data.tensor()
    targets, split = Targets.of(clips), folds.split(clips, "speaker-disjoint", 0)[0]
    networks, seconds = [], 0.0
    for settings in several:
        began = time.perf_counter()
        fixed = replace(settings, epochs=epochs, patience=epochs)
        network, _ = fit(embeddings, targets, split.train, split.validation, 0, settings=fixed)
        seconds += (time.perf_counter() - began) / epochs
        networks.append(network)
    taken = []
    for _ in range(ANSWERS):
        began = time.perf_counter()
        for network in networks:
            network.predict(embeddings[:1])
        taken.append(time.perf_counter() - began)
    return {
        "parameters": sum(map(parameters, networks, several)),
        "seconds": seconds,
        "milliseconds": 1000 * float(np.median(taken)),
    }
