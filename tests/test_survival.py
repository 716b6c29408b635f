"""Nothing is lost: killed at any moment, on a full disk, in a folder of others, or twice at once.

`PERSONA_KILLS` says how often each work is killed; `make trust` sets it to ten.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import toys

from persona import store
from persona.errors import StoreError

TESTS = Path(__file__).parent
KILLS = int(os.environ.get("PERSONA_KILLS", "2"))

EXTRACTION = """
    import sys
    from pathlib import Path
    import toys
    from persona import features

    class Small(toys.Toy):
        def __init__(self, folder):
            super().__init__(folder, speakers=2)

    if __name__ == "__main__":
        features.PART = 2
        Path("begun").touch()
        features.extract(Small(Path(sys.argv[1])), "toy", jobs=1, pause=0.02)
        Path("done").touch()
"""

EXPERIMENT = """
    from pathlib import Path
    import toys
    from persona.experiment import Experiment, run
    from persona.training import Settings

    if __name__ == "__main__":
        Path("begun").touch()
        settings = Settings(epochs=8, batch_size=8)
        base = Experiment("toy", corpus="toy", settings=settings)
        run([base.but(seeds=[s]) for s in range(4)], "study", train=True, jobs=1)
        Path("done").touch()
"""

TRAINING = """
    from pathlib import Path
    import torch
    import toys
    from persona import folds, store
    from persona.losses import Targets
    from persona.training import Settings, fit

    if __name__ == "__main__":
        clips = toys.clips()
        split = folds.split(clips, "speaker-disjoint", 0)[0]
        x = torch.from_numpy(toys.embeddings(clips))
        Path("begun").touch()
        settings = Settings(epochs=60, batch_size=8, patience=60)
        network, _ = fit(x, Targets.of(clips), split.train, split.validation, 0, "cnn", settings)
        columns = {"clip": clips["clip"], "age": network.predict(x).age.numpy()}
        store.write_table(store.made() / "network.parquet", columns, {})
        Path("done").touch()
"""


class Work:
    """A script in a folder of its own, with its own build folder."""

    def __init__(self, folder: Path, script: str, *arguments: str):
        self.folder, self.arguments = folder, arguments
        folder.mkdir(parents=True)
        (folder / "work.py").write_text(textwrap.dedent(script))

    def start(self, **environment: str) -> subprocess.Popen:
        for name in ("begun", "done"):
            (self.folder / name).unlink(missing_ok=True)
        own = {"PERSONA_BUILD": str(self.folder / "build"), "PYTHONPATH": str(TESTS)}
        process = subprocess.Popen(
            [sys.executable, "work.py", *self.arguments], cwd=self.folder, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **own, **environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        return process

    def finish(self, **environment: str) -> float:
        """Run it to its end; the seconds that its work took."""
        process = self.start(**environment)
        self.until_begun(process)
        began = time.monotonic()
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return time.monotonic() - began

    def until_begun(self, process: subprocess.Popen) -> None:
        while not (self.folder / "begun").exists() and process.poll() is None:
            time.sleep(0.002)

    def kill(self, after: float) -> None:
        process = self.start()
        self.until_begun(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def tables(self) -> dict[str, store.Table]:
        """Every table that stands under its own name; each has to be whole."""
        files = sorted((self.folder / "build").rglob("*.parquet"))
        return {str(f.relative_to(self.folder / "build")): store.read_table(f) for f in files}


def equal(first: dict[str, store.Table], second: dict[str, store.Table]) -> bool:
    checksums = [
        {name: store.checksum(table.columns) for name, table in tables.items()}
        for tables in (first, second)
    ]
    return checksums[0] == checksums[1]


def fed(folder: Path, monkeypatch) -> None:
    """The toy corpus's feature table in a build folder."""
    monkeypatch.setenv("PERSONA_BUILD", str(folder / "build"))
    toys.write_features(toys.Toy())


@pytest.fixture(scope="module")
def audio(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    toys.record(folder, toys.clips(2)["clip"])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("what", ["extraction", "experiment", "training"])
def test_a_killed_run_is_finished_by_the_next_with_the_same_results(
    what, tmp_path, audio, monkeypatch
):
    script = {"extraction": EXTRACTION, "experiment": EXPERIMENT, "training": TRAINING}[what]
    works = [Work(tmp_path / name, script, str(audio)) for name in ("undisturbed", "killed")]
    for work in works:
        fed(work.folder, monkeypatch)
    seconds = works[0].finish()
    wanted = works[0].tables()
    random.seed(what)
    for _ in range(KILLS):
        works[1].kill(random.uniform(0, seconds))
        assert set(works[1].tables()) <= set(wanted)  # whole, each of them, or not there
        if (works[1].folder / "done").exists():
            shutil.rmtree(works[1].folder / "build")
            fed(works[1].folder, monkeypatch)
    works[1].finish()
    assert equal(works[1].tables(), wanted)
    assert not list((works[1].folder / "build").rglob("*.npz"))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["extraction", "experiment"])
def test_two_runs_in_one_folder_take_turns(what, tmp_path, audio, monkeypatch):
    script = {"extraction": EXTRACTION, "experiment": EXPERIMENT}[what]
    alone, shared = (Work(tmp_path / name, script, str(audio)) for name in ("alone", "shared"))
    for work in (alone, shared):
        fed(work.folder, monkeypatch)
    alone.finish()
    processes = [shared.start(), shared.start()]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert equal(shared.tables(), alone.tables())
    assert not list((shared.folder / "build").rglob("*.unfinished"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(small_disk):
    store.write_bytes(small_disk / "a", b"old")
    noise = np.random.default_rng(0).normal(size=(1000, 100))
    wanted = "cannot be written .*: make room there, or set PERSONA_BUILD"
    with pytest.raises(StoreError, match=wanted):
        store.write_table(small_disk / "t.parquet", {"x": noise}, {})
    with pytest.raises(StoreError, match=wanted):
        store.write_bytes(small_disk / "a", noise.tobytes())
    assert [file.name for file in small_disk.iterdir()] == ["a"]
    assert (small_disk / "a").read_bytes() == b"old"


@pytest.mark.parametrize("call", ["extract", "run"])
def test_a_folder_that_cannot_be_written_to_is_one_sentence(call, tmp_path, monkeypatch, audio):
    """A file in a folder's place: no permission stops a superuser."""
    from persona import features
    from persona.experiment import Experiment, run

    fed(tmp_path, monkeypatch)
    data = tmp_path / "build"
    monkeypatch.setenv("PERSONA_DATA", str(data))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "file"))
    toys.forget()
    with pytest.raises(StoreError, match=r"file.* cannot be written .*set PERSONA_BUILD to a fol"):
        if call == "extract":
            features.extract(toys.Toy(audio, 2), "toy", name="other", jobs=1)
        else:
            run([Experiment("toy", corpus="toy", seeds=[0])], train=True, jobs=1)
