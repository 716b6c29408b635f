"""Is joint learning worth it? One network for three tasks against one per task and every pair."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from persona import corpora, features, folds, tables, training
from persona.ablations import Variant, run
from persona.ablations._scores import DRAWS, changes, planned, shown
from persona.evaluation import Sums
from persona.folds import PROTOCOLS
from persona.losses import TASKS
from persona.model import Network
from persona.training import Fit, Settings, Targets

REPRESENTATIONS = ("mfcc", "dvector")
JOINT = "emotion + gender + age"
KEPT_BEST = "all three, each at its best epoch"
ALONE = "three networks"
TASK_SETS = {
    JOINT: (1.0, 1.0, 1.0),
    "emotion + gender": (1.0, 1.0, 0.0),
    "emotion + age": (1.0, 0.0, 1.0),
    "gender + age": (0.0, 1.0, 1.0),
    "emotion": (1.0, 0.0, 0.0),
    "gender": (0.0, 1.0, 0.0),
    "age": (0.0, 0.0, 1.0),
}
"""Weights of the three losses for every set of tasks."""


def variants(representations: Sequence[str] = REPRESENTATIONS) -> list[Variant]:
    """Every set of tasks for unseen speakers; all three tasks and single ones for random clips.

    The joint network also stops by each of its tasks alone: `kept_best` puts these together.
    """
    sets = [
        Variant(f"{tasks}, {name}, {protocol}", name, protocol=protocol, weights=weights)
        for name in representations
        for protocol in PROTOCOLS
        for tasks, weights in TASK_SETS.items()
        if protocol == "speaker-disjoint" or tasks in (JOINT, *TASKS)
    ]
    stopped = [
        Variant(f"{JOINT}, {name}, stopped by {task}", name, watched=TASK_SETS[task])
        for name in representations
        for task in TASKS
    ]
    return sets + stopped


def make(jobs: int | None = None) -> Path:
    """Train what is missing, three minutes on two cores."""
    return run("joint", variants(), jobs=jobs)


def separate(counts: Mapping[str, Sums], representation: str, protocol: str) -> Sums:
    """Sums of three single-task networks that answer one question each."""
    emotion, gender, age = (counts[f"{task}, {representation}, {protocol}"] for task in TASKS)
    return replace(emotion, gender=gender.gender, age=age.age)


def kept_best(counts: Mapping[str, Sums], representation: str) -> Sums:
    """Sums of the joint network whose every task keeps its own best epoch of the same training."""
    emotion, gender, age = (
        counts[f"{JOINT}, {representation}, stopped by {task}"] for task in TASKS
    )
    return replace(emotion, gender=gender.gender, age=age.age)


def compared(
    counts: Mapping[str, Sums], representations: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """Every set of several tasks against single-task networks, in each of its tasks.

    A table as of `_scores.planned`, labelled by representation and set of tasks.
    """
    together = {
        f"{network}, {name}, speaker-disjoint": sums
        for name in representations
        for network, sums in (
            (ALONE, separate(counts, name, "speaker-disjoint")),
            (KEPT_BEST, kept_best(counts, name)),
        )
    }
    metric = dict(zip(TASKS, tables.MEASURES, strict=True))
    sets = {tasks: tasks.split(" + ") for tasks in TASK_SETS if tasks not in TASKS}
    pairs: dict[tuple[str, ...], tuple[str, ...]] = {
        (shown(name), network): (
            f"{network}, {name}, speaker-disjoint",
            f"{ALONE}, {name}, speaker-disjoint",
            *(metric[task] for task in tasks),
        )
        for name in representations
        for network, tasks in (sets | {KEPT_BEST: TASKS}).items()
    }
    table = planned({**counts, **together}, pairs, draws)
    return table.rename_axis(["representation", "network for", "measure"])


def in_short(differences: pd.DataFrame, costs: pd.DataFrame) -> str:
    """The chapter's closing sentence, from `compared` and `cost`."""
    ratio = costs["ratio"]
    return (
        "on unseen speakers, one joint network differs from three single-task networks beyond "
        f"chance in {changes(differences, JOINT)}; where each task keeps its own best epoch, in "
        f"{changes(differences, KEPT_BEST)}; the three cost, on {costs.columns.name}, "
        f"{ratio['parameters']:.1f} times its parameters and memory, "
        f"{ratio['training, s per epoch']:.1f} times its training time and "
        f"{ratio['answering one clip, ms']:.1f} times its time to answer."
    )


def cost(representation: str = "mfcc", epochs: int = 3, repeats: int = 200) -> pd.DataFrame:
    """What one joint network costs against three single-task ones, measured here and now.

    Returns one row per quantity with the columns `one joint network`, `three networks` and
    `ratio`; the axis of the columns is named after the representation. Both are trained on the
    same rows for `epochs` epochs and asked for one clip at a time, `repeats` times (the median
    counts), on one thread.
    """
    clips = corpora.clips()
    embeddings = torch.from_numpy(features.read(representation).at(clips["clip"]))
    split = folds.split(clips, "speaker-disjoint", 0)[0]
    fits = {
        tasks: Fit(split.train, split.validation, 0, weights=weights)
        for tasks, weights in TASK_SETS.items()
        if tasks in (JOINT, *TASKS)
    }
    settings = Settings(epochs=epochs, patience=epochs)
    targets = Targets.of(clips)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    warm_up = Settings(epochs=1, steps=10)
    training.fit(embeddings, targets, [fits[JOINT]], "fcn", warm_up)
    networks, training_time = {}, {}
    for tasks, job in fits.items():
        began = time.perf_counter()
        networks[tasks], _ = training.fit(embeddings, targets, [job], "fcn", settings)
        training_time[tasks] = (time.perf_counter() - began) / epochs
    one = embeddings[:1]
    joint, single = networks[JOINT], [networks[task] for task in TASKS]
    inference = [
        _milliseconds(lambda: joint.predict(one), repeats),
        _milliseconds(lambda: [network.predict(one) for network in single], repeats),
    ]
    torch.set_num_threads(threads)
    sizes = [_parameters(joint, TASKS), sum(_parameters(joint, (task,)) for task in TASKS)]
    seconds = [training_time[JOINT], sum(training_time[task] for task in TASKS)]
    kilobytes = [size * 4 / 1000 for size in sizes]
    table = pd.DataFrame(
        {
            "parameters": sizes,
            "training, s per epoch": seconds,
            "answering one clip, ms": inference,
            "memory of the weights, kB": kilobytes,
            "memory in training (weights, gradients, two moments), kB": [4 * k for k in kilobytes],
        },
        index=["one joint network", "three networks"],
    ).T
    table = table.assign(ratio=table["three networks"] / table["one joint network"])
    return table.rename_axis(columns=shown(representation))


def embedding_time(representation: str = "mfcc", seconds: float = 2.5, repeats: int = 5) -> float:
    """Milliseconds to embed a voice of that length, which one network needs as much as three."""
    from persona import audio, representations

    waveform = np.random.default_rng(0).normal(size=int(seconds * audio.RATE)).astype(np.float32)
    extractor = representations.load(representation)
    extractor.embed([waveform])  # what is loaded at the first call does not count
    return _milliseconds(lambda: extractor.embed([waveform]), repeats)


def _milliseconds(call: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1000


def _parameters(network: Network, tasks: tuple[str, ...]) -> int:
    """Parameters of the trunk and of the heads of `tasks`."""
    unused = tuple(f"{task}." for task in TASKS if task not in tasks)
    parameters = network.named_parameters()
    return sum(p.numel() for name, p in parameters if not name.startswith(unused or ("-",)))
