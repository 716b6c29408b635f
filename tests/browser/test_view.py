"""A prediction drawn by the browser: in words too, only where somebody speaks, and of any model."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from made_prediction import ODD, person, prediction

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page

from persona.app import widget
from persona.labels import EMOTIONS
from persona.model.prediction import Prediction

# What a model answers that was not trained on a task.
WITHOUT = {
    "emotion": {"emotion": None, "trust": None},
    "gender": {"gender": None},
    "age": {"age": None, "age_low": None, "age_high": None},
}


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    opened = chromium.new_context(viewport={"width": 800, "height": 1200}).new_page()
    opened.set_content("<!doctype html><body class='persona'>")
    module = widget.module() + "\nObject.assign(window, { result, about, sentence, csv, worthOf });"
    module += "Object.assign(window, { whileSpeaking });"
    opened.add_script_tag(content=module, type="module")
    opened.add_style_tag(content=str(widget.App._css))
    opened.wait_for_function("() => window.result")
    yield opened
    opened.context.close()


def draw(page: Page, predicted: Prediction, name: str = "a.wav", key: str = "1-0") -> str:
    """The text of what is drawn."""
    row = {"file": name, **predicted.to_dict()}
    page.evaluate(
        "(given) => document.body.replaceChildren(result(...given))",
        [row, predicted.outline().tolist(), key],
    )
    return page.locator("body").inner_text()


def drawn(page: Page, selector: str, *attributes: str) -> list[tuple[str | None, ...]]:
    every = page.locator(selector).all()
    return [tuple(one.get_attribute(name) for name in attributes) for one in every]


def said(page: Page, predicted: Prediction) -> str:
    return page.evaluate("(row) => sentence(row)", {"file": "a.wav", **predicted.to_dict()})


def test_every_picture_has_words(page):
    text = draw(page, prediction(60.0, ("averaged 2 channels",)))
    labels = drawn(page, "svg", "role", "aria-label")
    assert all(role == "img" and label for role, label in labels)
    assert "averaged 2 channels" in text and "NaN" not in page.content()
    assert said(page, prediction()) == "a.wav: happy 60%, male 70%, 41 years."


def test_a_name_is_shown_and_never_interpreted(page):
    draw(page, prediction(), ODD, '1"-0')
    assert page.locator("h3").inner_text() == ODD
    assert page.locator("img, script:not([type=module])").count() == 0
    assert drawn(page, "section", "aria-label", "data-audio") == [(ODD, '1"-0')]


def test_what_a_card_says_is_shown_and_never_interpreted(page):
    page.evaluate("document.body.replaceChildren(about(['It is <small>.'], ['Hiring & firing.']))")
    assert page.locator("li").all_text_contents() == ["It is <small>.", "Hiring & firing."]


def test_bars_are_as_long_as_they_say(page):
    draw(page, prediction())
    widths = [style for (style,) in drawn(page, ".persona-bar span", "style")]
    assert widths == [f"width: {p}%;" for p in (10, 0, 20, 60, 0, 10, 30, 70)]


def test_the_age_is_drawn_with_its_interval(page):
    draw(page, prediction())
    assert drawn(page, "svg[aria-label^='Age ']", "aria-label") == [("Age 41 years, 24 to 58",)]
    assert drawn(page, "rect[opacity='0.35']", "x", "width") == [("24", "34")]


def test_the_quality_stands_beside_the_answer(page):
    draw(page, prediction())
    words = page.locator(".persona-quality").inner_text()
    assert "25 dB above the noise" in words and "up to 3.4 kHz" in words
    assert "1.0% clipped" in words


def test_an_emotion_that_is_not_named_has_neither_name_nor_bars(page):
    note = "no emotion has a probability of 70 % or more"
    text = draw(page, prediction(notes=(note,), emotion=None))
    assert "not named" in text and note in text
    assert "happy" not in text and "male 70%" in text


@pytest.mark.parametrize("task", WITHOUT)
def test_a_task_that_the_model_was_not_trained_on_has_no_place(page, task):
    predicted = prediction(60.0, **WITHOUT[task])
    predicted = replace(predicted, timeline=replace(predicted.timeline, **{task: None}))
    draw(page, predicted)
    shown = {name for name in WITHOUT if page.locator(f".persona-{name}").count()}
    assert shown == set(WITHOUT) - {task}
    headings = page.locator("h4").all_text_contents()
    assert {heading.lower() for heading in headings} == shown | {"over time"}
    strips = page.locator(".persona-beside th").all_text_contents()
    own = {"emotion": "happy", "gender": "female", "age": "age 41-51"}
    assert {name for name in own if own[name] in strips} == shown
    assert "NaN" not in page.content()
    assert len(said(page, predicted).split(",")) == 2


@pytest.fixture
def two() -> Prediction:
    """Who says three quarters of it, in two turns, and who says the rest in between."""
    found = prediction(60.0, ("2 people speak: this is who speaks most, 75% of it",))
    fields = vars(found)
    sad = {name: float(name == "sad") for name in found.emotion}
    other = fields | {"emotion": sad, "trust": 1.0}
    people = (person(fields, [(0, 10), (50, 60)], 0.75), person(other, [(20, 30)], 0.25))
    line = replace(found.timeline, person=np.array([0, 1]))
    return replace(found, people=people, timeline=line)


def test_each_of_several_people_has_a_card_and_a_lane(page, two):
    text = draw(page, two)
    assert page.locator("article h4").all_text_contents() == ["Person 1", "Person 2"]
    assert page.locator("article .persona-emotion").all_text_contents() == ["happy 60%", "sad 100%"]
    assert "by 2 people" in text and "this is who speaks most" not in text
    assert "22.5 s of speech in 2 turns, 75% of all" in text
    assert page.locator(".persona-emotion").count() == 2  # none of a mixture
    lanes = page.locator(".persona-lane").all()
    assert [lane.locator("button").count() for lane in lanes] == [2, 1]
    assert drawn(page, ".persona-lane button", "aria-label", "style")[2] == (
        "Person 2, 20.0 to 30.0 s, sad 100%: play", "left: 33.3333%; width: 16.6667%;",
    )  # fmt: skip
    assert said(page, two) == (
        "a.wav: 2 people speak. Person 1: happy 60%, male 70%, 41 years. "
        "Person 2: sad 100%, male 70%, 41 years."
    )


WORTH = {
    "unseen": [{"below": 0.4, "meant": 0.3, "heard": 0.2},
               {"below": 0.7, "meant": 0.6, "heard": 0.35},
               {"below": 1, "meant": 0.9, "heard": 0.5}],
    "known": 0.74, "new": 0.65,
}  # fmt: skip


@pytest.mark.parametrize(
    ("probability", "like", "meant"),
    [(0.2, "less than 40%", 30), (0.4, "40% to 70%", 60), (0.69, "40% to 70%", 60),
     (0.7, "70% to 100%", 90), (1.0, "70% to 100%", 90)],
)  # fmt: skip
def test_what_an_answer_is_worth_is_that_of_answers_as_probable(page, probability, like, meant):
    text = page.evaluate("(given) => worthOf(...given)", [WORTH, probability])
    assert text.startswith(f"Of answers with {like} on actors new to it, {meant}% named the ")
    assert text.endswith("in 65% of all clips in place of 74%.")


def test_of_no_answer_and_of_another_model_nothing_is_said_of_worth(page):
    assert page.evaluate("(worth) => worthOf(worth, null)", WORTH) == ""
    assert page.evaluate("worthOf(undefined, 0.5)") == ""


def test_of_an_emotion_that_is_not_named_nothing_is_said_of_worth(page):
    row = {"file": "a.wav", **prediction(emotion=None).to_dict()}
    page.evaluate(
        "([row, worth]) => document.body.replaceChildren("
        "result(row, [[-1, 1]], '1-0', { worth: (...of) => worthOf(worth, ...of) }))",
        [row, WORTH],
    )
    assert row["trust"] and page.locator(".persona-worth").count() == 0


def test_each_person_has_what_their_answer_is_worth_and_briefly(page, two):
    row = {"file": "a.wav", **two.to_dict()}
    page.evaluate(
        "([row, envelope, worth]) => document.body.replaceChildren("
        "result(row, envelope, '1-0', { worth: (...of) => worthOf(worth, ...of) }))",
        [row, two.outline().tolist(), WORTH],
    )
    found = page.locator("article .persona-worth").all_text_contents()
    assert ["40% to 70%" in found[0], "70% to 100%" in found[1], len(found)] == [True, True, 2]
    assert not any("new sentences" in text for text in found)


WORDS = {
    (0.6, 0.2, 0.9): "Most like happy, probably a man, probably 24 to 58 years old.",
    (0.4, 0.3, 0.9): "Undecided between happy and fear, probably a man, "
                     "probably 24 to 58 years old.",
    (0.6, 0.2, 0.55): "Most like happy, unclear whether a woman or a man, "
                      "probably 24 to 58 years old.",
}  # fmt: skip


@pytest.mark.parametrize("shares", WORDS)
def test_an_answer_is_words_first_and_says_what_it_is_not_sure_of(page, shares):
    happy, fear, male = shares
    emotion = dict.fromkeys(EMOTIONS, (1 - happy - fear) / 4) | {"happy": happy, "fear": fear}
    text = draw(page, prediction(emotion=emotion, gender={"female": 1 - male, "male": male}))
    name, words, *_ = [line for line in text.splitlines() if line]
    assert (name, words) == ("a.wav", WORDS[shares])


def test_a_click_on_a_turn_plays_it(page, two):
    page.evaluate(
        "(given) => document.body.replaceChildren("
        "result(...given, { play: (...at) => (window.at = at) }))",
        [{"file": "a.wav", **two.to_dict()}, two.outline().tolist(), "1-0"],
    )
    page.get_by_role("button", name="Person 1, 50.0 to 60.0 s, happy 60%: play").click()
    assert page.evaluate("window.at") == [50, 60]


def test_a_window_within_anothers_is_drawn_and_nobody_over_who_speaks_then(page, two):
    line = replace(two.timeline, starts=np.array([0.0, 20.0]), ends=np.array([60.0, 30.0]))
    draw(page, replace(two, timeline=line))
    for number, places in (0, ["0", "833.3"]), (1, ["333.3"]):
        own = f"[aria-label^='happy over'] rect[fill='var(--persona-person-{number})']"
        assert [x[:5] for (x,) in drawn(page, own, "x")] == places


def test_one_person_has_neither_card_nor_lane(page):
    draw(page, prediction(60.0))
    assert page.locator("article, .persona-lane, button").count() == 0


def test_one_window_has_no_timeline_and_two_have(page):
    assert "Over time" not in draw(page, prediction())
    draw(page, prediction(60.0))
    assert page.get_by_label("happy over time, at most 60%").count() == 1


def test_the_timeline_is_coloured_where_somebody_speaks_and_nowhere_else(page):
    draw(page, prediction(60.0))
    happy = drawn(page, "[aria-label^='happy'] rect[opacity='0.6']", "x", "width")
    assert happy == [("0", "250"), ("750", "250")]


@pytest.mark.parametrize("seconds", [0.5, 2.0, 60.0])
def test_the_waveform_is_as_high_as_the_recording(page, seconds):
    draw(page, prediction(seconds))
    ((wave,),) = drawn(page, "polygon", "points")
    points = np.array([[float(x) for x in point.split(",")] for point in str(wave).split(" ")])
    assert points[:, 1].min() == -1 and points[:, 1].max() == 0.5
    assert points[:, 0].min() == 0 and points[:, 0].max() == 1000


def event(at: float, *turns: dict, people: int = 1, gone: tuple = ()) -> dict:
    """What `live.Event.to_dict` gives while somebody speaks."""
    known = [prediction().to_dict()["people"][0] for _ in range(people)]
    return {"at": at, "speaking": True, "people": known, "turns": [*turns], "gone": [*gone]}


def turn(start: float, end: float, emotion: str, number: int = 1, **other) -> dict:
    shares = {name: 0.1 for name in EMOTIONS} | {emotion: 0.5}
    told = {"start": start, "end": end, "emotion": shares, "trust": 0.5, "person": number}
    return {**told, "closed": False, "corrected": False, **other}


def speaking(page: Page, *events: dict) -> None:
    """Show what was told while somebody spoke."""
    page.evaluate(
        """(events) => {
            window.told = whileSpeaking(60);
            document.body.replaceChildren(told.shown);
            for (const event of events) told.show(event);
        }""",
        list(events),
    )


def spoken(page: Page) -> str:
    return page.locator("[role=status]").inner_text()


class TestWhileOneSpeaks:
    def test_an_open_turn_is_hatched_and_not_said_aloud_until_it_is_over(self, page):
        speaking(page, event(1.0, turn(0.4, 1.0, "fear")))
        assert page.locator(".persona-open").inner_text() == "fear"
        assert spoken(page) == ""
        speaking(page, event(1.0, turn(0.4, 1.0, "fear")),
                 event(3.5, turn(0.4, 1.2, "sad", closed=True)))  # fmt: skip
        assert page.locator(".persona-open").count() == 0
        assert spoken(page) == "Person 1, 0.4 to 1.2 s: sad."

    def test_a_correction_is_marked_and_named_if_what_is_shown_changes(self, page):
        over = turn(0.4, 1.2, "sad", closed=True)
        surer = turn(0.4, 1.3, "sad", closed=True, corrected=True, trust=0.6)
        speaking(page, event(3.5, over), event(4.0, surer))
        assert page.locator(".persona-corrected").count() == 0
        other = turn(0.4, 1.2, "happy", closed=True, corrected=True)
        speaking(page, event(3.5, over), event(4.0, other), event(4.5))
        assert page.locator(".persona-corrected").inner_text() == "happy"
        assert spoken(page) == "Corrected: Person 1, 0.4 to 1.2 s: happy."
        assert page.get_by_text("Corrected: Person 1, 0.4 to 1.2 s: happy.").count() == 2

    def test_each_person_has_a_lane_that_grows_and_what_is_gone_goes(self, page):
        first, second = turn(0.4, 2.0, "sad"), turn(5.0, 20.0, "anger", 2)
        speaking(page, event(5.0, first), event(20.0, second, people=2))
        assert page.locator(".persona-turn").all_inner_texts() == ["sad", "anger"]
        width = page.locator(".persona-turn").nth(1).evaluate("turn => turn.style.width")
        assert width == "75%"
        assert page.locator("article").count() == 2
        speaking(page, event(5.0, first), event(20.0, second, gone=(0.4,)))
        assert page.locator(".persona-turn").count() == 0

    def test_a_slow_device_says_how_old_what_it_shows_is(self, page):
        speaking(page, event(2.0, turn(0.4, 2.0, "sad")))
        page.evaluate("told.heard(4)")
        assert page.get_by_text("Recording, 4 of at most 60 s", exact=True).count() == 1
        page.evaluate("told.heard(5.5)")
        assert page.get_by_text("what is shown is 4 s old, the recording is whole").count() == 1

    def test_the_end_says_how_many_turns_it_corrects(self, page):
        speaking(page, event(3.5, turn(0.4, 1.2, "sad"), turn(3.0, 3.5, "fear")))
        people = [{"turns": [turn(0.5, 1.1, "sad"), turn(4.0, 5.0, "fear")]}]
        assert page.evaluate("(people) => told.otherwise(people)", people) == (
            " Of the 2 turns shown meanwhile, 1 was corrected."
        )
        people[0]["turns"].append(turn(3.0, 3.5, "fear"))
        assert page.evaluate("(people) => told.otherwise(people)", people) == ""

    def test_the_end_says_so_of_a_single_turn(self, page):
        speaking(page, event(3.5, turn(0.4, 1.2, "sad")))
        people = [{"turns": [turn(0.4, 1.2, "fear")]}]
        assert page.evaluate("(people) => told.otherwise(people)", people) == (
            " The turn shown meanwhile was corrected."
        )

    def test_what_a_model_does_not_answer_has_no_place(self, page):
        told = event(1.0, turn(0.4, 1.0, "sad") | {"emotion": None, "trust": None})
        told["people"][0] |= {"emotion": None, "trust": None, "gender": None}
        speaking(page, told)
        text = page.locator("body").inner_text()
        assert "years" in text and "undefined" not in text and "Gender" not in text
        assert "Emotion" not in text
