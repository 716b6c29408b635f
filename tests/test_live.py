"""While somebody speaks: provisional answers, corrected later, and at the end those of the file."""

import tracemalloc
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from persona import Predictor, audio
from persona.audio import RATE, speech
from persona.errors import AudioError, PersonaError
from persona.model import live

LISTENING = sorted((Path(__file__).resolve().parents[1] / "data" / "listening").glob("*.flac"))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load()


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Three people, a sentence each, with pauses of two and a half seconds; 16 kHz."""
    pause = np.zeros(round(2.5 * RATE), np.float32)
    clips = [audio.read(file).samples for file in LISTENING[:3]]
    return np.concatenate([part for clip in clips for part in (clip, pause)])


@pytest.fixture(scope="module")
def told(predictor, talk) -> list[live.Event]:
    return list(predictor.stream(np.array_split(talk, 50), RATE))


def turns(events: list[live.Event]) -> dict[float, live.Told]:
    """What a client knows after these events: it keeps what is told and drops what is gone."""
    known: dict[float, live.Told] = {}
    for event in events:
        for start in event.gone:
            del known[start]
        known |= {told.turn.start: told for told in event.turns}
    return known


def test_there_is_an_event_for_every_half_second_and_one_at_the_end(told, talk):
    assert [event.at for event in told[:-2]] == pytest.approx(
        np.arange(1, len(told) - 1) * live.STEP
    )
    assert told[-1].at == told[-2].at == pytest.approx(len(talk) / RATE)
    assert [event.prediction is not None for event in told] == [False] * (len(told) - 1) + [True]


def test_the_last_is_the_prediction_of_the_same_samples(told, predictor, talk):
    assert told[-1].prediction == predictor.predict((talk, RATE))


@pytest.mark.parametrize("rate, kind", [(48_000, "int16"), (44_100, "float32")])
def test_digits_are_equal_at_any_rate_type_and_size_of_block(predictor, talk, rate, kind):
    place = np.arange(0, len(talk) / RATE, 1 / rate) * RATE
    samples = np.interp(place, np.arange(len(talk)), talk)[: 4 * rate]
    samples = (samples * 32767).astype(kind) if kind == "int16" else samples.astype(kind)
    blocks = [samples[start : start + 4097] for start in range(0, len(samples), 4097)]
    *_, last = predictor.stream(blocks, rate)
    assert last.prediction == predictor.predict((samples, rate))


def test_somebody_speaks_from_when_they_are_heard_until_they_pause(told):
    speaking = [event.at for event in told if event.speaking]
    assert speaking and speaking[0] < 2.0
    assert not told[-2].speaking and not told[-1].speaking


def test_an_answer_is_there_before_the_first_sentence_ends(told):
    first = next(event for event in told if event.people)
    assert first.at < 2.5
    assert first.people[0].age is not None and sum(first.people[0].emotion.values()) > 0.99
    assert not first.turns[0].closed


def test_pauses_close_turns(told):
    before_the_end = turns(told[:-1])
    assert len(before_the_end) >= 2 and all(one.closed for one in before_the_end.values())


def test_a_client_that_follows_ends_with_the_turns_of_the_prediction(told):
    people = told[-1].prediction.people
    wanted = {t.start: (t, n) for n, person in enumerate(people) for t in person.turns}
    assert {at: (one.turn, one.person) for at, one in turns(told).items()} == wanted
    assert [person.seconds for person in told[-1].people] == [p.seconds for p in people]


def test_what_was_told_as_closed_and_changes_is_marked_as_a_correction(told):
    closed = set()
    for event in told:
        for one in event.turns:
            assert one.corrected == (one.turn.start in closed)
        closed = {start for start in closed if start not in event.gone}
        closed |= {one.turn.start for one in event.turns if one.closed}


def test_windows_that_are_sure_take_the_place_of_early_ones(predictor, talk, monkeypatch):
    """Here after twelve seconds in place of two minutes."""
    monkeypatch.setattr(speech, "STRETCH", 12)
    *early, last = predictor.stream([talk], RATE)
    assert last.prediction == predictor.predict((talk, RATE))
    assert set(turns([*early, last])) == {
        turn.start for person in last.prediction.people for turn in person.turns
    }


def test_memory_does_not_grow_with_the_audio(predictor, monkeypatch):
    """Searched twenty seconds at a time in place of two minutes."""
    monkeypatch.setattr(speech, "STRETCH", 20)
    minutes, clip = 12, audio.read(LISTENING[0]).samples
    blocks = chain([clip], repeat(np.zeros(RATE, np.float32), 60 * minutes))
    tracemalloc.start()
    for _ in predictor.stream(blocks, RATE):
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < clip.itemsize * 60 * minutes * RATE


def test_who_wants_no_more_ends_it(predictor, talk):
    def endless():
        while True:
            yield talk

    events = predictor.stream(endless(), RATE)
    next(events)
    events.close()


def test_an_event_is_plain_values(told):
    shown = told[-1].to_dict()
    assert shown["prediction"]["schema"] and "turns" not in shown["people"][0]
    everyone = [turn["person"] for event in told for turn in event.to_dict()["turns"]]
    assert min(everyone) == 1
    assert {"start", "end", "person", "closed", "corrected", "emotion"} <= set(
        told[-1].to_dict()["turns"][0] if shown["turns"] else told[3].to_dict()["turns"][0]
    )


@pytest.mark.parametrize(
    "blocks, sentence",
    [
        ([np.zeros((4, 2), np.float32)], "give blocks of one channel"),
        ([np.zeros(4, np.float32), np.zeros(4, np.int16)], "give blocks of one channel"),
        ([np.array([0.0, np.nan])], "holds NaN or infinite samples"),
        ([np.array([0.0, 30000.0])], "neither full scale|samples up to"),
        ([["loud"]], "give floats of full scale"),
        ([], "is only 0 ms long"),
        ([np.zeros(RATE, np.float32)], "is silent"),
        ([0.1 * np.sin(np.arange(2 * RATE)).astype(np.float32)], "no speech was found"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(predictor, blocks, sentence):
    with pytest.raises(AudioError, match=sentence) as refused:
        list(predictor.stream(blocks, RATE))
    assert "\n" not in str(refused.value)


def test_limits_and_arguments_are_those_of_a_prediction(predictor, talk):
    with pytest.raises(AudioError, match="longer than the limit of 3 s"):
        list(predictor.stream([talk] * 100, RATE, max_seconds=3))
    with pytest.raises(PersonaError, match="no probability"):
        predictor.stream([talk], RATE, at_least=2)
    with pytest.raises(PersonaError, match="no number of people"):
        predictor.stream([talk], RATE, people=0)
    with pytest.raises(AudioError, match="no sampling rate"):
        list(predictor.stream([talk], 0))
