"""Views of clips as people speak, and sums of what is answered to them."""

import numpy as np
import pandas as pd
import pytest

from persona.audio import RATE
from persona.study import as_it_is

SPOKEN = np.array([[0.5, 1.5]])


def clip() -> np.ndarray:
    """A second of sound amid a faint room, quiet in its middle."""
    rng = np.random.default_rng(0)
    samples = 0.001 * rng.standard_normal(2 * RATE)
    samples[RATE // 2 : 3 * RATE // 2] += 0.1 * rng.standard_normal(RATE)
    samples[RATE - 1600 : RATE + 1600] *= 0.01
    return samples.astype(np.float32)


def answers(**columns) -> pd.DataFrame:
    given = {
        "corpus": "toy", "condition": "whole", "same": True, "confidence": 0.75, "seconds": 2.5
    }  # fmt: skip
    return pd.DataFrame(given | columns)


def test_a_pause_is_as_loud_as_the_room_around_the_speech():
    pause = as_it_is.silence(clip(), SPOKEN, 1.3, np.random.default_rng(0))
    assert len(pause) == round(1.3 * RATE)
    assert pause.std() == pytest.approx(0.001, rel=0.1)


def test_where_nothing_is_around_the_speech_a_pause_is_faint_noise():
    samples = clip()
    pause = as_it_is.silence(samples, np.array([[0.0, 2.0]]), 1.0, np.random.default_rng(0))
    level = np.sqrt(np.mean(samples**2))
    assert 20 * np.log10(pause.std() / level) == pytest.approx(-50, abs=1)


def test_a_pause_is_put_at_the_quietest_place_in_the_middle_and_nothing_is_lost():
    samples, pause = clip(), np.zeros(RATE, np.float32)
    paused = as_it_is.paused(samples, SPOKEN, pause)
    [(start, end)] = _zeros(paused)
    assert end - start == RATE and abs(start / RATE - 1) <= 0.1
    assert (np.delete(paused, slice(start, end)) == samples).all()


def _zeros(samples: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.r_[0, samples == 0, 0].astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_phrases_are_joined_with_a_pause_before_each_but_the_first():
    one, two, three = (np.full(2, n) for n in (1, 2, 3))
    assert as_it_is.in_a_row([one, two, three]).tolist() == [1, 1, 2, 2, 3, 3]
    pauses = [np.zeros(1), np.zeros(3)]
    paused = as_it_is.in_a_row([one, two, three], pauses)
    assert paused.tolist() == [1, 1, 0, 2, 2, 0, 0, 0, 3, 3]


def test_answers_are_counted_by_speaker_and_length_and_none_is_lost():
    told = answers(
        speaker=["a", "a", "a", "b"], true="anger", called=["anger", "anger", "sad", "anger"],
        seconds=[2.1, 2.9, 0.2, 30.0], confidence=[0.71, 0.79, 0.5, 1.0],
    )  # fmt: skip
    summed = as_it_is.sums(told)
    assert summed["n"].sum() == len(told)
    assert summed["confidence"].sum() == pytest.approx(told["confidence"].sum())
    first = summed[(summed["speaker"] == "a") & (summed["seconds"] == 2.0)]
    assert first["n"].tolist() == [2] and first["bin"].tolist() == [7]
    assert summed["seconds"].max() == 10.0 and summed["bin"].max() == 9


def test_a_share_counts_answers_and_its_interval_is_over_speakers():
    told = answers(speaker=list("aaab"), true="sad", called=["sad", "sad", "sad", "fear"])
    value, low, high = as_it_is.accuracy(as_it_is.sums(told))
    assert value == 0.75
    assert low == 0 and high == 1  # of two speakers, one is always right and one never


def test_recall_counts_emotions_alike():
    told = answers(
        speaker="a", true=["sad", "sad", "sad", "fear"], called=["sad", "sad", "sad", "sad"]
    )
    assert as_it_is.recall(as_it_is.sums(told)) == 0.5


def test_the_calibration_error_is_that_of_the_package():
    from persona import calibration

    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 200)
    labels, names = rng.integers(0, 3, 200), np.array(["anger", "fear", "sad"])
    told = answers(
        speaker=rng.integers(0, 5, 200).astype(str), true=names[labels],
        called=names[p.argmax(axis=1)], confidence=p.max(axis=1),
    )  # fmt: skip
    counts = calibration.binned(p, labels, np.zeros(200, int))
    expected = calibration.expected_error(counts, np.ones((1, 1)))[0]
    assert as_it_is.calibration_error(as_it_is.sums(told)) == pytest.approx(expected)
