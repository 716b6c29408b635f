"""The app: what arrives from the browser, what the button does, what stands on the page."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from audio_samples import encode, sine
from test_html import ODD, Elements, prediction

from persona import audio
from persona.app import html
from persona.app.widget import KEPT, App, Intake
from persona.labels import EMOTIONS

CARD = {"limits": ["It is <small>."], "uses": {"refused": ["Hiring & firing."]}}


class Ear:
    """Reads the audio as the real predictor does and predicts the same of all of it."""

    card, emotions = CARD, EMOTIONS

    def predict(self, source, *, name, at_least, progress):
        read = audio.read(source, name=name)
        progress(0.5)
        if at_least > 0.6:
            return prediction(read.seconds, (*read.notes, "no emotion"), emotion=None)
        return prediction(read.seconds, read.notes)


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

    def test_a_second_choice_wins_over_what_still_comes_of_the_first(self, app):
        message = {"batch": 1, "index": 0, "files": 1, "name": "a"}
        app.intake._take(None, {**message, "last": False}, [memoryview(b"half")])
        arrive(app, ("b", b"second"), batch=2)
        app.intake._take(None, {**message, "last": True}, [memoryview(b"other half")])
        assert app.intake.batch == [("b", b"second")]

    def test_a_choice_of_which_nothing_is_sent_leaves_nothing_armed(self, app):
        """Every file was over the limit."""
        arrive(app, ("a", b"first"))
        app.intake._take(None, {"batch": 2, "files": 0}, [])
        assert app.intake.batch == []
        assert app.button.disabled

    def test_an_example_is_sent_to_the_browser_to_be_chosen_there(self, app, monkeypatch):
        sent = []
        monkeypatch.setattr(app.intake, "send", lambda *message: sent.append(message))
        (name, *_) = app.intake.examples
        app.intake._take(None, {"example": name}, [])
        assert sent[0][0] == {"example": name}
        assert sent[0][1][0][:4] == b"fLaC"

    def test_no_other_file_is_sent(self, app, monkeypatch):
        monkeypatch.setattr(app.intake, "send", lambda *_: pytest.fail("sent"))
        app.intake._take(None, {"example": "../README.md"}, [])

    def test_the_chooser_takes_what_is_read(self, app):
        assert {".m4a", ".webm", ".amr"} <= set(app.intake.accept.split(","))

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

    def test_names_no_emotion_less_probable_than_was_asked(self):
        for at_least, shown in ((0.5, "happy 60%"), (0.7, "not named")):
            app = App(Ear(), at_least=at_least)
            arrive(app, ("a.wav", encode(sine())))
            app.button.click()
            assert shown in Elements(app.results.value).texts

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
        assert said.startswith("a.wav could not be predicted because of a fault in the program")
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
        (encode(sine())[:44], "holds no samples that could be decoded"),
        (encode(np.zeros(32_000)), "is silent"),
        (encode(sine(0.05)), "is only 50 ms long"),
        (encode(np.full(16_000, np.inf), subtype="FLOAT"), "NaN or infinite"),
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


def test_what_it_is_not_for_stands_on_the_page_before_and_after(app):
    texts = [part.value for part in app.children if hasattr(part, "value")]
    assert any(html.NOT_FOR in text for text in texts)
    arrive(app, ("a.wav", encode(sine())))
    app.button.click()
    page = Elements(app.about.value)
    assert "It is <small>." in page.texts and "Hiring & firing." in page.texts


def test_the_page_that_serves_it_is_called_persona():
    from nbconvert import HTMLExporter

    notebook = Path(__file__).resolve().parents[1] / "notebooks" / "15_app.ipynb"
    page, _ = HTMLExporter(template_name="lab").from_filename(str(notebook))
    assert "<title>PERSONA</title>" in page


class TestWhatIsSaved:
    def saved(self, app: App) -> dict[str, str]:
        page = Elements(app.saved.value)
        return {
            e["download"]: base64.b64decode(e["href"].partition(",")[2]).decode()
            for tag, e in page.elements if tag == "a"
        }  # fmt: skip

    def test_is_every_result_on_the_page_as_csv_and_as_json(self, app):
        arrive(app, ("a.wav", encode(sine())), ("=b.wav", b""))
        app.button.click()
        files = self.saved(app)
        first, second = json.loads(files["persona.json"])
        assert first["file"] == "a.wav" and first["age"] == 41
        assert second["file"] == "=b.wav" and "is empty" in second["error"]
        assert files["persona.csv"].splitlines()[2].startswith("'=b.wav,")

    def test_is_nothing_before_there_is_a_result(self, app):
        assert app.saved.value == ""
