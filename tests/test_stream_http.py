"""Sound over HTTP while it is recorded: events in time, the same end, and who is dropped."""

import http.client
import json
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from http_server import CLIP, Server, serving

from persona import Predictor, audio
from persona.audio import RATE

PATIENCE, SECONDS, PLACES = 3, 20, 2
USE = Path(__file__).resolve().parents[1] / "book" / "use.md"


@pytest.fixture(scope="module")
def server():
    with serving(
        f"--patience={PATIENCE}", f"--max-seconds={SECONDS}", f"--requests={PLACES}"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """16-bit, 16 kHz."""
    return np.round(audio.read(CLIP).samples * 32767).astype("<i2")


@pytest.fixture(scope="module")
def wanted(samples) -> dict:
    return json.loads(json.dumps(Predictor.load().predict((samples, RATE)).to_dict()))


class Call:
    """A request whose body is sent bit by bit."""

    def __init__(self, server: Server, query: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.putrequest("POST", f"/stream{query}")
        self.connection.putheader("Transfer-Encoding", "chunked")
        self.connection.endheaders()

    def send(self, content: bytes) -> None:
        self.connection.send(b"%x\r\n%s\r\n" % (len(content), content))

    def events(self):
        for line in self.connection.getresponse():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def all_free(server: Server) -> bool:
    for _ in range(100):
        if server.get("/healthz").json()["requests"] == 0:
            return True
        time.sleep(0.1)
    return False


def test_events_come_while_sound_is_sent_and_end_as_the_file_does(server, samples, wanted):
    call = Call(server)
    call.send(samples[:RATE].tobytes())
    events = call.events()
    assert next(events)["at"] == 0.5  # and the rest is not sent yet
    call.send(samples[RATE:].tobytes()[:-1])
    call.send(samples[RATE:].tobytes()[-1:])  # half a sample may come later
    call.send(b"")
    *_, last = events
    assert last["prediction"] == wanted
    assert all_free(server)


def test_floats_at_another_rate_are_heard(server, samples):
    floats = np.repeat(samples / np.float32(32768), 3).astype("<f4")
    call = Call(server, "?rate=48000&form=f32le")
    call.send(floats.tobytes())
    call.send(b"")
    *_, last = call.events()
    assert "resampled from 48000 Hz" in last["prediction"]["notes"]


@pytest.mark.parametrize(
    "query, sentence",
    [("?rate=1", "rate cannot be '1'"), ("?form=mp3", "form cannot be 'mp3'")],
)
def test_another_rate_or_form_is_refused_at_once(server, query, sentence):
    answer = Call(server, query).connection.getresponse()
    assert answer.status == 422 and sentence in json.load(answer)["detail"]
    assert all_free(server)


def test_what_cannot_be_used_is_an_event_with_one_sentence(server):
    call = Call(server)
    call.send(bytes(2 * 2 * RATE))
    call.send(b"")
    *_, last = call.events()
    assert last == {"error": "The audio is silent (nothing above -80 dB of full scale): "
                             "record it again."}  # fmt: skip
    assert all_free(server)


def test_more_sound_than_is_allowed_ends_it(server, samples):
    call = Call(server)

    def send() -> None:
        try:
            for _ in range(SECONDS):
                call.send(samples.tobytes())
        except OSError:
            return

    threading.Thread(target=send, daemon=True).start()
    *_, last = call.events()
    assert "longer than the limit of 20 s" in last["error"]
    assert all_free(server)


def test_who_sends_nothing_for_a_while_is_told_and_dropped(server, samples):
    call = Call(server)
    call.send(samples[:RATE].tobytes())
    *_, last = call.events()
    assert last == {"error": f"No sound came for {PATIENCE} s: send it as it is recorded."}
    assert all_free(server)


def test_who_hangs_up_gives_the_place_back(server, samples):
    call = Call(server)
    call.send(samples.tobytes())
    next(call.events())
    call.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.connection.close()
    assert all_free(server)


def test_who_sends_on_and_never_reads_is_dropped_and_holds_neither_memory_nor_a_place(
    server, samples, wanted
):
    call = Call(server)  # that another was answered before, so that memory is what a stream takes
    call.send(samples.tobytes())
    call.send(b"")
    assert [*call.events()][-1]["prediction"] == wanted
    before, began = server.memory(), time.monotonic()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(b"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 60:
                deaf.sendall(b"%x\r\n%s\r\n" % (2 * RATE, samples[:RATE].tobytes()))
                time.sleep(0.01)
    assert all_free(server) and server.memory() - before < 50


def test_streams_take_places_and_more_are_turned_away(server, samples):
    calls = [Call(server) for _ in range(PLACES)]
    for call in calls:
        call.send(samples[:RATE].tobytes())
        next(call.events())
    more = Call(server).connection.getresponse()
    assert more.status == 503 and more.getheader("Retry-After")
    for call in calls:
        call.connection.close()
    assert all_free(server)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_as_the_book_says_it(server, samples, wanted):
    command = ["curl", "-sN", "-T", "-", f"{server.url}/stream?rate=16000", "-X", "POST"]
    ran = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
    last = ran.stdout.decode().strip().splitlines()[-1]
    assert json.loads(last.removeprefix("data: "))["prediction"] == wanted
    assert " ".join(command[1:4]) in USE.read_text("utf-8")


def test_the_ten_lines_of_the_book_print_who_speaks(server, samples):
    block = USE.read_text("utf-8").split("```python\nimport http.client")[1].split("```")[0]
    program = textwrap.dedent("import http.client" + block).replace("8000", str(server.port))
    assert len([line for line in program.splitlines() if line.strip()]) <= 12
    ran = subprocess.run(
        [sys.executable, "-c", program], input=samples.tobytes(), capture_output=True, check=True
    )
    assert b"happy" in ran.stdout.splitlines()[-1]
