"""Works that take long, in processes of their own, to be killed at any moment and to be run again.

The processes are forked from one that has imported everything, so that a run takes as long as its
work. `PERSONA_KILLS` says how often each work is killed; `make trust` sets it to twenty.
"""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest
import toys

from persona.keeping import store

TESTS = Path(__file__).parent
KILLS = int(os.environ.get("PERSONA_KILLS", "2"))

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    ["works", "torch._dynamo", "onnx", "papermill", "pooch", "persona.cli", "persona.own.train",
     "persona.model.recipe", "scipy.optimize", "sklearn.linear_model"]
)  # fmt: skip


def extraction(audio: str) -> None:
    from persona import features

    features.PART = 2
    features.extract(toys.Toy(audio, 2), "toy", name="heard", jobs=1, pause=0.02)


def experiment() -> None:
    from persona.experiment import Experiment
    from persona.run import run
    from persona.training import Settings

    base = Experiment("toy", corpus="toy", settings=Settings(epochs=8, batch_size=8))
    run([base.but(seeds=[s]) for s in range(4)], "study", train=True, jobs=1)


def training() -> None:
    import torch

    from persona import folds
    from persona.losses import Targets
    from persona.training import Settings, fit

    clips = toys.clips()
    split = folds.split(clips, "speaker-disjoint", 0)[0]
    x = torch.from_numpy(toys.embeddings(clips))
    settings = Settings(epochs=60, batch_size=8, patience=60)
    network, _ = fit(x, Targets.of(clips), split.train, split.validation, 0, "cnn", settings)
    columns = {"clip": clips["clip"], "age": network.predict(x).age.numpy()}
    store.write_table(store.made() / "network.parquet", columns, {})


def own_model(voices: str) -> None:
    from persona import cli, features

    features.PART = 4
    words = ["train", "toy", "--corpus", f"{voices}/mine.csv", "--out", "build/model"]
    assert cli.main([*words, "--networks", "1", "--jobs", "1"]) == 0


def prediction(voices: str) -> None:
    from persona import cli

    # 1: in some of the made voices no speech is found, which their rows say.
    assert cli.main(["predict", voices, "--jsonl", "--resume", "build/rows.jsonl"]) == 1


def fetch(url: str) -> None:
    from persona import corpora

    corpora.fetch(Path("build/corpus"), base_url=url)


_CELL = """
import os
import time
from pathlib import Path
import numpy as np
import toys
from persona.experiment import Experiment
from persona.run import run
from persona.study.estimators import recorded

Path("begun").write_text(str(os.getpid()))

def nearest(x, clips, split, seed):
    time.sleep(0.02)
    near = np.abs(x[split.test, None] - x[split.train]).sum(axis=2).argmin(axis=1)
    return recorded(clips, clips["speaker"].to_numpy()[split.train[near]])

base = Experiment("toy", corpus="toy", estimator=nearest)
run([base.but(seeds=[seed]) for seed in range(8)], "study", train=True, jobs=1)
"""


def notebook() -> None:
    import papermill
    from nbformat import v4, write

    write(v4.new_notebook(cells=[v4.new_code_cell(_CELL)]), "study.ipynb")
    # A busy machine is no fault: papermill gives a kernel 60 s to start and 4 s to say it is idle.
    papermill.execute_notebook(
        "study.ipynb", "executed.ipynb", kernel_name="python3", progress_bar=False,
        start_timeout=300, iopub_timeout=300,
    )  # fmt: skip


def in_1970(work: Callable[..., None], *arguments: str) -> None:
    """A work on a machine whose clock has lost the time."""
    time.time = lambda: 0.0
    work(*arguments)


class Work:
    """A work in a folder of its own; it leaves what it makes in `build`."""

    def __init__(self, folder: Path, work: Callable[..., None], *arguments: str):
        self.folder, self.work, self.arguments = folder, work, arguments
        self.build, self.errors = folder / "build", folder / "errors.txt"
        folder.mkdir(parents=True)

    def start(self) -> multiprocessing.process.BaseProcess:
        """A process that runs it, of a session of its own."""
        for name in ("begun", "done"):
            (self.folder / name).unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{TESTS}:{TESTS.parent}")
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setenv("PERSONA_BUILD", str(self.build))
            forkserver.ensure_running()
            process = _FORKING.Process(target=_play, args=(self, dict(os.environ)))
            process.start()
        begun = self.folder / "begun"
        while not begun.exists() and process.is_alive():
            time.sleep(0.002)
        assert begun.exists(), self.errors.read_text()
        return process

    def end(self, process: multiprocessing.process.BaseProcess) -> None:
        process.join(300)
        assert process.exitcode == 0, self.errors.read_text()

    def finish(self) -> float:
        """Run it to its end; the seconds that it took."""
        process, began = self.start(), time.monotonic()
        self.end(process)
        return time.monotonic() - began

    def kill(self, after: float) -> None:
        """Kill it, and every other time the kernel too that outlives it by a second."""
        process = self.start()
        process.join(after)
        kernel = (self.folder / "begun").read_text().split()
        for group in [process.pid, *map(int, kernel if random.random() < 0.5 else ())]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        process.join()

    def killed(self, seconds: float) -> Iterator[bool]:
        """Kill it at random moments; each time, whether it had come to its end before."""
        for _ in range(KILLS):
            self.kill(random.uniform(0, seconds))
            yield (self.folder / "done").exists()

    def made(self) -> Counter[tuple[str, str]]:
        """All that stands under its own name, which has to be whole: files, and rows of JSON."""
        found: Counter[tuple[str, str]] = Counter()
        for file in self.build.rglob("*"):
            name = str(file.relative_to(self.build))
            hidden = any(part.startswith(".") for part in name.split("/"))
            if hidden or file.is_dir() or file.suffix == ".npz":
                continue
            if file.suffix == ".jsonl":
                lines = file.read_text().splitlines(keepends=True)
                found.update((name, line) for line in lines if line.endswith("\n"))
            elif file.suffix == ".parquet":
                found[name, store.checksum(store.read_table(file).columns)] += 1
            else:
                found[name, store.sha256(file)] += 1
        return found

    def feed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing in its build folder but the toy corpus's feature table."""
        shutil.rmtree(self.build, ignore_errors=True)
        monkeypatch.setenv("PERSONA_BUILD", str(self.build))
        toys.write_features(toys.Toy())


def _play(work: Work, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(work.folder)
    os.environ.clear()
    os.environ.update(environment)
    with open(work.errors, "w") as errors:
        os.dup2(errors.fileno(), sys.stdout.fileno())
        os.dup2(errors.fileno(), sys.stderr.fileno())
    if work.work is not notebook:  # whose work begins in its kernel
        Path("begun").touch()
    work.work(*work.arguments)
    Path("done").touch()
