from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from audio_samples import encode, sine

from persona import audio, result_html
from persona.predictor import Prediction, Timeline
from persona.widget import KEPT, App, Intake

CARD = {"limits": ["It is <small>."], "uses": {"refused": ["Hiring & firing."]}}
ODD = """"it's" <img src=x onerror=alert(1)> & co.wav"""


def heard(seconds: float = 2.0, notes: tuple[str, ...] = ()) -> Prediction:
    """Two windows, of which the second is silent, if it is longer than 5 s."""
    n = 1 if seconds <= 5 else 2
    emotion = np.tile([0.1, 0.0, 0.2, 0.6, 0.0, 0.1], (n, 1))
    gender, age = np.tile([0.3, 0.7], (n, 1)), np.full(n, 41.0)
    for values in (emotion, gender, age) if n > 1 else ():
        values[1] = np.nan
    starts = np.linspace(0, seconds / 2, n)
    return Prediction(
        dict(zip(("anger", "disgust", "fear", "happy", "neutral", "sad"), emotion[0], strict=True)),
        {"female": 0.3, "male": 0.7},
        41.0,
        24.0,
        58.0,
        seconds,
        notes,
        Timeline(starts, starts + seconds / n, emotion, gender, age),
    )


class Ear:
    """Reads the audio as the real predictor does and hears the same in all of it."""

    card = CARD

    def __init__(self):
        self.names = []

    def predict(self, source, *, name, progress):
        read = audio.read(source, name=name)
        self.names.append(name)
        progress(0.5)
        return heard(read.seconds, read.notes)


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


@pytest.fixture
def app() -> App:
    return App(Ear())


def arrive(app: App, *files: tuple[str, bytes], batch: int = 1, part: int = 50_000) -> None:
    """Send files as the browser does, in parts."""
    for index, (name, content) in enumerate(files):
        cuts = range(0, max(1, len(content)), part)
        for at in cuts:
            message = {"batch": batch, "index": index, "files": len(files), "name": name,
                       "last": at == cuts[-1]}  # fmt: skip
            app.intake._take(None, message, [memoryview(content[at : at + part])])


class TestIntake:
    def test_parts_of_several_files_are_put_together(self, app):
        long = bytes(range(256)) * 1_000
        arrive(app, ("a", long), ("b", b"short"))
        assert app.intake.batch == [("a", long), ("b", b"short")]

    def test_there_is_nothing_until_all_has_arrived(self, app):
        app.intake._take(
            None,
            {"batch": 1, "index": 0, "files": 2, "name": "a", "last": True},
            [memoryview(b"whole")],
        )
        assert app.intake.batch == []

    def test_choosing_again_replaces_what_was_chosen(self, app):
        arrive(app, ("a", b"first"))
        arrive(app, ("b", b"second"), batch=2)
        assert app.intake.batch == [("b", b"second")]

    def test_choosing_again_on_the_way_drops_what_had_come(self, app):
        app.intake._take(
            None,
            {"batch": 1, "index": 0, "files": 1, "name": "a", "last": False},
            [memoryview(b"half")],
        )
        arrive(app, ("b", b"second"), batch=2)
        assert app.intake.batch == [("b", b"second")]

    def test_an_empty_file_is_a_file(self, app):
        arrive(app, ("a", b""))
        assert app.intake.batch == [("a", b"")]

    def test_the_browser_is_told_the_limit_of_the_environment(self, monkeypatch):
        monkeypatch.setenv("PERSONA_MAX_MB", "3")
        assert Intake().limit == 3e6


class TestTheButton:
    def test_is_off_until_there_is_audio_and_after_it_was_heard(self, app):
        assert app.button.disabled
        arrive(app, ("a.wav", encode(sine())))
        assert not app.button.disabled
        app.button.click()
        assert app.button.disabled

    def test_shows_three_answers_for_each_file_newest_first(self, app):
        arrive(app, ("a.wav", encode(sine())), ("b.wav", encode(sine())))
        app.button.click()
        page = Elements(app.results.value)
        assert [e["aria-label"] for tag, e in page.elements if tag == "section"] == [
            "b.wav",
            "a.wav",
        ]
        assert page.texts.count("happy 60%") == 2
        assert page.texts.count("male 70%") == 2
        assert page.texts.count("41 years") == 2
        assert app.status.value == ""

    def test_works_again_after_an_error(self, app):
        arrive(app, ("bad.wav", b"no audio"))
        app.button.click()
        arrive(app, ("good.wav", encode(sine())), batch=2)
        app.button.click()
        tags = [tag for tag, _ in Elements(app.results.value).elements]
        assert tags.count("section") == 1
        assert app.results.value.index("good.wav") < app.results.value.index("bad.wav")

    def test_one_bad_file_among_good_ones_stops_nothing(self, app):
        arrive(app, ("a.wav", encode(sine())), ("b.wav", b""), ("c.wav", encode(sine())))
        app.button.click()
        assert app.results.value.count("<section") == 2
        assert "is empty (0 bytes)" in app.results.value

    def test_shows_what_it_is_doing(self, app):
        shown = []
        app.status.observe(lambda change: shown.append(change["new"]), "value")
        arrive(app, (ODD, encode(sine())))
        app.button.click()
        assert "<progress max='1' value='0.500'" in shown[-2]
        assert "&lt;img" in shown[-2] and "<img" not in shown[-2]

    def test_a_fault_of_ours_is_one_sentence_too(self, app, monkeypatch):
        monkeypatch.setattr(Ear, "predict", lambda *_, **__: 1 / 0)
        arrive(app, ("a.wav", encode(sine())))
        app.button.click()
        (said,) = [t for t in Elements(app.results.value).texts]
        assert said.startswith("a.wav could not be heard because of a fault in the program")
        assert app.status.value == ""

    def test_keeps_the_newest_results_only(self, app):
        for batch in range(KEPT + 5):
            arrive(app, (f"{batch}.wav", b""), batch=batch + 1)
            app.button.click()
        assert app.results.value.count("persona-error") == KEPT
        assert f"{KEPT + 4}.wav" in app.results.value
        assert "&quot;4.wav" not in app.results.value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"text, renamed", "cannot be decoded"),
        (encode(sine())[:44], "header only"),
        (encode(np.zeros(32_000)), "is silent"),
        (encode(sine(0.05)), "is only 50 ms long"),
        (encode(np.full(16_000, np.inf), subtype="FLOAT"), "NaN or infinite"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "convert it to WAV or MP3"),
        (b"\x1aE\xdf\xa3 webm", "WebM or Matroska"),
    ],
)
def test_each_refusal_is_one_sentence_in_the_widget(app, content, words):
    arrive(app, (ODD, content))
    app.button.click()
    page = Elements(app.results.value)
    assert page.elements == [("p", {"class": "persona-error", "role": "alert"})]
    sentence = "".join(page.texts)
    assert words in sentence
    assert sentence.startswith('"' + ODD + '"')
    assert sentence.endswith(".") and "\n" not in sentence


def test_a_file_over_the_limit_is_one_sentence_even_if_the_browser_let_it_pass(app, monkeypatch):
    monkeypatch.setenv("PERSONA_MAX_MB", "0.01")
    arrive(app, ("large.wav", encode(sine())))
    app.button.click()
    assert "over the limit of 0.01 MB" in app.results.value


def test_a_name_is_shown_and_never_interpreted(app):
    arrive(app, (ODD, encode(sine())))
    app.button.click()
    page = Elements(app.results.value)
    assert ODD in page.texts
    assert {tag for tag, _ in page.elements} & {"img", "script"} == set()
    (section,) = [e for tag, e in page.elements if tag == "section"]
    assert section == {"aria-label": ODD}


class TestWhatIsDrawn:
    def test_is_well_formed_and_every_picture_has_words(self):
        drawn = result_html.result("a", heard(60.0, ("averaged 2 channels",)), np.zeros((400, 2)))
        page = Elements(drawn)
        assert page.open == []
        for tag, attributes in page.elements:
            if tag == "svg":
                assert attributes["role"] == "img" and attributes["aria-label"]
        assert "averaged 2 channels" in page.texts
        assert "nan" not in drawn

    def test_emotion_bars_are_as_long_as_they_say(self):
        page = Elements(result_html.result("a", heard(), np.zeros((400, 2))))
        widths = [e["style"] for tag, e in page.elements if tag == "span" and "style" in e]
        percents = ["10.0%", "0.0%", "20.0%", "60.0%", "0.0%", "10.0%", "30.0%", "70.0%"]
        assert widths == [f"width:{p}" for p in percents]

    def test_the_age_is_drawn_with_its_interval(self):
        page = Elements(result_html.result("a", heard(), np.zeros((400, 2))))
        (age,) = [e for _, e in page.elements if e.get("aria-label", "").startswith("Age ")]
        assert age["aria-label"] == "Age 41 years, 24 to 58"
        band = [e for tag, e in page.elements if tag == "rect" and e.get("opacity") == "0.35"]
        assert [(e["x"], e["width"]) for e in band] == [("24.00", "34.00")]

    def test_a_short_clip_has_no_timeline_and_a_long_one_has(self):
        assert "Over time" not in result_html.result("a", heard(), np.zeros((9, 2)))
        assert "happy over time, at most 60%" in result_html.result(
            "a", heard(60.0), np.zeros((9, 2))
        )

    def test_silent_windows_are_left_empty_in_the_timeline(self):
        page = Elements(result_html.result("a", heard(60.0), np.zeros((9, 2))))
        happy = [e for tag, e in page.elements if tag == "rect" and e.get("opacity") == "0.60"]
        assert [(e["x"], e["width"]) for e in happy] == [("0.0", "500.0")]

    def test_the_waveform_has_the_lowest_and_highest_sample_of_each_part(self):
        wave = np.concatenate([sine(1.0, amplitude=0.5), np.zeros(16_000)])
        ends = result_html.envelope((wave, 16_000), points=4)
        assert ends == pytest.approx(np.array([[-0.5, 0.5]] * 2 + [[0, 0]] * 2))

    def test_what_it_is_not_for_stands_on_the_page_before_and_after(self, app):
        texts = [part.value for part in app.children if hasattr(part, "value")]
        assert any("Do not use it to decide about people" in text for text in texts)
        arrive(app, ("a.wav", encode(sine())))
        app.button.click()
        page = Elements(app.about.value)
        assert "It is <small>." in page.texts and "Hiring & firing." in page.texts


def test_the_page_loads_nothing_from_elsewhere():
    for file in (Path(result_html.__file__).parent / "static").iterdir():
        assert "http" not in file.read_text().replace("https.", ""), file
