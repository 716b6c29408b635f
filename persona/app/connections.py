"""How the server bears clients that are slow, say nothing, or are refused while they send.

What FastAPI and uvicorn leave open: headers may take for ever, an answer need not be taken, and one
who is refused before the body was read sees a broken connection instead of the answer.
"""

import asyncio
from typing import Any

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

LIVE = "/stream"
"""The path whose bodies have no rest to take in, as they last while they are answered."""

_STALLED = 2.0
"""Seconds without a byte after which the rest of a refused body is no longer waited for."""


def late(patience: float) -> str:
    """The sentence for what took too long to arrive."""
    return f"It took the request over {patience:g} s to arrive: send less."


def protocol(patience: float) -> type[H11Protocol]:
    """HTTP for uvicorn: in `patience` seconds headers have to arrive, answers be taken, and bodies
    end that are answered.
    """
    return type("Patient", (_Patient,), {"patience": patience})


class _Patient(H11Protocol):
    patience: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Begin to wait where headers are to come, an answer is to be taken, or a body goes on that
        was answered; else end it.
        """
        asked = self.cycle is not None and not self.cycle.response_complete
        if asked and not self.flow.write_paused:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.patience, self._tired)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tired(self) -> None:
        if self.flow.write_paused or self.conn.our_state is h11.DONE:  # but the client goes on
            self.transport.abort()
        elif self.conn.our_state is h11.DONE:  # the rest of what was answered never ends
            self.transport.close()
        elif self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            body = late(self.patience).encode()
            head = (
                "HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()


class Courtesy:
    """Around an ASGI application: HEAD is answered as GET, and who is refused may end its sentence.

    A client such as Python's urllib reads no answer before it has sent its body: where an
    application answers earlier, the rest is taken in and thrown away first.

    most : bytes of a rest that are taken in; where more are stated, none. patience : seconds.
    """

    def __init__(self, app: ASGIApp, most: int, patience: float) -> None:
        self._app, self._most, self._patience = app, most, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # the server sends no body by its own scope
            scope = {**scope, "method": "GET"}
        headers = dict(scope["headers"])
        # Who waits to be told to go on has sent nothing, and sends nothing.
        ended = scope["path"] == LIVE or b"expect" in headers
        ended = ended or int(headers.get(b"content-length", 0)) > 2 * self._most

        async def received() -> Message:
            nonlocal ended
            message = await receive()
            ended = ended or not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start" and message["status"] != 408 and not ended:
                ended = True
                await self._take_in(receive)
            await send(message)

        await self._app(scope, received, sent)

    async def _take_in(self, receive: Receive) -> None:
        rest, end = self._most, asyncio.get_running_loop().time() + self._patience
        try:
            while rest > 0 and asyncio.get_running_loop().time() < end:
                message = await asyncio.wait_for(receive(), min(_STALLED, self._patience))
                rest -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
        except TimeoutError:
            return
