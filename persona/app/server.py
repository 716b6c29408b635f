"""`persona serve`: the model over HTTP, in memory that is bounded; no recording touches the disk.

POST /predict answers one or many files as `persona predict --json` does, by file, person or turn;
of voices it keeps none and knows those in a folder that it was given. GET /model is the card,
GET /healthz says that it serves, /docs describes all of it; / does too, where no page was given.
What goes wrong is one sentence, as everywhere, in a problem document (RFC 9457).
"""

import asyncio
import math
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from persona import __version__
from persona.app import streaming
from persona.app.connections import Courtesy, late, protocol
from persona.audio.folders import readable
from persona.errors import AudioError, PersonaError
from persona.model import answers
from persona.model.answers import Row
from persona.model.predictor import Predictor
from persona.people import kept
from persona.people.voice import Voice

RETRY = 2
"""Seconds after which one who was turned away may try again."""

_SEND = "send recordings as the files of a form (multipart/form-data)"
_DOCS = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>PERSONA: the API</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1rem/1.5 system-ui, sans-serif;
max-width: 45rem; margin: 2rem auto; padding: 0 1rem }} pre {{ overflow-x: auto }}</style>
<h1>PERSONA {version}</h1><p>{description}</p><pre>curl -F file=@talk.mp3 {address}predict</pre>
{operations}<p><a href="/openapi.json">The same for machines, as OpenAPI</a>.</p></html>"""

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_SCHEMA = {"type": "object", "properties": {"file": _FILES}, "required": ["file"]}
_FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _SCHEMA}}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": HTTPStatus(code).phrase, "content": {"application/problem+json": {}}}
    for code in (400, 408, 413, 422, 503)
}


@dataclass(frozen=True)
class Limits:
    """What is accepted. Uploads take `requests * megabytes` of memory at most.

    megabytes : of a request, all its files together.
    seconds : of a recording.
    requests : in hand at once: arriving, waiting or being answered, also for clients that are gone
        by then. More are turned away.
    patience : seconds in which the headers of a request have to arrive, and its body, and an answer
        to be taken; and in which a stop lets those in hand end.
    """

    megabytes: float = 50.0
    seconds: float = 600.0
    requests: int = 32
    patience: float = 60.0


def application(
    predictor: Predictor, limits: Limits, page: Path | None = None, voices: Path | None = None
) -> FastAPI:
    """The endpoints over a predictor, for uvicorn or another ASGI server.

    page : folder of the page at /, by default one that names the endpoints.
    voices : folder of voices that may be named, as `persona voice` keeps them; by default none may.
    """
    desk = _Desk(predictor, limits)
    app = FastAPI(
        title="PERSONA",
        version=__version__,
        description="Emotion, gender and age from a voice. " + " ".join(predictor.card["limits"]),
        docs_url=None,  # FastAPI's own pages take their scripts from another host
        redoc_url=None,
        exception_handlers=_HANDLERS,
    )
    app.add_middleware(Courtesy, most=int(limits.megabytes * 1e6), patience=limits.patience)

    @app.post("/predict", responses=_PROBLEMS, openapi_extra=_FORM)
    async def predict(
        request: Request,
        timeline: bool = True,
        by: Literal["file", "person", "turn"] = "file",
        people: Annotated[int | None, Query(ge=1)] = None,
        voice: str | None = None,
    ) -> Response:
        """A list with a row for each file, or for each person or turn in it: what was predicted, or
        the `error` of that file. Where no file was answered, a problem with their sentences.
        `people` is how many speak, by default as many as are found. `voice` names the usual voice
        of the one person who speaks, against which emotion is read, where the server has voices.
        """
        asked = {"people": people, "voice": _voice(voice, voices)}
        with desk.taken():
            rows = await desk.answered(request, await desk.received(request), asked)
        if not timeline:
            for row in rows:
                row.pop("timeline", None)
        if all("error" in row for row in rows):
            return _problem(422, " ".join(row["error"] for row in rows))
        parts = [part for row in rows for part in answers.rows(row, by)]
        return Response(answers.json_text(parts), media_type="application/json")

    streaming.add(app, predictor, desk.taken, limits.seconds, limits.patience, _PROBLEMS)

    @app.get("/model")
    def model() -> dict[str, Any]:
        """The card: data, training, evaluation, limits, uses."""
        return predictor.card

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Whether it serves, and how many requests are in hand."""
        return {"status": "ok", "requests": desk.in_hand}

    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(_docs(app.openapi(), str(request.base_url)))

    app.get("/docs", include_in_schema=False)(docs)
    if page:
        app.mount("/", StaticFiles(directory=page, html=True))
    else:
        app.get("/", include_in_schema=False)(docs)
    return app


def _voice(name: str | None, folder: Path | None) -> Voice | None:
    if name is None:
        return None
    if folder is None:
        raise PersonaError("This server has no voices: it was started without --voices.")
    return kept.load_from(folder, name)


def _docs(described: dict[str, Any], address: str) -> str:
    """What OpenAPI says, as a page that loads nothing."""
    parts = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2>{method.upper()} {path}</h2><p>{escape(operation['description'])}")
            for field in operation.get("parameters", ()):
                schema = field["schema"]
                kind = schema.get("anyOf", [schema])[0]  # of what may be left out
                values = " or ".join(kind.get("enum", ())) or kind["type"]
                default = schema.get("default", "none")
                parts.append(f"<br>?{field['name']}: {values}, by default {default}")
            for code, answer in operation["responses"].items():
                parts.append(f"<br>{code}: {escape(answer['description'])}")
    return _DOCS.format(
        version=described["info"]["version"],
        description=escape(described["info"]["description"]),
        address=escape(address),
        operations="".join(parts),
    )


class _Desk:
    """Takes requests in, as many as the limits allow, and has them answered by a few threads."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self._predictor, self._limits = predictor, limits
        self.in_hand = 0
        self._threads = ThreadPoolExecutor(os.cpu_count(), "answer")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A place among the requests in hand; 503 where there is none."""
        if self.in_hand >= self._limits.requests:
            sentence = f"All {self.in_hand} places are taken: try again in {RETRY} s."
            raise HTTPException(503, sentence, {"Retry-After": str(RETRY)})
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1

    async def received(self, request: Request) -> list["_File"]:
        """The files of a form."""
        kind = request.headers.get("content-type", "")
        if not kind.lower().startswith("multipart/form-data"):
            raise HTTPException(400, f"The request is no form ({kind or 'of no type'}): {_SEND}.")
        parser = _Parser(Headers({"content-type": kind}), self._limited(request))
        try:
            async with asyncio.timeout(self._limits.patience):
                form = await parser.parse()
        except TimeoutError:
            raise HTTPException(408, late(self._limits.patience)) from None
        except MultiPartException as error:
            sentence = f"The form cannot be read ({error.message.rstrip('.')}): {_SEND}."
            raise HTTPException(400, sentence) from None
        if not parser.ended:
            raise HTTPException(400, "The form ends before its last boundary: send it again.")
        parts = form.multi_items()
        files = [part for _, part in parts if isinstance(part, UploadFile)]
        # A page sends a nameless, empty file where none was chosen.
        if found := [_File(file) for file in files if file.filename or file.size]:
            return found
        fields = ", ".join(dict.fromkeys(name for name, part in parts if isinstance(part, str)))
        only = f", only {fields} without a file name" if fields else ""
        raise HTTPException(400, f"The request holds no file{only}: {_SEND}.")

    async def _limited(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The body; 413 as soon as it is known to be too large."""
        limit, size = self._limits.megabytes * 1e6, 0
        stated = request.headers.get("content-length", "0")
        chunks = request.stream()
        while size <= limit and int(stated) <= limit:
            chunk = await anext(chunks, None)
            if chunk is None:
                return
            size += len(chunk)
            yield chunk
        raise HTTPException(
            413,
            f"The request is over the limit of {self._limits.megabytes:g} MB: shorten or compress "
            "the recordings, or send fewer at once.",
        )

    async def answered(
        self, request: Request, files: list["_File"], asked: dict[str, Any]
    ) -> list[Row]:
        """A row for each file, in their order; `asked` is given to the predictor.

        Where the client hangs up, what waits is dropped; what is being answered ends first, as it
        takes memory until then.
        """
        work = [self._threads.submit(self._row, file, asked) for file in files]
        rows = asyncio.gather(*map(asyncio.wrap_future, work), return_exceptions=True)
        gone = asyncio.ensure_future(request.receive())  # after the body comes the disconnect
        try:
            first: list[asyncio.Future[Any]] = [rows, gone]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not rows.done():
                for file, job in zip(files, work, strict=True):
                    if job.cancel():  # it stays in the queue, but without what it was to answer
                        file.content = b""
                await rows
                raise ClientDisconnect
            return [job.result() for job in work]
        finally:
            gone.cancel()

    def _row(self, file: "_File", asked: dict[str, Any]) -> Row:
        try:
            predicted = self._predictor.predict(
                file.content, name=file.name, max_bytes=math.inf,
                max_seconds=self._limits.seconds, **asked,
            )  # fmt: skip
        except AudioError as error:
            return {"file": readable(file.name), "error": str(error)}
        return {"file": readable(file.name), **predicted.to_dict()}


class _File:
    """Name and content of a file that was sent."""

    def __init__(self, upload: UploadFile) -> None:
        self.name = upload.filename or ""
        # What the parser filled, itself: `read` would make a second one.
        self.content: bytes = upload.file._file.getvalue()  # type: ignore[attr-defined]
        upload.file.close()


class _Parser(MultiPartParser):
    spool_max_size = 0  # never to the disk: the size of a request is limited
    ended = False

    def on_end(self) -> None:
        self.ended = True


def _problem(status: int, sentence: str, headers: Any = None) -> Response:
    content = {"title": HTTPStatus(status).phrase, "status": status, "detail": sentence}
    return JSONResponse(content, status, headers, "application/problem+json")


def _refused(request: Request, error: Any) -> Response:
    sentence = error.detail
    if error.status_code in (404, 405):
        sentence = f"There is no {request.method} {request.url.path}: /docs says what there is."
    return _problem(error.status_code, sentence, error.headers)


def _invalid(_: Request, error: Any) -> Response:
    first = error.errors()[0]
    return _problem(422, f"{first['loc'][-1]} cannot be {first['input']!r}: {first['msg']}.")


_HANDLERS: dict[Any, Any] = {
    HTTPException: _refused,
    RequestValidationError: _invalid,
    # One of its kinds is a fault of the server's; itself, that what was asked cannot be.
    PersonaError: lambda _, error: _problem(
        422 if type(error) is PersonaError else 500, str(error)
    ),
    ClientDisconnect: lambda *_: Response(status_code=400),  # which nobody reads
    Exception: lambda *_: _problem(500, "The server failed: its log says why."),
}


def serve(app: FastAPI, host: str, port: int, patience: float) -> None:
    """Serve until SIGINT or SIGTERM, then answer for up to `patience` seconds what is in hand.

    port : 0 for any that is free. Raises `PersonaError` where the address cannot be had.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise PersonaError(
            f"{host}, port {port}, cannot be listened at ({error}): choose others by --host and "
            "--port."
        ) from error
    config = uvicorn.Config(
        app,
        http=protocol(patience),
        ws="none",
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=round(patience),
    )
    # uvicorn raises again the signal that stopped it: the stop is over then, and went well.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))
    print(f"PERSONA listens at http://{host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])
