"""A recording that is heard while it is made: the widget's way to `Predictor.stream`."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from persona.errors import PersonaError
from persona.model.live import Event

PATIENCE = 60.0
"""Seconds without a block after which the recording is given up, as its page is gone."""


class Following:
    """Hears blocks in a thread of its own, so that the kernel is free for what else is asked.

    stream : `Predictor.stream` without its blocks.
    tell : called from that thread with each `event`, as plain values, or with an `error`,
        which is empty where the fault is the program's.
    """

    def __init__(
        self,
        stream: Callable[[Iterable[np.ndarray]], Iterable[Event]],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._arrived: SimpleQueue[bytes] = SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(stream, tell), daemon=True)
        self._thread.start()

    def hear(self, block: bytes) -> None:
        """block : samples of 16 bits."""
        self._arrived.put(block)

    def end(self) -> None:
        """No more is told, not of what has arrived either: the recording is answered as a file."""
        self._over.set()
        self._arrived.put(b"")

    def _run(
        self,
        stream: Callable[[Iterable[np.ndarray]], Iterable[Event]],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        try:
            for event in stream(self._blocks()):
                tell({"event": event.to_dict()})
        except PersonaError as error:
            tell({"error": str(error)})
        except (CancelledError, Empty):
            return
        except Exception:
            logging.getLogger(__name__).exception("A recording is not heard while it is made.")
            tell({"error": ""})

    def _blocks(self) -> Iterator[np.ndarray]:
        """At the scale to which a file of them is decoded."""
        while block := self._arrived.get(timeout=PATIENCE):
            if self._over.is_set():
                break
            yield np.frombuffer(block, "<i2").astype(np.float32) / 32768
        raise CancelledError
