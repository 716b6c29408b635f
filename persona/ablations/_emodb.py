"""EmoDB: ten German actors, heard by networks that learnt nothing from them.

Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss (2005), "A database of German emotional speech".
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from persona import corpora, evaluation, paths, training
from persona.ablations._copies import extract, read_tables, work
from persona.evaluation import Sums
from persona.model import Network

ADAPTED = ", adapted"
"""Ends the name of a network whose input is standardised on EmoDB."""

NAMES = {
    "constant": "ignores the voice",
    "clean": "study's network, clean clips",
    "unlimited": "study's network, clean clips, inputs not limited",
    "augmented": "study's network, clean and degraded clips",
    "egemaps": "study's network with eGeMAPS, clean clips",
    "app": "app's recipe, clean and degraded clips",
    "app clean": "app's recipe, clean clips",
}
"""What the table calls the networks."""

NETWORKS = (
    "constant",
    "clean",
    "clean, adapted",
    "unlimited",
    "augmented",
    "augmented, adapted",
    "egemaps",
    "egemaps, adapted",
    "app",
    "app, adapted",
    "app clean",
    "app clean, adapted",
)
"""What is tested."""


def results_file() -> Path:
    """Sums of every network."""
    return paths.data() / "results" / "robustness_emodb.parquet"


def tested_on(
    heard: Mapping[str, tuple[Network, Sequence[str]]], folder: Path, jobs: int | None
) -> dict[str, Sums]:
    """Sums of `NETWORKS` over the EmoDB in `folder`; `heard` are networks and their tables."""
    clips = corpora.emodb(folder)
    files = dict(zip(clips["clip"], clips["path"], strict=True))
    tables = {
        part: work() / f"emodb_{part}.parquet" for _, parts in heard.values() for part in parts
    }
    for part, table in tables.items():
        if not table.exists():
            extract(part, files, table, jobs)
    known = corpora.clips()
    ignoring = evaluation.constant(known, "speaker-disjoint").iloc[[0] * len(clips)]
    counts = {"constant": evaluation.sums(ignoring.assign(clip=clips["clip"].to_numpy()), clips)}
    for name in NETWORKS[1:]:
        network, parts = heard[name.removesuffix(ADAPTED)]
        embeddings = read_tables(tables[part] for part in parts).at(clips["clip"])
        counts[name] = tested(network, embeddings, clips, adapted=name.endswith(ADAPTED))
    return counts


def tested(
    network: Network,
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    *,
    adapted: bool = False,
) -> Sums:
    """Sums over the clips of another corpus; every network of the stack counts as a seed.

    adapted : standardise the input by the other corpus's own mean and deviation, which needs no
        labels but does need a collection of its recordings.
    """
    inputs = torch.from_numpy(embeddings)
    if adapted:
        network = deepcopy(network)
        for model in range(network.models):
            network.standardise(model, inputs, None)
    rows = [np.arange(len(clips))] * network.models
    names = clips["clip"].to_numpy()
    parts = [
        training.out_of_fold(said, names, model, 0)
        for model, said in enumerate(training.predict_each(network, inputs, rows))
    ]
    return evaluation.sums(pd.concat(parts, ignore_index=True), clips)


def table(counts: Mapping[str, Sums]) -> pd.DataFrame:
    """Measures with intervals over EmoDB's ten speakers, a row per network."""
    shown = {
        "emotion_accuracy": ("emotion %", 100), "emotion_uar": ("emotion UAR %", 100),
        "gender_accuracy": ("gender %", 100), "age_rmse": ("age RMSE, years", 1),
    }  # fmt: skip
    rows = {}
    for name in NETWORKS:
        scores = evaluation.score(counts[name])
        corpus = "EmoDB" if name.endswith(ADAPTED) else "CREMA-D"
        rows[NAMES[name.removesuffix(ADAPTED)], "" if name == "constant" else corpus] = {
            column: _with_interval(factor * scores.loc[metric].to_numpy())
            for metric, (column, factor) in shown.items()
        }
    return pd.DataFrame(rows).T.rename_axis(["network", "standardised on"])


def _with_interval(numbers: np.ndarray) -> str:
    return "{:.1f} [{:.1f}, {:.1f}]".format(*numbers)
