"""Turns as files of labels, read back by what others read them with."""

import io
from dataclasses import replace

import made_prediction
import numpy as np
import pytest
import webvtt
from praatio import textgrid
from pyannote.core import Segment
from pyannote.database.util import load_rttm

from persona.cli import labels

FIRST, SECOND = [(0.0, 2.5), (7.5, 10.0)], [(3.0, 7.0)]


@pytest.fixture
def two():
    """Ten seconds of which the first person says the first and the last quarter."""
    spans = np.array([*FIRST, *SECOND])[[0, 2, 1]]
    made = made_prediction.prediction(10.0, speech=spans)
    line = replace(
        made.timeline, starts=spans[:, 0], ends=spans[:, 1], weights=np.diff(spans)[:, 0],
        person=np.array([0, 1, 0]),
        **{task: np.repeat(getattr(made.timeline, task)[:1], 3, axis=0)
           for task in ("emotion", "gender", "age")},
    )  # fmt: skip
    fields = vars(made)
    people = (
        made_prediction.person(fields, FIRST, 0.55), made_prediction.person(fields, SECOND, 0.45)
    )  # fmt: skip
    return replace(made, timeline=line, people=people)


def test_rttm_has_a_segment_for_each_piece_of_speech(two, tmp_path):
    (tmp_path / "talk.rttm").write_text(labels.rttm(two, "a talk"))
    ((name, told),) = load_rttm(tmp_path / "talk.rttm").items()
    assert name == "a_talk"
    assert [*told.itertracks(yield_label=True)] == [
        (Segment(0, 2.5), 0, "person_1"), (Segment(3, 7), 1, "person_2"),
        (Segment(7.5, 10), 2, "person_1"),
    ]  # fmt: skip


SAID = [
    ("00:00:00.000", "00:00:02.500", "Person 1", "happy 60%"),
    ("00:00:03.000", "00:00:07.000", "Person 2", "happy 60%"),
    ("00:00:07.500", "00:00:10.000", "Person 1", "happy 60%"),
]


def test_srt_has_a_subtitle_for_each_turn(two):
    text = labels.srt(two, "")
    found = webvtt.from_buffer(io.StringIO(text), "srt")
    assert [(cue.start, cue.end, cue.text) for cue in found] == [
        (start, end, f"{person}: {feeling}") for start, end, person, feeling in SAID
    ]
    assert [cue.split("\n")[0] for cue in text.split("\n\n")[:-1]] == ["1", "2", "3"]


def test_times_of_over_an_hour_are_whole(two):
    turn = replace(two.people[0].turns[0], start=3_661.9996, end=36_000.0)
    late = replace(two, people=(replace(two.people[0], turns=(turn,)),))
    assert "01:01:02,000 --> 10:00:00,000" in labels.srt(late, "")


def test_vtt_has_a_cue_with_its_voice_for_each_turn(two):
    found = webvtt.from_string(labels.vtt(two, ""))
    assert [(cue.start, cue.end, cue.voice, cue.text) for cue in found] == SAID


def test_audacity_takes_start_end_and_label_by_tabs(two):
    found = [line.split("\t") for line in labels.audacity(two, "").splitlines()]
    assert [(float(a), float(b), label[:8]) for a, b, label in found] == [
        (0, 2.5, "Person 1"), (3, 7, "Person 2"), (7.5, 10, "Person 1"),
    ]  # fmt: skip


def grid(predicted, tmp_path) -> textgrid.Textgrid:
    (tmp_path / "talk.TextGrid").write_text(labels.WRITERS["textgrid"][1](predicted, ""))
    return textgrid.openTextgrid(str(tmp_path / "talk.TextGrid"), includeEmptyIntervals=False)


def test_a_textgrid_has_a_tier_for_each_person_where_several_speak(two, tmp_path):
    found = grid(two, tmp_path)
    assert found.tierNames == ("emotion", "gender", "age", "speech", "person 1", "person 2")
    assert (found.minTimestamp, found.maxTimestamp) == (0, 10)
    for number, spans in enumerate((FIRST, SECOND), start=1):
        told = found.getTier(f"person {number}").entries
        assert [(one.start, one.end, one.label) for one in told] == [
            (start, end, "happy 60%") for start, end in spans
        ]
    assert "person 1" not in grid(made_prediction.prediction(10.0), tmp_path).tierNames


def test_an_emotion_that_is_not_named_or_not_answered_is_not_shown(two):
    turn = two.people[0].turns[0]
    for changed, wanted in (
        (replace(turn, emotion=None), "Person 1: not named"),
        (replace(turn, emotion=None, trust=None), "Person 1"),
    ):
        one = replace(two, people=(replace(two.people[0], turns=(changed,)),))
        assert labels.audacity(one, "").split("\t")[2].strip() == wanted
