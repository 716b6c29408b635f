"""Workers: on this machine or a cluster, one thread each, and none is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import toys
from dask_cluster import cluster, free_port

from persona.errors import PersonaError
from persona.keeping import parallel

TESTS = Path(__file__).parent
TASKS = [(number,) for number in range(7)]


@pytest.fixture(scope="module", autouse=True)
def no_workers_left():
    yield
    toys.stop_workers()


def alive(group: int) -> list[str]:
    """Command lines of the living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == group and fields[0] != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def gone(group: int, seconds: float) -> bool:
    """Whether no process of a session is left after so long at most."""
    end = time.monotonic() + seconds
    while alive(group) and time.monotonic() < end:
        time.sleep(0.1)
    return not alive(group)


class TestRun:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_every_result_comes_with_the_number_of_its_task(self, jobs):
        found = dict(parallel.run(pow, [(n, 2) for n in range(7)], jobs=jobs))
        assert found == {n: n * n for n in range(7)}

    def test_nothing_to_do_is_done_at_once(self):
        assert list(parallel.run(pow, [], jobs=2)) == []

    def test_one_job_runs_in_this_process_and_two_do_not(self):
        here = {result for _, result in parallel.run(lambda _: os.getpid(), TASKS, jobs=1)}
        elsewhere = {result for _, result in parallel.run(lambda _: os.getpid(), TASKS, jobs=2)}
        assert here == {os.getpid()}
        assert os.getpid() not in elsewhere

    def test_functions_that_no_module_holds_are_shipped(self):
        def nested(number: int) -> int:
            return number + around

        around = 100
        for function in (nested, lambda number: number + around):
            found = dict(parallel.run(function, TASKS, jobs=2))
            assert found == {n: n + 100 for n in range(7)}

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_every_task_computes_on_one_thread_and_this_process_gets_its_own_back(self, jobs):
        import torch

        def threads(_):
            import torch
            from threadpoolctl import threadpool_info

            return {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}

        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            assert all(found == {1} for _, found in parallel.run(threads, TASKS, jobs=jobs))
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_an_error_in_a_task_ends_the_rest_and_is_the_users_own(self, jobs, tmp_path):
        def fails(number: int) -> None:
            if number == 1:
                raise PersonaError("This clip is bad: remove it.")
            (tmp_path / str(number)).touch()
            time.sleep(0.05)

        with pytest.raises(PersonaError, match=r"^This clip is bad: remove it\.$"):
            list(parallel.run(fails, [(n,) for n in range(200)], jobs=jobs))
        done = len(list(tmp_path.iterdir()))
        time.sleep(0.3)
        assert len(list(tmp_path.iterdir())) == done < 150

    def test_after_an_error_it_works_again(self):
        with pytest.raises(ZeroDivisionError):
            list(parallel.run(lambda n: 1 // n, TASKS, jobs=2))
        assert len(list(parallel.run(pow, [(n, 2) for n in range(4)], jobs=2))) == 4

    def test_a_worker_that_is_killed_is_one_sentence(self):
        with pytest.raises(PersonaError, match=r"worker process was killed.*give fewer jobs"):
            list(parallel.run(lambda _: os.kill(os.getpid(), signal.SIGKILL), TASKS, jobs=2))

    def test_results_come_as_they_are_done(self):
        def slow_first(number: int) -> None:
            time.sleep(1.5 if number == 0 else 0)

        assert next(parallel.run(slow_first, TASKS, jobs=2))[0] != 0
        toys.stop_workers()

    def test_an_unknown_backend_is_one_sentence(self):
        with pytest.raises(PersonaError, match=r"no backend 'ray'; choose from loky, dask\."):
            list(parallel.run(pow, [(1, 2)], backend="ray"))


INTERRUPTED = """
    import time
    from pathlib import Path
    from persona.keeping import parallel

    def slowly(number):
        Path(f"{number}.started").touch()
        time.sleep(60)

    if __name__ == "__main__":
        try:
            list(parallel.run(slowly, [(n,) for n in range(8)], jobs=2))
        except KeyboardInterrupt:
            print("stopped", flush=True)
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_worker_behind(tmp_path, end):
    """Interrupted by Ctrl-C, or only its main process ended from outside."""
    script = tmp_path / "interrupted.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    process = subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.started"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        if end == signal.SIGINT:
            os.killpg(process.pid, end)
        else:
            process.send_signal(end)
        out, _ = process.communicate(timeout=20)
        assert (out == "stopped\n") == (end == signal.SIGINT)
        assert gone(process.pid, 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class TestDask:
    @pytest.fixture(scope="class")
    def scheduler(self, tmp_path_factory):
        """The address of a scheduler that has two workers."""
        pytest.importorskip("distributed", reason="dask is not installed")
        with cluster(tmp_path_factory.mktemp("dask"), workers=2) as running:
            yield running.address

    def test_two_workers_share_the_tasks_and_give_what_this_machine_gives(self, scheduler):
        def worked(number: int) -> tuple[int, float]:
            time.sleep(0.1)
            rng = np.random.default_rng(number)
            return os.getpid(), float((rng.normal(size=(50, 50)) @ rng.normal(size=50)).sum())

        there = dict(parallel.run(worked, TASKS, backend="dask", scheduler=scheduler))
        here = dict(parallel.run(worked, TASKS, jobs=1))
        assert {n: value for n, (_, value) in there.items()} == {
            n: value for n, (_, value) in here.items()
        }
        workers = {process for process, _ in there.values()}
        assert len(workers) == 2 and os.getpid() not in workers

    def test_an_error_in_a_task_comes_back(self, scheduler):
        def fails(number: int) -> None:
            raise PersonaError("This clip is bad: remove it.")

        with pytest.raises(PersonaError, match="This clip is bad"):
            list(parallel.run(fails, TASKS, backend="dask", scheduler=scheduler))

    def test_where_there_is_no_worker_it_says_so_in_time(self, tmp_path, monkeypatch):
        pytest.importorskip("distributed", reason="dask is not installed")
        monkeypatch.setattr(parallel, "_PATIENCE", 1)
        with (
            cluster(tmp_path, workers=0) as running,
            pytest.raises(PersonaError, match=rf"No worker is .* `dask worker {running.address}`"),
        ):
            list(parallel.run(pow, [(1, 2)], backend="dask", scheduler=running.address))

    def test_a_task_that_kills_its_workers_is_one_sentence(self, tmp_path, monkeypatch):
        pytest.importorskip("distributed", reason="dask is not installed")
        monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
        with cluster(tmp_path, workers=1) as running:
            done = parallel.run(
                lambda _: os.kill(os.getpid(), signal.SIGKILL), TASKS, backend="dask",
                scheduler=running.address,
            )  # fmt: skip
            with pytest.raises(PersonaError, match="ended every dask worker that it was given to"):
                list(done)

    def test_a_scheduler_that_is_killed_is_one_sentence(self, tmp_path, capfd):
        pytest.importorskip("distributed", reason="dask is not installed")
        with cluster(tmp_path, workers=1) as running:
            done = parallel.run(
                lambda _: time.sleep(0.1), [(n,) for n in range(100)], backend="dask",
                scheduler=running.address,
            )  # fmt: skip
            next(done)
            running.scheduler.kill()
            with pytest.raises(PersonaError, match=rf"{running.address} went away: start it"):
                list(done)
        assert "Traceback" not in capfd.readouterr().err

    def test_nothing_to_do_asks_nobody(self):
        assert list(parallel.run(pow, [], backend="dask", scheduler="tcp://127.0.0.1:9")) == []

    def test_a_scheduler_that_does_not_answer_is_one_sentence_within_seconds(self):
        pytest.importorskip("distributed", reason="dask is not installed")
        address, began = f"tcp://127.0.0.1:{free_port()}", time.monotonic()
        with pytest.raises(PersonaError, match=rf"No dask scheduler answers at {address}: start"):
            list(parallel.run(pow, [(1, 2)], backend="dask", scheduler=address))
        assert time.monotonic() - began < 15

    @pytest.mark.parametrize("address", ["nonsense://x", "not an address at all"])
    def test_an_address_that_is_none_is_one_sentence(self, address):
        pytest.importorskip("distributed", reason="dask is not installed")
        with pytest.raises(PersonaError, match=f"No dask scheduler answers at {address}"):
            list(parallel.run(pow, [(1, 2)], backend="dask", scheduler=address))

    def test_without_an_address_it_is_asked_for(self):
        pytest.importorskip("distributed", reason="dask is not installed")
        with pytest.raises(PersonaError, match="address of its scheduler: give --scheduler"):
            list(parallel.run(pow, [(1, 2)], backend="dask"))

    def test_where_dask_is_not_installed_the_command_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(PersonaError, match=r"not installed: `pip install 'persona-voice\[dask"):
            list(parallel.run(pow, [(1, 2)], backend="dask", scheduler="tcp://127.0.0.1:9"))
