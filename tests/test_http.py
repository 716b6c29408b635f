"""The server over real sockets: what it answers, what it refuses, and whom else it serves then."""

import gzip
import io
import itertools
import re
import signal
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest
import soundfile
from audio_samples import encode
from http_server import CLIP, LISTENING, Server, form, serving, speech
from starlette.formparsers import MultiPartParser

from persona import Predictor, __version__, cli
from persona.cli import printing
from persona.errors import AudioError
from persona.model import answers
from persona.people import kept
from persona.people.voice import Voice

MB, SECONDS, PLACES, PATIENCE = 2, 20, 4, 8
LIMITS = [
    f"--max-mb={MB}", f"--max-seconds={SECONDS}", f"--requests={PLACES}", f"--patience={PATIENCE}",
]  # fmt: skip
TALK = CLIP.read_bytes()
TWO = encode(
    np.concatenate(
        3 * [soundfile.read(CLIP)[0], soundfile.read(LISTENING / "1041_TAI_NEU_XX.flac")[0]]
    ),
    container="FLAC",
)
"""Two people who take turns."""
WASTE = 40
"""MB by which answering grows a process beyond what it holds."""


@pytest.fixture(scope="module")
def server():
    with serving(*LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A server that was given the voices of anna, and of ben by another model."""
    where, predictor = tmp_path_factory.mktemp("voices"), Predictor.load()
    offset = np.random.default_rng(0).normal(0, 10, predictor.heads.dimension).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONA_VOICES", str(where))
        kept.keep("anna", Voice(offset, 9, plain=False, made_for=predictor.fingerprint))
        kept.keep("ben", Voice(offset, 9, plain=False, made_for="0" * 64))
    with serving(*LIMITS, f"--voices={where}") as running:
        yield running


@pytest.fixture(autouse=True)
def serves_others(server):
    """After whatever a test did, there is a place and an answer for the next."""
    yield
    assert answered(server)


def answered(server: Server) -> bool:
    """Whether a clip is answered, tried again where a place is not yet free."""
    for _ in range(100):
        if (response := server.post(TALK)).status_code != 503:
            return response.status_code == 200
        time.sleep(0.1)
    return False


def until_in_hand(server: Server, requests: int) -> None:
    while server.get("/healthz").json()["requests"] < requests:
        time.sleep(0.05)


def problem(response: httpx.Response, status: int) -> str:
    """The one sentence of a problem document."""
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert response.status_code == content["status"] == status, content
    sentence = content["detail"]
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


def png_bomb(side: int = 30_000) -> bytes:
    """A picture of `side` x `side` black pixels, which packs to a thousandth."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    row = bytes(1 + side // 8)
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("talk.wav", bytes(100_000_000))
    return buffer.getvalue()


BAD = {
    "empty": b"",
    "text": b"no sound at all",
    "a picture bomb": png_bomb(),
    "a zip bomb": zip_bomb(),
    "a gzip bomb": gzip.compress(bytes(100_000_000)),
    "silence": encode(np.zeros(32_000)),
    "no speech": encode(np.random.default_rng(0).normal(0, 0.01, 32_000)),
}


class TestAVoice:
    """That is named, of the folder that the server was given."""

    def test_is_what_emotion_alone_is_read_against(self, known):
        alone, against = (
            known.post(TALK, path=f"/predict?{asked}").json()[0] for asked in ("", "voice=anna")
        )
        assert against["emotion"] != alone["emotion"]
        assert (against["gender"], against["age"]) == (alone["gender"], alone["age"])

    def test_of_nobody_is_refused_and_who_is_known_is_not_told(self, known):
        sentence = problem(known.post(TALK, path="/predict?voice=carl"), 422)
        assert sentence == "There is no voice 'carl' here."

    @pytest.mark.parametrize("name", ["../anna", "/etc/passwd", "x/../anna", ""])
    def test_is_no_path(self, known, name):
        sentence = problem(known.post(TALK, path=f"/predict?voice={name}"), 422)
        assert "cannot be a voice's name" in sentence

    def test_of_another_model_or_of_several_people_is_refused(self, known):
        sentence = problem(known.post(TALK, path="/predict?voice=ben"), 422)
        assert sentence.startswith("The voice was learnt by another model")
        sentence = problem(known.post(TALK, path="/predict?voice=anna&people=2"), 422)
        assert sentence.startswith("A voice is of the one person who speaks")

    def test_is_not_known_to_a_server_without_voices(self, server):
        sentence = problem(server.post(TALK, path="/predict?voice=anna"), 422)
        assert sentence == "This server has no voices: it was started without --voices."


class TestPredict:
    def test_answers_as_the_command_does(self, server, capsys):
        assert printing.predict([str(CLIP)], form="json") == 0
        response = server.post(TALK)
        assert response.headers["content-type"] == "application/json"
        printed = capsys.readouterr().out.replace(str(CLIP), "0.flac")
        assert response.text == printed

    def test_leaves_the_timeline_out_when_asked(self, server):
        (whole,), (row,) = (
            server.post(TALK, path=f"/predict?timeline={flag}").json() for flag in ("true", "false")
        )
        assert whole.pop("timeline") and whole == row

    def test_answers_by_person_and_by_turn_as_the_command_does(self, server):
        (whole,) = server.post(TWO).json()
        assert len(whole["people"]) == 2
        for by in ("person", "turn"):
            rows = server.post(TWO, path=f"/predict?by={by}").json()
            assert rows == answers.rows(whole, by) and {row["person"] for row in rows} == {1, 2}
        (alone,) = server.post(TWO, path="/predict?people=1").json()
        assert len(alone["people"]) == 1

    @pytest.mark.parametrize("asked", ["by=clip", "people=0", "people=two"])
    def test_refuses_other_people_and_other_rows(self, server, asked):
        sentence = problem(server.post(TALK, path=f"/predict?{asked}"), 422)
        name, value = asked.split("=")
        assert sentence.startswith(f"{name} cannot be {value!r}: ")

    def test_answers_many_in_their_order_and_a_bad_one_stops_nothing(self, server):
        rows = server.post(speech(1), b"no sound", speech(3)).json()
        assert [row["file"] for row in rows] == ["0.flac", "1.flac", "2.flac"]
        assert [row.get("seconds") for row in rows] == [1, None, 3]
        assert rows[1]["error"].startswith('"1.flac" cannot be decoded')

    def test_writes_nothing_to_the_disk(self, server):
        samples, rate = soundfile.read(CLIP)
        large = encode(np.resize(samples, SECONDS * rate), rate, subtype="FLOAT")
        assert len(large) > MultiPartParser.spool_max_size  # what a parser keeps in memory
        assert server.post(large).status_code == 200

    @pytest.mark.parametrize("kind", BAD)
    def test_refuses_what_is_no_speech_with_the_sentence_of_everywhere(self, server, kind):
        assert len(BAD[kind]) < MB * 1e6
        with pytest.raises(AudioError) as raised:
            Predictor.load().predict(BAD[kind], name="0.flac")
        assert problem(server.post(BAD[kind]), 422) == str(raised.value)

    def test_refuses_what_is_too_long(self, server):
        sentence = problem(server.post(speech(SECONDS + 1)), 422)
        assert sentence == f'"0.flac" is longer than the limit of {SECONDS} s: give a part of it.'

    def test_refuses_hours_in_a_small_file_as_soon_as_they_are_too_long(self, server):
        hours = encode(np.zeros(4 * 3600 * 8_000, np.int16), 8_000, "FLAC")
        assert len(hours) < MB * 1e6
        before = server.processor()
        assert "is longer than" in problem(server.post(hours), 422)
        assert server.processor() - before < 5

    def test_refuses_what_is_too_large(self, server):
        assert f"over the limit of {MB} MB" in problem(server.post(bytes(MB * 1_000_000)), 413)

    def test_refuses_many_that_are_too_large_together(self, server):
        assert "over the limit" in problem(server.post(*[bytes(600_000)] * 4), 413)

    def test_refuses_what_is_no_form_with_files_and_says_which_it_is(self, server):
        url = f"{server.url}/predict"
        for sent in ({"content": TALK}, {}, {"data": {"file": "talk.wav"}}):
            assert "is no form" in problem(httpx.post(url, **sent), 400)
        typed = {"content-type": "multipart/form-data"}
        assert "boundary" in problem(httpx.post(url, content=b"x", headers=typed), 400)
        typed = {"content-type": "Multipart/Form-Data; boundary=x"}
        assert httpx.post(url, content=form(TALK), headers=typed, timeout=300).status_code == 200
        typed = {"content-type": "multipart/form-data; boundary=x"}

        def told(content: bytes) -> str:
            return problem(httpx.post(url, content=content, headers=typed), 400)

        field = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntalk\r\n--x--\r\n'
        nothing = (
            b'--x\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n\r\n--x--\r\n'
        )
        assert "holds no file, only file without a file name" in told(field)
        assert "holds no file:" in told(nothing) and "holds no file:" in told(b"--x--\r\n")
        assert "ends before its last boundary" in told(form(TALK)[:-9])
        assert "cannot be read (Part exceeded" in told(field.replace(b"talk", bytes(1_500_000)))

    @pytest.mark.parametrize("path", ["/nothing", "/model", "/predict"])
    def test_refuses_while_a_client_sends_that_reads_no_answer_before(self, server, path):
        """Python's urllib: it would see a broken pipe."""
        body = form(bytes(int(1.7 * MB * 1e6)))
        request = urllib.request.Request(server.url + path, body, {"Content-Type": "audio/wav"})
        if path == "/predict":
            request.add_header("Content-Type", "multipart/form-data; boundary=x")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        wanted = {"/nothing": 404, "/model": 405, "/predict": 413}[path]
        assert refused.value.code == wanted and b'"detail"' in refused.value.read()

    def test_refuses_a_flag_that_is_none(self, server):
        assert "timeline" in problem(server.post(TALK, path="/predict?timeline=oui"), 422)


class TestTheRest:
    def test_the_card_is_the_model_s(self, server):
        assert server.get("/model").json() == Predictor.load().card

    def test_health_is_ok_and_counts_what_is_in_hand(self, server):
        assert server.get("/healthz").json() == {"status": "ok", "requests": 0}

    def test_the_endpoints_are_described(self, server):
        described = server.get("/openapi.json").json()
        assert described["info"]["version"] == __version__
        assert set(described["paths"]) == {"/predict", "/stream", "/model", "/healthz"}
        sent = described["paths"]["/predict"]["post"]["requestBody"]["content"]
        assert list(sent) == ["multipart/form-data"]

    def test_docs_and_the_page_at_the_root_say_so_and_load_nothing(self, server):
        page = server.get("/docs").text
        assert server.get("/").text == page
        assert f"curl -F file=@talk.mp3 {server.url}/predict" in page
        for said in ("POST /predict", "?timeline", "503: Service Unavailable", "GET /healthz"):
            assert said in page
        assert not re.search(r"<script|<link|src=|@import|url\(", page)

    @pytest.mark.parametrize("path", ["/", "/docs", "/model", "/healthz", "/openapi.json"])
    def test_a_head_is_that_of_its_get(self, server, path):
        got, head = server.get(path), httpx.head(server.url + path)
        assert head.status_code == 200 and not head.content
        assert head.headers["content-length"] == got.headers["content-length"]
        assert httpx.head(f"{server.url}/predict").status_code == 405

    def test_what_there_is_not_is_a_problem_too(self, server):
        assert "GET /predict" in problem(server.get("/predict"), 405)
        assert "GET /nothing" in problem(server.get("/nothing"), 404)


def test_a_page_that_was_given_is_served_beside_the_endpoints(tmp_path):
    (tmp_path / "index.html").write_text("the page")
    (tmp_path / "page.js").write_text("its script")
    with serving("--page", str(tmp_path)) as server:
        assert server.get("/").text == "the page"
        assert server.get("/page.js").headers["content-type"].startswith("text/javascript")
        assert server.get("/healthz").status_code == 200


class TestABadClient:
    def test_that_hangs_up_while_it_sends_gives_its_place_back(self, server):
        body = form(TALK)
        for _ in range(3 * PLACES):
            server.sending(body[: len(body) // 2], len(body)).close()

    def test_that_hangs_up_before_its_answer_gives_its_place_back(self, server):
        body = form(speech(SECONDS))
        for _ in range(3 * PLACES):
            server.sending(body, len(body)).close()

    def test_that_sends_slowly_is_told_so_and_others_are_served(self, server):
        body = form(TALK)
        with server.sending(body[:100], len(body)) as slow:
            started = time.monotonic()
            assert answered(server)
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
            assert time.monotonic() - started > PATIENCE - 1

    @pytest.mark.parametrize(
        "start", [b"", b"GET", b"POST /predict HTTP/1.1\r\nHost: x\r\nA: b\r\n"]
    )
    def test_whose_headers_never_end_is_told_so(self, server, start):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
            started = time.monotonic()
            for byte in start:
                slow.sendall(bytes([byte]))
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
            assert PATIENCE - 1 < time.monotonic() - started < PATIENCE + 5

    def test_whose_headers_are_endless_is_refused(self, server):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            with suppress(OSError):
                connection.sendall(b"GET / HTTP/1.1\r\nA: " + bytes(b"a" * 1_000_000))
            assert connection.recv(100).startswith(b"HTTP/1.1 400")

    def test_whose_refused_body_never_ends_is_hung_up_on(self, server):
        """Byte by byte, with pauses that are shorter than what is waited for."""
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
            slow.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            started = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() - started < 3 * PATIENCE:
                    slow.sendall(b"1\r\n-\r\n")
                    time.sleep(0.5)

    @pytest.mark.parametrize("stated", [True, False])
    def test_that_sends_a_gigabyte_is_refused_and_others_are_served(self, server, stated):
        start, chunk = form(bytes(1_000_000))[:1_000_000], bytes(1_000_000)
        headers = {"content-type": "multipart/form-data; boundary=x"}
        if stated:
            headers["content-length"] = "1000000000"

        def send() -> httpx.Response:
            body = itertools.chain([start], itertools.repeat(chunk, 999))
            return httpx.post(f"{server.url}/predict", content=body, headers=headers, timeout=300)

        with ThreadPoolExecutor(1) as other:
            sent = other.submit(send)
            assert answered(server)
            problem(sent.result(), 413)
        assert server.memory("VmHWM") < 500

    def test_that_is_one_too_many_is_told_when_to_come_back(self, server):
        body = form(TALK)
        slow = [server.sending(body[:100], len(body)) for _ in range(PLACES)]
        until_in_hand(server, PLACES)
        response = server.post(TALK)
        assert "places are taken" in problem(response, 503)
        assert int(response.headers["retry-after"]) > 0
        assert server.get("/healthz").status_code == 200
        for connection in slow:
            connection.close()


def test_64_bad_clients_at_once_take_no_more_memory_than_the_limits_allow():
    """Beyond what a few answers take: places times megabytes, and what allocation wastes."""
    places, megabytes = 3, 4
    options = (f"--requests={places}", f"--max-mb={megabytes}", "--patience=5", "--max-seconds=60")
    samples, _ = soundfile.read(CLIP)
    wide = np.resize(samples, (4 * 96_000, 2))  # many bytes, little to answer
    body = form(encode(wide, 96_000, subtype="FLOAT"))
    assert 3 < len(body) / 1e6 < megabytes
    done = threading.Event()

    def uploads(server: Server) -> None:
        with suppress(OSError), server.sending(body, len(body)) as connection:
            connection.recv(100)

    def hangs_up(server: Server) -> None:
        with suppress(OSError):
            server.sending(body, len(body)).close()

    def sends_slowly(server: Server) -> None:
        with suppress(OSError), server.sending(body[:-100], len(body)) as connection:
            for byte in body[-100:-50]:
                connection.sendall(bytes([byte]))
                if done.wait(0.2):
                    return

    def sends_nothing(server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port)):
            done.wait(10)

    with serving(*options) as server:
        for _ in range(2 * places):
            assert server.post(body[:-9].split(b"\r\n\r\n", 1)[1]).status_code == 200
        before = most = server.memory()
        clients = [uploads, hangs_up, sends_slowly, sends_nothing] * 16
        with ThreadPoolExecutor(64) as pool:
            began = time.monotonic()
            sent = [pool.submit(client, server) for client in clients]
            while not all(one.done() for one in sent) and time.monotonic() - began < 60:
                most = max(most, server.memory())
                assert server.get("/healthz").json()["requests"] <= places
                time.sleep(0.1)
            done.set()
        assert most - before < places * megabytes + WASTE
        assert answered(server)


def test_a_stop_lets_what_is_in_hand_end_and_takes_nothing_more():
    with serving("--max-seconds=60") as server, ThreadPoolExecutor(1) as other:
        assert answered(server)
        waiting = other.submit(server.post, *[speech(50, "FLAC")] * 2)
        until_in_hand(server, 1)
        server.process.send_signal(signal.SIGTERM)
        assert waiting.result().status_code == 200
        assert server.process.wait(300) == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_port_that_is_taken_is_one_sentence(server, capsys):
    assert cli.main(["serve", "--port", str(server.port)]) == 1
    assert "cannot be listened at" in capsys.readouterr().err


def test_without_its_extra_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "persona.app.server", raising=False)
    monkeypatch.delattr("persona.app.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve"]) == 1
    assert "pip install 'persona-voice[serve]'" in capsys.readouterr().err
