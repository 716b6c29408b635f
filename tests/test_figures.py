"""Figures show what they are given, in one style, with one legend."""

import io
import re
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from persona import calibration
from persona.audio import RATE
from persona.evaluation import Sums
from persona.labels import EMOTIONS, TASKS
from persona.network import Network
from persona.own import style
from persona.own.style import look
from persona.study import compare, figures, figures_data

SPEAKERS = np.arange(8).astype(str)


def sums(emotion: float, gender: float = 0.9, error: float = 8.0) -> Sums:
    """Every speaker has 60 clips, an emotion and gender accuracy, and ages off by `error`."""
    confusion = np.zeros((1, 8, 6, 6))
    for label in range(6):
        confusion[:, :, label, label] = 10 * emotion
        confusion[:, :, label, (label + 1) % 6] = 10 * (1 - emotion)
    genders = np.zeros((1, 8, 2, 2))
    genders[..., 0, 0] = genders[..., 1, 1] = 30 * gender
    genders[..., 0, 1] = genders[..., 1, 0] = 30 * (1 - gender)
    n, t = 60, 20 + 5.0 * np.arange(8)
    p = t + error
    moments = [n * np.ones(8), n * t, n * p, n * t * t, n * p * p, n * t * p, n * abs(p - t)]
    return Sums(confusion, genders, np.stack(moments, axis=-1)[None], SPEAKERS)


@pytest.fixture(autouse=True)
def every_figure_says_what_it_shows(monkeypatch):
    """Each that a test draws has a finding, with a number, which a notebook keeps."""
    drawn = []
    style = figures.subplots

    def remembering(*sizes):
        figure, axes = style(*sizes)
        drawn.append(figure)
        return figure, axes

    for module in (figures, figures_data):
        monkeypatch.setattr(module, "subplots", remembering)
    yield
    for figure in drawn:
        assert re.search(r"\d", figure.finding) and figure.finding.endswith(".")
        assert "  " not in figure.finding and "nan" not in figure.finding


def labels(figure) -> list[str]:
    [legend] = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def title(axis) -> str:
    return axis.get_title(loc="left")


def drawn(axis, label: str) -> list[tuple[float, float, str]]:
    """x, y and fill of every marker with a label."""
    return [
        (*line.get_xydata()[0], line.get_fillstyle())
        for line in axis.lines
        if line.get_label() == label
    ]


ROWS = {
    "MFCC, FCN": {"random-clip": sums(0.54), "speaker-disjoint": sums(0.44, error=14)},
    "x-vector, FCN": {},
}


class TestIntervals:
    def test_say_which_row_is_least_and_which_is_most(self):
        rows = {"MFCC, FCN": {"random-clip": sums(0.54)}, "d-vector": {"random-clip": sums(0.6)}}
        said = figures.intervals(rows, sums(0.17), measures=["emotion_accuracy"]).finding
        assert said == (
            "emotion, %: random clips 54.0 (MFCC, FCN) to 60.0 (d-vector); ignoring the voice 17.0."
        )

    def test_draw_a_row_per_label_and_a_panel_per_measure(self):
        figure = figures.intervals(ROWS)
        assert [title(axis) for axis in figure.axes] == [
            "emotion, %", "gender, %", "age RMSE, years",
        ]  # fmt: skip
        shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert shown == ["MFCC, FCN", "x-vector, FCN"]
        assert not any(text.get_text() for text in figure.axes[1].get_yticklabels())

    def test_place_each_series_at_its_value_in_its_own_look(self):
        figure = figures.intervals(ROWS)
        [(x, y, _)] = drawn(figure.axes[0], "random clips")
        assert x == pytest.approx(54) and -0.5 < y < 0.5
        [line] = [x for x in figure.axes[2].lines if x.get_label() == "unseen speakers"]
        assert line.get_xdata()[0] == pytest.approx(14)
        assert line.get_marker() == look("speaker-disjoint").marker

    def test_show_what_others_report_and_what_ignoring_the_voice_gives(self):
        quoted = {"x-vector, FCN": {"emotion_accuracy": 0.6412}}
        figure = figures.intervals(ROWS, sums(0.17), quoted)
        assert drawn(figure.axes[0], "paper") == [(pytest.approx(64.12), 1, "none")]
        assert not drawn(figure.axes[1], "paper")
        assert drawn(figure.axes[0], "ignores the voice")[0][0] == pytest.approx(17)
        assert set(labels(figure)) == {
            "random clips", "unseen speakers", "paper", "ignores the voice",
        }  # fmt: skip

    def test_keep_labels_that_are_no_code_names(self):
        figure = figures.intervals({"CAM++": {"CAM++": sums(0.5)}, "mfcc": {"CAM++": sums(0.5)}})
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["CAM++", "MFCC"]
        assert labels(figure) == ["CAM++"]


def test_a_difference_beyond_chance_is_filled():
    table = compare({("a", "b"): (sums(0.5), sums(0.4))}, ["emotion_accuracy"])
    table.loc[:, "clear"] = [True]
    figure = figures.differences(table)
    assert drawn(figure.axes[0], "significant") == [(pytest.approx(10), 0, "full")]
    assert title(figure.axes[0]) == "emotion: difference, points"
    figure = figures.differences(table.assign(clear=False))
    assert drawn(figure.axes[0], "not significant")[0][2] == "none"


def test_groups_of_another_attribute_are_set_apart():
    rows = [("emotion", "sad", 40, True), ("emotion", "fear", 50, False), ("gender", "male", 45, 0)]
    table = pd.DataFrame(
        [(a, g, "emotion", v, v - 5, v + 5, bool(c)) for a, g, v, c in rows],
        columns=["attribute", "group", "task", "value", "low", "high", "clear"],
    )
    figure = figures.groups(table, {"emotion": "errors, %"})
    one, two, three = figure.axes[0].get_yticks()
    assert three - two > two - one
    assert labels(figure) == ["significant", "not significant"]


def test_a_notebook_keeps_the_finding_with_the_picture():
    figure = figures.confusion({"": np.eye(6) * 3 + np.eye(6)[::-1]}, EMOTIONS)
    assert "right in per cent, 75" in figure.finding
    figure.suptitle("Mostly right")
    shown, about = DisplayFormatter().format(figure)
    assert b64decode(shown["image/png"]).startswith(b"\x89PNG")
    assert about["image/png"]["alt"] == f"Mostly right. {figure.finding}"


def test_without_a_finding_the_text_is_read_from_lines_and_bars():
    figure, [[left, right, last]] = style.subplots(1, 3, 9, 3)
    left.plot([1, 2, 3], [5, 9, 7], label="longer")
    left.errorbar([1, 2], [1.25, 4], [0.1, 0.1], label="shorter")
    left.axhline(3, label="ignores the voice")
    left.set(xlabel="seconds", ylabel="years")
    right.barh(["before", "now"], [40, 92.5], label="neutral")
    right.set(title="readers")
    last.plot([1, 2], [8, 2])
    _, about = DisplayFormatter().format(figure)
    assert about["image/png"]["alt"] == (
        "years over seconds: longer 5 at first, 7 at the end, most 9; "
        "ignores the voice 3; shorter 1.25 at first, 4 at the end. "
        "readers: neutral before 40, now 92.5. 8 at first, 2 at the end."
    )


def test_confusions_are_in_per_cent_of_the_row():
    counts = np.eye(6) * 3 + 1
    figure = figures.confusion({"one": counts, "two": counts}, EMOTIONS)
    assert len(figure.axes) == 2
    assert figure.axes[0].texts[0].get_text() == "44"
    wide = np.ones((6, 7))
    figure = figures.confusion({"": wide}, EMOTIONS, columns=[*EMOTIONS, "undecided"])
    assert figure.axes[0].get_xticklabels()[-1].get_text() == "undecided"


def test_learning_curves_have_a_panel_per_task_and_a_line_per_part():
    history = pd.DataFrame(
        [(e, part, task, 1 / e) for e in (1, 2) for part in ("training", "validation")
         for task in TASKS],
        columns=["epoch", "part", "task", "loss"],
    )  # fmt: skip
    figure = figures.learning_curves(history, "MFCC")
    assert [title(axis) for axis in figure.axes] == list(TASKS)
    assert labels(figure) == ["training", "validation"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [1, 0.5])


def test_curves_are_sorted_by_amount():
    series = {"10 speakers": {400: sums(0.5), 100: sums(0.4)}, "20 speakers": {200: sums(0.45)}}
    figure = figures.curves(series, "training clips", sums(0.17))
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata(), [[100, 40], [400, 50]])
    assert labels(figure) == ["10 speakers", "20 speakers", "ignores the voice"]


def test_reliability_has_a_panel_per_task_and_a_line_per_state():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(6), 200)
    counts = calibration.binned(probabilities, rng.integers(6, size=200), np.zeros(200, int))
    curve = calibration.reliability(counts)
    figure = figures.reliability({"emotion": {"as trained": curve, "calibrated": curve}})
    assert labels(figure) == ["as trained", "calibrated"]
    assert title(figure.axes[0]) == "emotion"


def test_ages_are_a_dot_per_speaker():
    figure = figures.age_scatter({"unseen speakers": sums(0.5, error=4)})
    dots = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(dots, [[age, age + 4] for age in 20 + 5.0 * np.arange(8)])


def test_shares_have_a_bar_per_representation_and_factor():
    table = pd.DataFrame({"speaker": [30, 20], "emotion": [5, 9]}, index=["mfcc", "dvector"])
    figure = figures.shares(table)
    assert [bar.get_height() for bar in figure.axes[0].containers[0]] == [30, 20]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["MFCC", "d-vector"]


def test_bars_have_their_per_cent_behind_them_and_how_sure_it_is():
    figure = figures.bars({"a guess": [0.171], "a listener": [0.4, 0.38, 0.421]}, "right, %")
    assert [text.get_text() for text in figure.axes[0].texts] == ["17", "40 (38 to 42)"]
    assert figure.finding == "right, %: a guess 17; a listener 40 (38 to 42)."


CLIPS = pd.DataFrame(
    {
        "speaker": np.repeat([1, 2, 3], 6),
        "gender": np.repeat(["female", "male", "male"], 6),
        "age": np.repeat([21, 34, 70], 6),
        "emotion": list(EMOTIONS) * 3,
    }
)


def test_speakers_are_counted_once():
    figure = figures_data.speakers(CLIPS)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(h for h in heights if h > 0) == 1 and sum(h for h in heights if h < 0) == -2
    assert labels(figure) == ["female, 1 speakers", "male, 2 speakers"]


def test_maps_have_titles_names_and_a_legend():
    points = np.random.default_rng(0).normal(size=(2, len(CLIPS), 2))
    figure = figures_data.maps({"mfcc": points[0], "dvector": points[1]}, CLIPS)
    titles = [title(axis) for axis in figure.axes]
    assert titles[:4] == ["emotion", "gender", "age", "speaker"] and not any(titles[4:])
    assert [figure.axes[i].get_ylabel() for i in (0, 4)] == ["MFCC", "d-vector"]
    assert labels(figure) == [*EMOTIONS, "female", "male"]


def test_maps_of_several_representations_leave_a_page_under_its_limit():
    clips = pd.concat([CLIPS] * 50, ignore_index=True)  # as many as twelve speakers have
    points = np.random.default_rng(0).normal(size=(len(clips), 2))
    figure = figures_data.maps({"mfcc": points}, clips)
    with io.BytesIO() as png:
        figure.savefig(png, dpi=figure.dpi)
        assert len(png.getvalue()) < 200_000


def test_a_waveform_is_drawn_over_seconds_with_its_speech():
    figure = figures_data.waveform(np.zeros(RATE), np.array([[0.2, 0.5], [0.6, 0.9]]))
    assert figure.axes[0].get_xlim() == (0, 1)
    assert len(figure.axes[0].patches) == 2 and labels(figure) == ["speech"]
    assert not figures_data.waveform(np.zeros(RATE)).legends


def test_a_spectrogram_reaches_from_zero_to_eight_kilohertz():
    power = np.ones((201, 100))
    power[:, 0] = 0
    image = figures_data.spectrogram(power).axes[0].images[0]
    assert image.get_extent() == [0, 1, 0, 8]
    assert image.get_array().min() == -80 and image.get_array().max() == 0


def test_frames_stand_one_above_the_other():
    figure = figures_data.frames({"filterbank": np.ones((64, 50)), "MFCC": np.ones((40, 50))})
    assert [title(axis) for axis in figure.axes[:2]] == ["filterbank", "MFCC"]
    assert figure.axes[0].images[0].get_extent() == [0, 0.5, 0, 64]


def test_an_embedding_is_drawn_in_its_parts():
    figure = figures_data.embedding(np.arange(4.0), {"mean": 2, "deviation": 2})
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0, 1, 2, 3]
    assert labels(figure) == ["mean", "deviation"]


class TestTheNetworkDrawn:
    def texts(self, architecture):
        model = Network(80, architecture)
        [axis] = figures_data.network(model).axes
        return [text.get_text() for text in axis.texts if text.get_text()]

    def test_has_a_box_for_every_layer_with_weights_and_its_shape(self):
        assert self.texts("fcn") == [
            "embedding, standardised: 80", "fully connected, ReLU: 200",
            "fully connected, ReLU: 128", "fully connected, ReLU: 56",
            "emotion: 6", "gender: 2", "age: 1",
        ]  # fmt: skip

    def test_names_convolutions_with_channels_and_places(self):
        assert self.texts("cnn")[1:3] == [
            "convolution, max-pooling, ReLU: 8 x 40",
            "convolution, max-pooling, ReLU: 16 x 20",
        ]
