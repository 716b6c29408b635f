"""POST /stream: sound in while it is recorded; out, every half second, what is known of it.

The body is the bare samples of one channel, in chunks; the answer is server-sent events, each the
JSON of a `live.Event`, or an `error`. Memory is that of `Predictor.stream`: what a client sends is
taken when it can be heard. Who sends nothing for a while, or takes nothing, is dropped.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Query, Response
from starlette.types import Receive, Scope, Send

from persona.app.connections import LIVE
from persona.audio.reader import RATE, RATES
from persona.errors import AudioError, PersonaError
from persona.model.predictor import Predictor

Format = Literal["s16le", "f32le"]
"""Of samples, by FFmpeg's names."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
]
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_SOUND = {"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}}
_TYPES = {"s16le": "<i2", "f32le": "<f4"}


def add(
    app: FastAPI,
    predictor: Predictor,
    taken: Callable[[], AbstractContextManager[None]],
    seconds: float,
    patience: float,
    problems: dict[int | str, dict[str, Any]],
) -> None:
    """Add the endpoint to an application.

    taken : gives a place among the requests in hand. seconds : of a stream. patience : seconds in
    which more sound has to arrive. problems : what else is answered, for its description.
    """

    @app.post(LIVE, responses=problems, openapi_extra=_SOUND)
    async def stream(
        rate: Annotated[int, Query(ge=RATES[0], le=RATES[1])] = RATE,
        form: Format = "s16le",
    ) -> Response:
        """Server-sent events: every half second what is known, at the end what /predict answers.
        The body is the samples of one channel, sent while they are recorded.
        """
        with ExitStack() as place:
            place.enter_context(taken())
            return _Stream(predictor, place.pop_all(), patience, rate, form, max_seconds=seconds)


class _Stream(Response):
    """The answer to a request whose body is still arriving.

    place : closed at the end. patience : seconds in which more sound has to arrive.
    rate, asked : as of `Predictor.stream`.
    """

    def __init__(
        self,
        predictor: Predictor,
        place: ExitStack,
        patience: float,
        rate: float,
        form: Format,
        **asked: Any,
    ) -> None:
        super().__init__()
        self._place, self._patience = place, patience
        self._type = np.dtype(_TYPES[form])
        self._bodies: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._gone, self._late = threading.Event(), False
        self._events = predictor.stream(self._blocks(), rate, **asked)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, "stream")  # of its own: it waits for sound most of the time
        arriving = asyncio.create_task(self._arrive(receive))
        body: dict[str, Any] = {"type": "http.response.body", "more_body": True}
        started = False
        try:
            while event := await self._loop.run_in_executor(thread, self._next):
                if not started:  # by now the client knows that it may send
                    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                    started = True
                await send({**body, "body": f"data: {json.dumps(event)}\n\n".encode()})
            if started:
                await send({**body, "more_body": False})
        finally:
            self._gone.set()
            arriving.cancel()
            if self._bodies.empty():
                self._bodies.put_nowait(None)
            thread.submit(self._end)
            thread.shutdown(wait=False)

    def _end(self) -> None:
        self._events.close()
        self._loop.call_soon_threadsafe(self._place.close)

    async def _arrive(self, receive: Receive) -> None:
        more = True
        try:
            while more:
                async with asyncio.timeout(self._patience):
                    message = await receive()
                more = message.get("more_body", False)
                if message["type"] == "http.disconnect":
                    self._gone.set()
                elif content := message.get("body"):
                    await self._bodies.put(content)
        except TimeoutError:
            self._late = True
        await self._bodies.put(None)
        await receive()  # after the body comes the disconnect
        self._gone.set()

    def _blocks(self) -> Iterator[np.ndarray]:
        """Samples as they arrive; in the thread that answers."""
        rest, size = b"", self._type.itemsize
        while (content := self._taken()) is not None and not self._gone.is_set():
            content = rest + content
            whole = len(content) // size * size
            rest = content[whole:]
            yield np.frombuffer(content[:whole], self._type)
        if self._gone.is_set():
            raise CancelledError
        if self._late:
            raise AudioError(f"No sound came for {self._patience:g} s: send it as it is recorded.")

    def _taken(self) -> bytes | None:
        return asyncio.run_coroutine_threadsafe(self._bodies.get(), self._loop).result()

    def _next(self) -> dict[str, Any] | None:
        """What to tell next; None at the end, or where nobody listens."""
        try:
            event = next(self._events, None)
            return event.to_dict() if event else None
        except PersonaError as error:
            return {"error": str(error)}
        except CancelledError:
            return None
