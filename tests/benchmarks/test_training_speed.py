"""Networks trained per minute by one process per core, one thread each.

Fifteen networks, five folds of three seeds, of CREMA-D's size; the embeddings are noise, whose
values do not change the time. Time is that of the processor, so that other work on the machine
counts little. `PERSONA_EARLIER` names a checkout from before networks were plain modules: its
stacks are then measured in the same run, one stack per core.
"""

import json
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
import torch
import toys

from persona import corpora, folds, training
from persona.keeping import parallel
from persona.losses import Targets
from persona.training import Settings

EPOCHS = 3
JOBS = 2

EARLIER = """
    import json, sys, time
    import numpy as np, torch
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from persona import corpora, folds, training
    from persona.training import Fit, Settings, Targets

    def work(architecture, dimension, numbers):
        torch.set_num_threads(1)
        clips = corpora.clips()
        rng = np.random.default_rng(0)
        x = torch.from_numpy(rng.normal(size=(len(clips), dimension)).astype("float32"))
        splits = [s for seed in range(3) for s in folds.split(clips, "speaker-disjoint", seed)]
        fits = [Fit(splits[n].train, splits[n].validation, n) for n in numbers]
        began = time.process_time()
        settings = Settings(epochs={epochs}, steps=len(splits[0].train) // 64, patience={epochs})
        training.fit(x, Targets.of(clips), fits, architecture, settings)
        return time.process_time() - began

    if __name__ == "__main__":
        found = {{}}
        for architecture in ("fcn", "cnn"):
            for dimension in (160, 512):
                with ProcessPoolExecutor({jobs}, get_context("spawn")) as pool:
                    parts = [range(part, 15, {jobs}) for part in range({jobs})]
                    taken = [pool.submit(work, architecture, dimension, part) for part in parts]
                    found[f"{{architecture}} {{dimension}}"] = max(t.result() for t in taken)
        print(json.dumps(found))
"""


def embeddings(clips: pd.DataFrame, dimension: int) -> torch.Tensor:
    values = np.random.default_rng(0).normal(size=(len(clips), dimension))
    return torch.from_numpy(values.astype(np.float32))


def trained(architecture: str, dimension: int, number: int) -> float:
    """Seconds that one of the fifteen networks takes, without what it is made from."""
    clips = corpora.load("crema-d").clips()
    split = folds.split(clips, "speaker-disjoint", number // folds.FOLDS)[number % folds.FOLDS]
    x, targets = embeddings(clips, dimension), Targets.of(clips)
    settings = Settings(epochs=EPOCHS, patience=EPOCHS)
    began = time.process_time()
    training.fit(x, targets, split.train, split.validation, number, architecture, settings)
    return time.process_time() - began


def seconds(architecture: str, dimension: int) -> float:
    """Of fifteen networks on all cores, as long as the busiest works."""
    tasks = [(architecture, dimension, number) for number in range(15)]
    return sum(taken for _, taken in parallel.run(trained, tasks, jobs=JOBS)) / JOBS


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> dict[str, float]:
    """Seconds of the stacks of an earlier checkout, by architecture and dimension."""
    if not (checkout := os.environ.get("PERSONA_EARLIER")):
        return {}
    script = tmp_path_factory.mktemp("earlier") / "earlier.py"
    script.write_text(textwrap.dedent(EARLIER.format(epochs=EPOCHS, jobs=JOBS)))
    environment = {**os.environ, "PYTHONPATH": checkout, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script)]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(made.stdout.splitlines()[-1])


@pytest.mark.parametrize("architecture", ["fcn", "cnn"])
@pytest.mark.parametrize("dimension", [160, 512])
def test_networks_per_minute(architecture, dimension, earlier, record_property):
    taken = seconds(architecture, dimension)
    per_minute = 15 * 60 / taken * EPOCHS / 20
    record_property("networks_per_minute", per_minute)
    before = earlier.get(f"{architecture} {dimension}")
    compared = f", stacks {15 * 60 / before * EPOCHS / 20:.0f}" if before else ""
    print(
        f"\n{architecture} of {dimension} dimensions, {JOBS} processes: "
        f"{per_minute:.0f} networks of 20 epochs per minute{compared}"
    )
    assert per_minute > 1
    toys.stop_workers()
