"""The app: what arrives from the browser, and what the browser is answered."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from audio_samples import encode, sine
from made_prediction import ODD, prediction

from persona import audio
from persona.app import widget
from persona.app.widget import KEPT, App
from persona.labels import EMOTIONS
from persona.model import answers
from persona.model.prediction import POINTS
from persona.people.voice import Voice

CARD = {"limits": ["It is <small>."], "uses": {"refused": ["Hiring & firing."]}, "data": {}}


class Ear:
    """Reads the audio as the real predictor does and predicts the same of all of it."""

    card, emotions, fingerprint = CARD, EMOTIONS, "a" * 64

    def predict(self, source, *, name, at_least=0.0, progress=None, voice=None):
        read = audio.read(source, name=name)
        if progress:
            progress(0.5)
        if voice:
            return prediction(read.seconds, (f"against {voice.phrases} phrases",))
        if at_least > 0.6:
            return prediction(read.seconds, (*read.notes, "no emotion"), emotion=None)
        return prediction(read.seconds, read.notes)


@pytest.fixture
def app() -> App:
    return App(Ear())


@pytest.fixture
def sent(app, monkeypatch) -> list[tuple]:
    """What is sent to the browser."""
    messages: list[tuple] = []
    monkeypatch.setattr(app, "send", lambda *message: messages.append(message))
    return messages


def arrive(app: App, *files: tuple[str, bytes], batch: int = 1, part: int = 50_000) -> list[dict]:
    """Send files as the browser does, in parts; gives the rows of all answers."""
    for index, (name, content) in enumerate(files):
        cuts = range(0, max(1, len(content)), part)
        for at in cuts:
            message = {"key": f"{batch}-{index}", "name": name, "last": at == cuts[-1]}
            app._take(None, message, [memoryview(content[at : at + part])])
    return [answer["row"] for answer in app.answers]


def test_each_file_has_its_answer_and_the_key_of_its_recording(app):
    first, second = arrive(app, ("a.wav", encode(sine())), ("b.wav", encode(sine())))
    assert (first["file"], second["file"]) == ("a.wav", "b.wav")
    assert first["emotion"]["happy"] == 0.6 and first["gender"]["male"] == 0.7
    assert first["age"] == 41
    assert [answer["key"] for answer in app.answers] == ["1-0", "1-1"]


def test_nothing_is_answered_until_all_of_a_file_has_arrived(app):
    content = encode(sine())
    app._take(None, {"key": "1-0", "name": "a", "last": False}, [memoryview(content[:999])])
    assert app.answers == []
    app._take(None, {"key": "1-0", "name": "a", "last": True}, [memoryview(content[999:])])
    assert app.answers[0]["row"]["seconds"] == 2


def test_parts_of_two_recordings_on_their_way_at_once_are_kept_apart(app):
    """As two windows of a browser send them."""
    content = encode(sine())
    for key in ("1-0", "2-0"):
        app._take(None, {"key": key, "name": key, "last": False}, [memoryview(content[:999])])
    for key in ("1-0", "2-0"):
        app._take(None, {"key": key, "name": key, "last": True}, [memoryview(content[999:])])
    assert ["error" in answer["row"] for answer in app.answers] == [False, False]


def test_the_waveform_is_as_high_as_the_recording_and_no_longer_than_is_drawn(app):
    arrive(app, ("a.wav", encode(sine())), ("long.wav", encode(sine(20.0))))
    for answer in app.answers:
        envelope = np.array(answer["envelope"])
        assert len(envelope) <= POINTS and envelope.min() == -0.25 and envelope.max() == 0.5


def test_an_example_is_sent_to_the_browser_to_be_chosen_there(app, sent):
    name = app.offered["clips"][0]["name"]
    app._take(None, {"example": name}, [])
    assert sent[0][0] == {"example": name}
    assert sent[0][1][0][:4] == b"fLaC"


def test_no_other_file_is_sent(app, sent):
    app._take(None, {"example": "../README.md"}, [])
    assert not sent


def test_the_browser_is_told_how_far_it_is(app, sent):
    arrive(app, ("a.wav", encode(sine())))
    assert sent == [({"key": "1-0", "share": 0.5},)]


def test_the_browser_is_told_what_is_read_and_what_the_model_is(app, monkeypatch):
    monkeypatch.setenv("PERSONA_MAX_MB", "3")
    assert App(Ear()).limit == 3e6
    assert {".m4a", ".webm", ".amr"} <= set(app.accept.split(","))
    assert app.card["limits"] == CARD["limits"] and app.card["uses"] == CARD["uses"]
    assert app.columns == {by: list(answers.columns(by=by)) for by in answers.BY}


def test_names_no_emotion_less_probable_than_was_asked():
    for at_least, named in ((0.5, True), (0.7, False)):
        (row,) = arrive(App(Ear(), at_least=at_least), ("a.wav", encode(sine())))
        assert (row["emotion"] is not None) == named and row["trust"] == 0.6


def test_one_bad_file_among_good_ones_stops_nothing(app):
    rows = arrive(app, ("a.wav", encode(sine())), ("b.wav", b""), ("c.wav", encode(sine())))
    assert ["error" in row for row in rows] == [False, True, False]
    assert "is empty (0 bytes)" in rows[1]["error"]


def test_a_fault_of_ours_is_one_sentence_too(app, monkeypatch):
    monkeypatch.setattr(Ear, "predict", lambda *_, **__: 1 / 0)
    (row,) = arrive(app, ("a.wav", encode(sine())))
    assert row["error"].startswith("a.wav could not be predicted because of a fault in the program")


def test_keeps_the_newest_answers_only(app):
    for batch in range(KEPT + 5):
        rows = arrive(app, (f"{batch}.wav", b""), batch=batch)
    assert [row["file"] for row in rows] == [f"{batch}.wav" for batch in range(5, KEPT + 5)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"text, renamed", "cannot be decoded"),
        (encode(sine())[:44], "holds no samples that could be decoded"),
        (encode(np.zeros(32_000)), "is silent"),
        (encode(sine(0.05)), "is only 50 ms long"),
        (encode(np.full(16_000, np.inf), subtype="FLOAT"), "NaN or infinite"),
    ],
)
def test_each_refusal_is_one_sentence_in_the_widget(app, content, words):
    (row,) = arrive(app, (ODD, content))
    assert words in row["error"]
    assert row["error"].startswith('"' + ODD + '"')
    assert row["error"].endswith(".") and "\n" not in row["error"]


def test_a_file_over_the_limit_is_one_sentence_even_if_the_browser_let_it_pass(app, monkeypatch):
    monkeypatch.setenv("PERSONA_MAX_MB", "0.01")
    (row,) = arrive(app, ("large.wav", encode(sine())))
    assert "over the limit of 0.01 MB" in row["error"]


def test_the_front_end_is_one_module(app):
    """A notebook takes it from memory, where nothing lies beside it."""
    text = widget.module()
    assert not re.search(r"(?m)^import ", text) and text.count("export ") == 1
    names = re.findall(r"(?m)^(?:async )?(?:function|const|class) (\w+)", text)
    assert len(names) == len(set(names)) > 30


def test_the_page_and_the_widget_load_nothing_from_elsewhere():
    for file in (Path(widget.__file__).parent / "static").rglob("*.*"):
        assert not re.search("https?://(?!www.w3.org)", file.read_text()), file


def test_the_page_that_serves_it_is_called_persona():
    from nbconvert import HTMLExporter

    notebook = Path(__file__).resolve().parents[1] / "notebooks" / "17_app.ipynb"
    page, _ = HTMLExporter(template_name="lab").from_filename(str(notebook))
    assert "<title>PERSONA</title>" in page


VOICE = Voice(np.arange(4, dtype=np.float32), 3, plain=True, made_for="a" * 64)


class TestAVoice:
    def test_is_what_the_browser_keeps_and_gives_back(self):
        again = Voice.from_dict(json.loads(json.dumps(VOICE.to_dict())))
        np.testing.assert_array_equal(again.offset, VOICE.offset)
        assert (again.phrases, again.plain, again.made_for) == (3, True, "a" * 64)

    def test_is_learnt_from_a_recording_and_not_kept(self, app, sent, monkeypatch):
        heard = []
        monkeypatch.setattr(
            widget.enrolment, "learn", lambda _, sources, plain: heard.append(plain) or VOICE
        )
        content = encode(sine())
        part = {"key": "1", "name": "a.wav", "last": True, "learn": {"person": 0, "plain": True}}
        app._take(None, part, [memoryview(content)])
        assert sent[-1] == ({"key": "1", "voice": VOICE.to_dict()},)
        assert heard == [True] and app.answers == []

    def test_is_read_against_where_one_person_speaks(self, app):
        part = {"key": "1", "name": "a.wav", "last": True, "voice": VOICE.to_dict()}
        app._take(None, part, [memoryview(encode(sine()))])
        notes = app.answers[0]["row"]["notes"]
        assert notes == ["against 3 phrases", "emotion is read against the voice that was learnt"]

    def test_that_cannot_be_learnt_is_one_sentence(self, app, sent):
        part = {"key": "1", "name": "a.wav", "last": True, "learn": {"person": 0, "plain": False}}
        app._take(None, part, [memoryview(b"no sound")])
        assert sent[-1][0]["error"].startswith('"a.wav" cannot be decoded')
