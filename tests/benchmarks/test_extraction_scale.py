"""Extraction at scale: two workers of a cluster against one, and memory by the number of clips.

What extracts waits, and puts one table together at its end: its memory grows with that table, with
names and labels of clips, and with nothing else.
"""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from persona import corpora, features
from persona.keeping import store

TESTS = Path(__file__).resolve().parents[1]
SHARED = TESTS.parents[1] / "shared" / "crema-d" / "audio"
sys.path.append(str(TESTS))

CLIPS = 300
COPIES, BESIDES = 3, 1_000
"""Of a clip's embedding that may be in memory at once, and bytes of a clip besides."""

NOISE = """
    import hashlib
    import resource
    import sys

    import numpy as np
    import toys
    from persona import features
    from persona.keeping import store

    class Noise(toys.Toy):
        name = "noise"

        def __init__(self, count):
            super().__init__()
            self.count = count

        def clips(self):
            return toys.clips(1 + self.count // toys.EACH).head(self.count)

        def digests(self):
            return {n: hashlib.sha256(n.encode()).hexdigest() for n in self.clips()["clip"]}

        def waveform(self, clip):
            return np.random.default_rng(int(clip)).normal(0, 0.1, 512).astype(np.float32)

    if __name__ == "__main__":
        count = int(sys.argv[1])
        file, skipped = features.extract(Noise(count), "toy", width=int(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert not skipped and len(store.read_table(file)) == count
        print(1024 * peak)  # of this process: it has not read the table back then
"""


def test_two_dask_workers_make_the_table_that_one_makes(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="dask is not installed")
    from dask_cluster import cluster

    if not SHARED.is_dir():
        pytest.skip("no CREMA-D audio beside the checkout")
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path))
    corpus, seconds, sums = corpora.CremaD("all", SHARED), {}, {}
    clips = sorted(file.stem for file in SHARED.glob("*.flac"))[:CLIPS]
    monkeypatch.setattr(features, "PART", 15)

    def extracted(name: str, some: list[str], scheduler: str) -> Path:
        where = {"backend": "dask", "scheduler": scheduler}
        return features.extract(corpus, "mfcc", name=name, clips=some, **where)[0]

    for workers in (1, 2):
        with cluster(tmp_path, workers) as running:
            extracted("warm", clips[:60], running.address)  # the workers import what they need
            began = time.perf_counter()
            file = extracted(f"by-{workers}", clips, running.address)
            seconds[workers] = time.perf_counter() - began
            sums[workers] = store.checksum(store.read_table(file).columns)
    print(
        f"\nmfcc of {CLIPS} clips: {seconds[1]:.1f} s by one dask worker, {seconds[2]:.1f} s by "
        f"two, {seconds[1] / seconds[2]:.2f} times as fast"
    )
    assert sums[1] == sums[2]


@pytest.mark.parametrize(("width", "few", "many"), [(6, 10_000, 100_000), (512, 10_000, 30_000)])
def test_memory_grows_by_little_more_than_the_table(width, few, many, tmp_path):
    script = tmp_path / "noise.py"
    script.write_text(textwrap.dedent(NOISE))
    environment = os.environ | {
        "PERSONA_BUILD": str(tmp_path / "build"),
        "PYTHONPATH": f"{TESTS}:{TESTS.parent}",
    }

    def peak(clips: int) -> int:
        command = [sys.executable, script, str(clips), str(width)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    peaks = peak(few), peak(many)
    each, row = (peaks[1] - peaks[0]) / (many - few), 4 * width
    print(
        f"\n{width} numbers a clip: {peaks[0] / 1e6:.0f} MB for {few:,} clips, "
        f"{peaks[1] / 1e6:.0f} MB for {many:,}: {each:.0f} bytes for each, {row} in the table"
    )
    assert each < COPIES * row + BESIDES
