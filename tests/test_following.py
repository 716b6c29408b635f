"""A recording that the widget hears while it is made: events as they come, an end at any time."""

import threading
from pathlib import Path
from queue import Queue

import numpy as np
import pytest

from persona import Predictor, audio
from persona.app import following
from persona.app.following import Following
from persona.app.widget import App
from persona.audio import RATE
from persona.errors import AudioError

CLIP = next((Path(__file__).resolve().parents[1] / "data" / "examples").glob("*.flac"))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load()


@pytest.fixture(scope="module")
def blocks() -> list[bytes]:
    samples = np.round(32767 * audio.read(CLIP).samples).astype("<i2")
    return [samples[at : at + RATE // 2].tobytes() for at in range(0, 4 * RATE // 2, RATE // 2)]


@pytest.fixture
def app(predictor, monkeypatch) -> tuple[App, Queue]:
    """The widget, and what it sends to the browser."""
    made, sent = App(predictor), Queue()
    monkeypatch.setattr(made, "send", sent.put)
    return made, sent


def test_blocks_are_answered_by_the_events_of_a_stream(app, predictor, blocks):
    made, sent = app
    made._take(None, {"live": "a", "rate": RATE}, [])
    for block in blocks:
        made._take(None, {"live": "a"}, [memoryview(block)])
    told = [sent.get(timeout=60) for _ in blocks]
    samples = np.frombuffer(b"".join(blocks), "<i2").astype(np.float32) / 32768
    *wanted, _ = predictor.stream([samples], RATE)
    assert told == [{"live": "a", "event": event.to_dict()} for event in wanted]
    assert told[-1]["event"]["people"]
    made._take(None, {"live": "a", "over": True}, [])
    assert not made._followed


def test_two_recordings_at_once_are_kept_apart(app, blocks):
    """As two windows of a browser make them."""
    made, sent = app
    for key in "ab":
        made._take(None, {"live": key, "rate": RATE}, [])
        made._take(None, {"live": key}, [memoryview(blocks[0])])
    assert {sent.get(timeout=60)["live"] for _ in "ab"} == {"a", "b"}


def test_nothing_of_what_waits_is_heard_once_it_is_over():
    heard, told, begun = [], [], threading.Event()

    def stream(blocks):
        begun.wait()
        for block in blocks:
            heard.append(block)
            yield None

    one = Following(stream, told.append)
    one.hear(b"ab")
    one.end()
    begun.set()
    one._thread.join(60)
    assert not one._thread.is_alive()
    assert not heard and not told


def test_a_page_that_is_gone_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(following, "PATIENCE", 0.01)
    one = Following(lambda blocks: list(blocks), print)
    one._thread.join(60)
    assert not one._thread.is_alive()


def test_what_cannot_be_heard_is_one_sentence():
    def stream(blocks):
        raise AudioError("It cannot be heard.")

    told = Queue()
    Following(stream, told.put)
    assert told.get(timeout=60) == {"error": "It cannot be heard."}


def test_a_fault_of_ours_is_told_too(caplog):
    """Else the page would wait for ever for what is heard."""
    told = Queue()
    Following(lambda blocks: 1 / 0, told.put)
    assert told.get(timeout=60) == {"error": ""}
    assert "ZeroDivisionError" in caplog.text


def test_what_still_comes_of_a_recording_that_is_over_is_let_go(app, blocks):
    """As of one that a kernel which was started anew has not heard of."""
    made, sent = app
    made._take(None, {"live": "a"}, [memoryview(blocks[0])])
    made._take(None, {"live": "a", "over": True}, [])
    assert sent.empty()
