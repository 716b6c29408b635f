"""Turns as files of labels, read back by what others would read them with, or by hand."""

import re
from dataclasses import replace

import made_prediction
import numpy as np
import pytest

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


def test_rttm_has_a_line_for_each_piece_of_speech(two):
    found = [line.split() for line in labels.rttm(two, "a talk").splitlines()]
    assert all(line[:3] == ["SPEAKER", "a_talk", "1"] and len(line) == 10 for line in found)
    told = [(float(line[3]), float(line[4]), line[7]) for line in found]
    assert told == [(0, 2.5, "person_1"), (3, 4, "person_2"), (7.5, 2.5, "person_1")]


def test_srt_has_a_numbered_subtitle_for_each_turn(two):
    found = re.findall(r"(\d+)\n(\S+) --> (\S+)\n(.+)\n\n", labels.srt(two, ""))
    assert found == [
        ("1", "00:00:00,000", "00:00:02,500", "Person 1: happy 60%"),
        ("2", "00:00:03,000", "00:00:07,000", "Person 2: happy 60%"),
        ("3", "00:00:07,500", "00:00:10,000", "Person 1: happy 60%"),
    ]


def test_times_of_over_an_hour_are_whole(two):
    turn = replace(two.people[0].turns[0], start=3_661.9996, end=36_000.0)
    late = replace(two, people=(replace(two.people[0], turns=(turn,)),))
    assert "01:01:02,000 --> 10:00:00,000" in labels.srt(late, "")


def test_vtt_is_a_header_and_cues_with_their_voice(two):
    header, *cues = labels.vtt(two, "").split("\n\n")
    assert header == "WEBVTT" and len(cues) == 3
    assert cues[1].splitlines() == ["00:00:03.000 --> 00:00:07.000", "<v Person 2>happy 60%"]


def test_audacity_takes_start_end_and_label_by_tabs(two):
    found = [line.split("\t") for line in labels.audacity(two, "").splitlines()]
    assert [(float(a), float(b), label[:8]) for a, b, label in found] == [
        (0, 2.5, "Person 1"), (3, 7, "Person 2"), (7.5, 10, "Person 1"),
    ]  # fmt: skip


def test_a_textgrid_has_a_tier_for_each_person_where_several_speak(two):
    text = labels.WRITERS["textgrid"][1](two, "")
    assert re.findall(r'name = "(.+)"', text)[4:] == ["person 1", "person 2"]
    alone = made_prediction.prediction(10.0)
    assert "person" not in labels.WRITERS["textgrid"][1](alone, "")


def test_an_emotion_that_is_not_named_or_not_answered_is_not_shown(two):
    turn = two.people[0].turns[0]
    for changed, wanted in (
        (replace(turn, emotion=None), "Person 1: not named"),
        (replace(turn, emotion=None, trust=None), "Person 1"),
    ):
        one = replace(two, people=(replace(two.people[0], turns=(changed,)),))
        assert labels.audacity(one, "").split("\t")[2].strip() == wanted
