"""A prediction drawn as HTML: well-formed, in words too, and only where somebody speaks."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from persona.app import html
from persona.labels import EMOTIONS
from persona.model.prediction import Prediction, RecordingQuality, Timeline

ODD = """"it's" <img src=x onerror=alert(1)> & co.wav"""


def prediction(seconds: float = 2.0, notes: tuple[str, ...] = (), **changes) -> Prediction:
    """Somebody speaks in the first and the last quarter; of over 5 s, in two windows."""
    n = 1 if seconds <= 5 else 2
    emotion, gender = np.tile([0.1, 0.0, 0.2, 0.6, 0.0, 0.1], (n, 1)), np.tile([0.3, 0.7], (n, 1))
    speech = np.array([[0, seconds / 4], [3 * seconds / 4, seconds]])
    line = Timeline(
        speech[:n, 0], speech[-n:, 1], np.full(n, seconds / 2 / n), emotion, gender,
        np.linspace(41, 51, n),
    )  # fmt: skip
    fields = {
        "emotion": dict(zip(EMOTIONS, emotion[0], strict=True)),
        "gender": {"female": 0.3, "male": 0.7},
        "age": 41.0, "age_low": 24.0, "age_high": 58.0,
        "seconds": seconds, "speech_seconds": seconds / 2, "speech": speech, "notes": notes,
        "timeline": line, "quality": RecordingQuality(seconds / 2, -20.0, 0.01, 25.0, 3400.0, 97.0),
        "trust": 0.6, "envelope": np.tile([[-0.25, 0.5]], (round(100 * seconds), 1)),
    }  # fmt: skip
    return Prediction(**fields | changes)


class Elements(HTMLParser):
    """Every element with its attributes, every text, and whether all that opened was closed."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def test_is_well_formed_and_every_picture_has_words():
    drawn = html.result("a", prediction(60.0, ("averaged 2 channels",)))
    page = Elements(drawn)
    assert page.open == []
    for tag, attributes in page.elements:
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]
    assert "averaged 2 channels" in page.texts
    assert "nan" not in drawn


def test_a_name_is_shown_and_never_interpreted():
    page = Elements(html.result(ODD, prediction(), key='1"-0'))
    assert ODD in page.texts
    assert {tag for tag, _ in page.elements} & {"img", "script"} == set()
    (section,) = [e for tag, e in page.elements if tag == "section"]
    assert section == {"aria-label": ODD, "data-audio": '1"-0'}


def test_emotion_bars_are_as_long_as_they_say():
    page = Elements(html.result("a", prediction()))
    widths = [e["style"] for tag, e in page.elements if tag == "span" and "style" in e]
    percents = ["10.0%", "0.0%", "20.0%", "60.0%", "0.0%", "10.0%", "30.0%", "70.0%"]
    assert widths == [f"width:{p}" for p in percents]


def test_the_age_is_drawn_with_its_interval():
    page = Elements(html.result("a", prediction()))
    (age,) = [e for _, e in page.elements if e.get("aria-label", "").startswith("Age ")]
    assert age["aria-label"] == "Age 41 years, 24 to 58"
    band = [e for tag, e in page.elements if tag == "rect" and e.get("opacity") == "0.35"]
    assert [(e["x"], e["width"]) for e in band] == [("24.00", "34.00")]


def test_the_quality_stands_beside_the_answer():
    page = Elements(html.result("a", prediction()))
    (words,) = [text for text in page.texts if text.startswith("Recording")]
    assert "25 dB above the noise" in words and "up to 3.4 kHz" in words
    assert "than 97 % of unseen speakers" in words and "1.0% clipped" in words


def test_an_emotion_that_is_not_named_has_neither_name_nor_bars():
    note = "no emotion has a probability of 70 % or more"
    drawn = html.result("a", prediction(notes=(note,), emotion=None))
    page = Elements(drawn)
    assert page.open == [] and "not named" in page.texts and note in page.texts
    assert "happy" not in drawn and "male 70%" in page.texts


def test_one_window_has_no_timeline_and_two_have():
    assert "Over time" not in html.result("a", prediction())
    assert "happy over time, at most 60%" in html.result("a", prediction(60.0))


def test_the_timeline_is_coloured_where_somebody_speaks_and_nowhere_else():
    page = Elements(html.result("a", prediction(60.0)))
    happy = [e for tag, e in page.elements if tag == "rect" and e.get("opacity") == "0.60"]
    assert [(e["x"], e["width"]) for e in happy] == [("0.0", "250.0"), ("750.0", "250.0")]


@pytest.mark.parametrize("seconds", [0.5, 2.0, 60.0])
def test_the_waveform_is_as_high_as_the_recording_and_no_longer_than_is_drawn(seconds):
    page = Elements(html.result("a", prediction(seconds)))
    (wave,) = [e["points"].split() for tag, e in page.elements if tag == "polygon"]
    points = np.array([[float(x) for x in point.split(",")] for point in wave])
    assert len(points) <= 2 * html.POINTS
    assert points[:, 1].min() == -1 and points[:, 1].max() == 0.5
    assert points[:, 0].min() == 0 and points[:, 0].max() == 1000


def test_what_is_saved_is_in_the_page_itself():
    page = Elements(html.downloads("a,b\n", "[]"))
    links = {e["download"]: e["href"] for tag, e in page.elements if tag == "a"}
    assert set(links) == {"persona.csv", "persona.json"}
    assert links["persona.csv"] == "data:text/csv;base64,YSxiCg=="


def test_the_page_loads_nothing_from_elsewhere():
    for file in (Path(html.__file__).parent / "static").rglob("*.*"):
        assert not re.search("https?://(?!www.w3.org)", file.read_text()), file
