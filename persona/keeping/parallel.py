"""The only place that starts workers: processes of this machine ("loky"), a cluster ("dask"), or
threads, for what answers.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from persona.errors import PersonaError, known

BACKENDS = ("loky", "dask")

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_PATIENCE = 10.0
"""Seconds for a scheduler to answer, and for a worker to come where there is none."""


def run(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
) -> Iterator[tuple[int, Any]]:
    """Call `function(*task)` for every task; yield (number of the task, result) as each is done.

    Each worker computes on one thread: processes share the cores, and the number of threads
    decides the last digit of a sum.

    jobs : processes, default one per core. One, or a single task, runs in this process.
    backend : "loky" (processes of this machine) or "dask" (workers of a cluster).
    scheduler : address of dask's scheduler, e.g. "tcp://10.0.0.1:8786".

    An error in a task ends the rest. What a dask worker had in hand when it was killed is given to
    another. Raises `PersonaError` for an unknown backend, or where dask is not installed or does
    not answer, or where a process of this machine or every dask worker was killed.
    """
    known("backend", backend, BACKENDS)
    if not tasks:
        return
    if backend == "dask":
        yield from _on_cluster(function, tasks, scheduler)
        return
    jobs = min(jobs or os.cpu_count() or 1, len(tasks))
    if jobs <= 1:
        yield from (_call(number, function, task) for number, task in enumerate(tasks))
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    calls = (
        joblib.delayed(_work)(os.getpid(), number, function, task)
        for number, task in enumerate(tasks)
    )
    with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        pool = joblib.Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")
        try:
            yield from pool(calls)  # an error, or an end of the caller, stops the workers
        except TerminatedWorkerError as error:
            raise PersonaError(
                "A worker process was killed, perhaps for want of memory: give fewer jobs."
            ) from error


def in_order(
    function: Callable[[Thing], Result],
    things: Iterable[Thing],
    threads: int,
    stopped: threading.Event | None = None,
) -> Iterator[Result]:
    """Call `function(thing)` in threads of this process; yield the results in order.

    A few things are taken ahead of what was yielded. At the end, or where the caller wants no
    more, those that wait are dropped, `stopped` is set, and what runs is waited for.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for thing in things:
            waiting.append(pool.submit(function, thing))
            while waiting and (waiting[0].done() or len(waiting) > 4 * threads):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if stopped:
            stopped.set()
        pool.shutdown(cancel_futures=True)


def _work(
    parent: int, number: int, function: Callable[..., Any], task: tuple[Any, ...]
) -> tuple[int, Any]:
    _end_with(parent)
    return _call(number, function, task)


@cache
def _end_with(parent: int) -> None:
    """End this worker soon after the process that started it, which may have been killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _call(number: int, function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[int, Any]:
    import sys

    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            return number, function(*task)
        finally:
            if torch:
                torch.set_num_threads(before)


def _on_cluster(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], scheduler: str | None
) -> Iterator[tuple[int, Any]]:
    """As `run`; two tasks for each thread of the cluster are on their way at a time."""
    with _client(scheduler) as client:
        from distributed import wait

        waiting = iter(enumerate(tasks))
        running: set[Any] = set()
        while True:
            places = 2 * _threads(client, scheduler) - len(running)
            for number, task in islice(waiting, max(0, places)):
                running.add(client.submit(_call, number, function, task, pure=False))
            if not running:
                return
            try:
                done = wait(running, timeout=1, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                continue  # a long task, or no worker is left
            for future in done:
                try:
                    found = future.result(timeout=_PATIENCE)
                except TimeoutError:
                    if future.status == "error":
                        raise
                    continue  # it went with its worker: another computes it again
                running.remove(future)
                yield found


def _threads(client: Any, scheduler: str | None) -> int:
    """Threads of all workers; `PersonaError` where there is none for a while."""
    end = time.monotonic() + _PATIENCE
    while not (threads := sum(client.ncores().values())):
        if time.monotonic() > end:
            raise PersonaError(
                f"No worker is at the dask scheduler {scheduler}: start some with `dask worker "
                f"{scheduler}`, and run this again to go on."
            )
        time.sleep(0.1)
    return threads


@contextmanager
def _client(scheduler: str | None) -> Iterator[Any]:
    """A client of the cluster; what ends the work of a whole cluster is one sentence."""
    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise PersonaError(
            "The backend dask is not installed: `pip install 'persona-voice[dask]'`."
        ) from error
    if not scheduler:
        raise PersonaError("The backend dask needs the address of its scheduler: give --scheduler.")
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it prints tracebacks
    try:
        client = Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise PersonaError(
            f"No dask scheduler answers at {scheduler}: start one with `dask scheduler`."
        ) from error
    try:
        with client:
            yield client
    except KilledWorker as error:
        raise PersonaError(
            "A task ended every dask worker that it was given to, perhaps for want of memory: "
            "start workers with fewer threads each."
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise PersonaError(
            f"The dask scheduler {scheduler} went away: start it and its workers again, and run "
            "this again to go on."
        ) from error
