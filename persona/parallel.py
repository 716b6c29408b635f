"""The only place that starts workers: joblib, on this machine ("loky") or a cluster ("dask")."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from persona.errors import PersonaError, known

BACKENDS = ("loky", "dask")


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

    An error in a task ends the rest. Raises `PersonaError` for an unknown backend, or where
    dask is not installed or does not answer, or a worker was killed.
    """
    known("backend", backend, BACKENDS)
    if not tasks:
        return
    jobs = min(jobs or os.cpu_count() or 1, len(tasks))
    if jobs <= 1 and backend == "loky":
        yield from (_call(number, function, task) for number, task in enumerate(tasks))
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parent = os.getpid() if backend == "loky" else 0
    calls = (
        joblib.delayed(_work)(parent, number, function, task) for number, task in enumerate(tasks)
    )
    with _client(scheduler) if backend == "dask" else nullcontext():
        config = {"inner_max_num_threads": 1} if backend == "loky" else {}
        with joblib.parallel_config(backend, n_jobs=jobs if backend == "loky" else -1, **config):
            pool = joblib.Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")
            try:
                yield from pool(calls)  # an error, or an end of the caller, stops the workers
            except TerminatedWorkerError as error:
                raise PersonaError(
                    "A worker process was killed, perhaps for want of memory: give fewer jobs."
                ) from error


def _work(
    parent: int, number: int, function: Callable[..., Any], task: tuple[Any, ...]
) -> tuple[int, Any]:
    if parent:
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


def _client(scheduler: str | None) -> AbstractContextManager[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise PersonaError(
            "The backend dask is not installed: `pip install 'persona-voice[dask]'`."
        ) from error
    if not scheduler:
        raise PersonaError("The backend dask needs the address of its scheduler: give --scheduler.")
    try:
        return Client(scheduler, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise PersonaError(
            f"No dask scheduler answers at {scheduler}: start one with `dask scheduler`."
        ) from error
