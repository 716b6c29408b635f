"""Studies of one question each: variants of the network, trained alike and compared by speaker.

A study is a module of this package with a function `make(jobs)` that computes its results table.
Most list `Variant`s and hand them to `run`.
"""

import ast
import hashlib
import inspect
import json
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from persona import corpora, evaluation, features, folds, paths, predictions, training
from persona.evaluation import Sums
from persona.features import FeatureTable
from persona.folds import Split
from persona.model import HIDDEN, Network, Prediction
from persona.provenance import software
from persona.training import Fit, Settings, Targets

SEEDS = (0, 1, 2)

Transform = Callable[[np.ndarray], np.ndarray]
Subset = Callable[[pd.DataFrame, Split, int], Split]
Relabel = Callable[[pd.DataFrame], pd.DataFrame]
Estimator = Callable[[np.ndarray, pd.DataFrame, Split, int], Prediction]


@dataclass(frozen=True)
class Variant:
    """One row of a study: what is trained, on what, and how.

    representation : a feature table, or several joined by "+".
    weights, watched, weighing, scaling : as of `training.Fit`.
    age_head, hidden : as of `model.Network`.
    transform : embeddings (n, d) to embeddings, row by row: it must learn nothing from them.
    subset : clips, split and seed to the split that is used instead, e.g. with fewer speakers.
    relabel : clips to the clips with other labels, in training and in test.
    estimator : embeddings, clips, split and seed to what is said about `split.test`; takes the
        place of the network.
    besides : further tables of vectors that it reads, of whichever corpus.

    Functions must be importable by name (or `functools.partial` of such): other processes run
    them. A variant is trained again when their source changes.
    """

    name: str
    representation: str = "mfcc"
    architecture: str = "fcn"
    protocol: str = "speaker-disjoint"
    recipe: str = "balanced"
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    weighing: str = "fixed"
    age_head: str = "number"
    scaling: str = "standard"
    hidden: tuple[int, ...] = HIDDEN
    watched: tuple[float, float, float] | None = None
    transform: Transform | None = None
    subset: Subset | None = None
    relabel: Relabel | None = None
    estimator: Estimator | None = None
    besides: tuple[str, ...] = ()

    def description(self) -> dict[str, Any]:
        """Every part but the name, functions by name, arguments and source."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)[1:]}
        for name in ("watched", "besides"):
            if not parts[name]:
                del parts[name]  # as in tables made before there was a choice
        return {name: _told(part) if callable(part) else part for name, part in parts.items()}

    def labels(self, policy: str) -> pd.DataFrame:
        """Table of clips as this variant is trained and tested on."""
        clips = corpora.clips(policy)
        return self.relabel(clips) if self.relabel else clips


def _told(function: Any) -> str:
    arguments = ""
    if isinstance(function, partial):
        arguments = f"({function.args}, {function.keywords})"
        function = function.func
    return f"{function.__module__}.{function.__qualname__}{arguments} {source(function)}"


def source(function: Any) -> str:
    """Hash of a function and of every function and class of its module that it reaches.

    Comments, layout and what it does not reach do not count.
    """
    module, found, waiting = inspect.getmodule(function), {}, [function]
    while waiting:
        current = waiting.pop()
        tree = ast.parse(textwrap.dedent(inspect.getsource(current)))
        found[current.__qualname__] = ast.dump(tree)
        named = (getattr(module, n.id, None) for n in ast.walk(tree) if isinstance(n, ast.Name))
        waiting += [
            other
            for other in named
            if inspect.getmodule(other) is module
            and (inspect.isfunction(other) or inspect.isclass(other))
            and other.__qualname__ not in found
        ]
    trees = repr(sorted(found.items()))
    return hashlib.sha256(trees.encode()).hexdigest()[:12]


def run(
    study: str,
    variants: Sequence[Variant],
    seeds: Sequence[int] = SEEDS,
    settings: Settings | None = None,
    *,
    policy: str = "clean",
    jobs: int | None = None,
) -> Path:
    """Train what is missing of a study and write its table of sums per speaker.

    Out-of-fold predictions are kept in `build/ablations/<study>/`, one file per variant, so that
    a killed run goes on where it was; the table is `data/results/<study>.parquet`, whose
    provenance names every variant. A table made the same way is left as it is. The networks of a
    variant (seeds x folds) train side by side in one stack, variants in `jobs` processes
    (default: one per core).
    """
    settings = settings or Settings()
    wanted = _identities(variants, seeds, settings, policy)
    out = table(study)
    if predictions.provenance(out).get("variants") == wanted:
        return out
    files = _train(study, variants, seeds, settings, policy, jobs)
    counts = {
        v.name: evaluation.sums(pd.read_parquet(files[v.name]), v.labels(policy)) for v in variants
    }
    made_by = {"study": study, "variants": wanted, "software": software("torch", "numpy")}
    evaluation.write_sums(out, counts, made_by)
    return out


def heard(
    study: str, variant: Variant, seeds: Sequence[int] = SEEDS, settings: Settings | None = None
) -> pd.DataFrame:
    """Out-of-fold predictions of one variant of a study, made now unless `run` has made them."""
    files = _train(study, [variant], seeds, settings or Settings(), "clean", 1)
    return pd.read_parquet(files[variant.name])


def _identities(
    variants: Sequence[Variant], seeds: Sequence[int], settings: Settings, policy: str
) -> dict[str, Any]:
    """What decides the predictions of each variant, by its name."""
    common = {
        "training_version": training.VERSION,
        "seeds": list(seeds),
        "settings": asdict(settings),
        "policy": policy,
    }
    identity = {r: features.read(r).identity() for r in {v.representation for v in variants}}
    besides = {name: content(name) for name in {name for v in variants for name in v.besides}}
    made_by = {}
    for v in variants:
        parts = common | v.description() | {"features": identity[v.representation]}
        if v.besides:
            parts["besides"] = {name: besides[name] for name in v.besides}
        made_by[v.name] = _plain(parts)
    return made_by


def content(name: str) -> str:
    """SHA-256 of a table of vectors, of whichever corpus."""
    rows = pd.read_parquet(features.path(name), columns=["clip", "embedding"])
    return FeatureTable(
        rows["clip"].to_numpy(), np.stack(rows["embedding"].to_list()), {}
    ).identity()


def _train(
    study: str,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    settings: Settings,
    policy: str,
    jobs: int | None,
) -> dict[str, Path]:
    """Train what is missing; returns the file of predictions of each variant."""
    wanted = _identities(variants, seeds, settings, policy)
    folder = paths.build() / "ablations" / study
    files = {v.name: folder / (re.sub(r"[^\w+-]+", "-", v.name) + ".parquet") for v in variants}
    tasks = [
        (_write_predictions, v, files[v.name], seeds, settings, policy, wanted[v.name])
        for v in variants
        if predictions.provenance(files[v.name]) != wanted[v.name]
    ]
    in_processes(study, tasks, jobs)
    return files


def table(study: str) -> Path:
    """Where the results of a study are kept."""
    return paths.data() / "results" / f"{study}.parquet"


def results(study: str) -> dict[str, Sums]:
    """The sums of every variant of a study, from its shipped table."""
    return evaluation.read_sums(table(study))


def results_on(
    study: ModuleType, representations: Sequence[str], seeds: Sequence[int] = SEEDS
) -> dict[str, Sums]:
    """`results` of a study on chosen representations and seeds, trained now unless shipped.

    study : a module with `variants(representations)` and `REPRESENTATIONS`, those shipped.
    """
    name = study.__name__.rpartition(".")[-1]
    if (tuple(representations), tuple(seeds)) != (study.REPRESENTATIONS, SEEDS):
        name = "-".join([name, *representations, *map(str, seeds)])
        run(name, study.variants(representations), seeds)
    return results(name)


def standardised(embeddings: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Embeddings as a network trained on `rows` sees them: for estimators that take its place."""
    network = Network(embeddings.shape[1], "fcn", [0])
    inputs = torch.from_numpy(embeddings)
    network.standardise(0, inputs[torch.as_tensor(rows)], None)
    return network.standardised(inputs)[0].numpy()


def in_processes(title: str, tasks: Sequence[tuple[Any, ...]], jobs: int | None = None) -> list:
    """Call each task `(function, *arguments)` in a process of one thread, with progress.

    Returns the answers in the order of the tasks; an error stops what has not yet begun.
    """
    if not tasks:
        return []
    jobs = min(jobs or os.cpu_count() or 1, len(tasks))
    with ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread) as pool:
        futures = [pool.submit(*task) for task in tasks]
        try:
            for future in tqdm(as_completed(futures), title, len(futures), unit="variant"):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _one_thread() -> None:
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def _plain(made_by: dict[str, Any]) -> dict[str, Any]:
    """In the form it has after a round trip through JSON."""
    return json.loads(json.dumps(made_by))


def _write_predictions(
    variant: Variant,
    file: Path,
    seeds: Sequence[int],
    settings: Settings,
    policy: str,
    made_by: dict[str, Any],
) -> None:
    keep(file, out_of_fold(variant, seeds, settings, policy), made_by)


def keep(file: Path, rows: pd.DataFrame, made_by: dict[str, Any]) -> None:
    """Write predictions for a later run, whole or not at all; see `predictions.provenance`."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    written = pa.Table.from_pandas(rows, preserve_index=False)
    written = written.replace_schema_metadata({"persona": json.dumps(made_by)})
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    parquet.write_table(written, unfinished)
    unfinished.replace(file)


def out_of_fold(
    variant: Variant, seeds: Sequence[int], settings: Settings, policy: str = "clean"
) -> pd.DataFrame:
    """What a variant says about every clip and seed it tests; columns `predictions.COLUMNS`."""
    clips = variant.labels(policy)
    embeddings = features.read(variant.representation).at(clips["clip"])
    if variant.transform:
        embeddings = np.ascontiguousarray(variant.transform(embeddings), np.float32)
    jobs = [
        (seed, fold, variant.subset(clips, split, seed) if variant.subset else split)
        for seed in seeds
        for fold, split in enumerate(folds.split(clips, variant.protocol, seed))
    ]
    if variant.estimator:
        said = [variant.estimator(embeddings, clips, split, seed) for seed, _, split in jobs]
    else:
        said = _networks_say(variant, embeddings, clips, jobs, settings)
    names = clips["clip"].to_numpy()
    parts = [
        training.out_of_fold(prediction, names[split.test], seed, fold)
        for prediction, (seed, fold, split) in zip(said, jobs, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)[predictions.COLUMNS]


def _networks_say(
    variant: Variant,
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    jobs: Sequence[tuple[int, int, Split]],
    settings: Settings,
) -> list[Prediction]:
    fits = [
        Fit(
            split.train, split.validation, seed * folds.FOLDS + fold,
            variant.recipe, variant.weights, variant.weighing, variant.scaling, variant.watched,
        )
        for seed, fold, split in jobs
    ]  # fmt: skip
    inputs = torch.from_numpy(embeddings)
    network, _ = training.fit(
        inputs, Targets.of(clips), fits, variant.architecture, settings,
        age_head=variant.age_head, hidden=variant.hidden,
    )  # fmt: skip
    return training.predict_each(network, inputs, [split.test for _, _, split in jobs])
