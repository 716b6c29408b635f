"""A dask scheduler and its workers, started by hand as on a cluster."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parent
LOCAL = ("--host", "127.0.0.1", "--no-dashboard")


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


class Cluster:
    """A scheduler; `workers` are processes of one thread each."""

    def __init__(self, folder: Path) -> None:
        self.folder, port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("scheduler", "--port", str(port))
        self.workers: list[subprocess.Popen] = []

    def _start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *command, *LOCAL], cwd=self.folder,
            env=os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def add_workers(self, number: int) -> None:
        """Start workers and wait until there are no more and no fewer than are meant to be."""
        from distributed import Client

        one = ("worker", self.address, "--nthreads", "1", "--no-nanny")
        self.workers += [self._start(*one) for _ in range(number)]
        with Client(self.address, timeout=60) as client:
            end = time.monotonic() + 60
            while len(client.ncores()) != len(self.workers):
                assert time.monotonic() < end, "the workers did not come"
                time.sleep(0.05)

    def kill_worker(self) -> None:
        process = self.workers.pop(0)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        started = [*self.workers, self.scheduler]
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A scheduler and some workers until the block ends."""
    made = Cluster(folder)
    try:
        made.add_workers(workers)
        yield made
    finally:
        made.stop()
