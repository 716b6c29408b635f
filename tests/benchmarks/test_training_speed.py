"""Networks trained per minute: a plain PyTorch loop, and stacks on every core.

Time is that of the processor, on one thread, so that other work on the machine counts little.
"""

import os
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from persona import corpora, features, folds, training
from persona.training import Fit, Settings, Targets

EPOCH = Settings(epochs=1)


@pytest.fixture(scope="module")
def corpus():
    """Embeddings, targets and fifteen networks to train: five folds, three seeds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    clips = corpora.clips()
    embeddings = torch.from_numpy(features.read("mfcc").at(clips["clip"]))
    splits = [s for seed in range(3) for s in folds.split(clips, "speaker-disjoint", seed)]
    fits = [Fit(split.train, split.validation, seed) for seed, split in enumerate(splits)]
    yield embeddings, Targets.of(clips), fits
    torch.set_num_threads(threads)


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The best of several runs."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return min(taken)


def plain(embeddings: torch.Tensor, targets: Targets, job: Fit) -> None:
    """One epoch of one network, written as one would without this package."""
    torch.manual_seed(job.seed)
    trunk = nn.Sequential(
        nn.Linear(embeddings.shape[1], 200), nn.ReLU(), nn.Linear(200, 128), nn.ReLU(),
        nn.Linear(128, 56), nn.ReLU(),
    )  # fmt: skip
    heads = nn.ModuleList([nn.Linear(56, 6), nn.Linear(56, 2), nn.Linear(56, 1)])
    known = embeddings[job.train]
    inputs = (known - known.mean(0)) / known.std(0)
    emotion, gender, age = (labels[job.train] for labels in targets)
    age = (age - age.mean()) / age.std()
    optimiser = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], 1e-3)
    for rows in torch.randperm(len(inputs)).tensor_split(EPOCH.steps):
        hidden = trunk(inputs[rows])
        said = [head(hidden) for head in heads]
        loss = (
            nn.functional.cross_entropy(said[0], emotion[rows])
            + nn.functional.cross_entropy(said[1], gender[rows])
            + nn.functional.mse_loss(said[2].squeeze(-1), age[rows])
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_five_folds_side_by_side_beat_one_after_another_and_give_the_same(corpus, record_property):
    embeddings, targets, fits = corpus
    five = fits[:5]
    singles, stack = [], []

    def loop():
        singles[:] = [training.fit(embeddings, targets, [job], "fcn", EPOCH)[0] for job in five]

    def stacked():
        stack[:] = [training.fit(embeddings, targets, five, "fcn", EPOCH)[0]]

    ratio = seconds(loop) / seconds(stacked)
    record_property("ratio", ratio)
    print(f"\nfive folds side by side: {ratio:.1f} times as fast as one after another")
    for model, single in enumerate(singles):
        for one, many in zip(single.parameters(), stack[0].parameters(), strict=True):
            assert np.allclose(one[0].detach(), many[model].detach(), atol=1e-4)
    assert ratio > 1.4


def test_networks_per_minute_before_and_after(corpus, record_property):
    embeddings, targets, fits = corpus
    before = 60 / seconds(lambda: plain(embeddings, targets, fits[0])) / 20
    one_core = (
        60 * len(fits) / seconds(lambda: training.fit(embeddings, targets, fits, "fcn", EPOCH))
    )
    after = one_core / 20 * (os.cpu_count() or 1)
    record_property("before", before)
    record_property("after", after)
    print(
        f"\nnetworks of 20 epochs per minute: {before:.0f} by a plain loop on one core, "
        f"{after:.0f} by stacks of {len(fits)} on {os.cpu_count()} cores, validation included"
    )
    assert after > 1.5 * before * (os.cpu_count() or 1)
