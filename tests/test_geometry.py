"""What a representation puts near what."""

import numpy as np
import pandas as pd
import pytest

from persona.study import geometry


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    """20 speakers, each with ten clips in either of two emotions."""
    speaker = np.repeat(np.arange(20), 20)
    frame = pd.DataFrame({"speaker": speaker, "emotion": np.tile(["anger", "sad"], 200)})
    frame["gender"] = np.where(speaker % 2, "female", "male")
    return frame.assign(sentence=np.tile(np.repeat(["DFA", "IEO"], 2), 100))


@pytest.fixture(scope="module")
def by_speaker(clips) -> np.ndarray:
    """Vectors that depend on who speaks and on nothing else but a little noise."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 8))[clips["speaker"]] + 0.01 * rng.normal(size=(400, 8))


def test_a_dimension_that_does_not_vary_counts_for_nothing():
    values = geometry.standardised(np.array([[1.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(values, [[-1, 0], [1, 0]])


class TestSharesOfVariance:
    def test_are_all_the_speakers_where_only_they_differ(self, by_speaker, clips):
        shares = geometry.variance_shares(by_speaker, clips)
        assert shares["speaker"] > 99 and shares["emotion"] < 1 and shares["sentence"] < 1

    def test_are_all_the_emotions_where_only_they_differ(self, clips):
        anger = (clips["emotion"] == "anger").to_numpy(float)
        shares = geometry.variance_shares(np.stack([anger, -anger], axis=1), clips)
        assert shares["emotion"] == pytest.approx(100) and shares["speaker"] == pytest.approx(0)


class TestDistances:
    def test_are_small_between_clips_of_one_speaker(self, by_speaker, clips):
        near = geometry.distances(by_speaker, clips, pairs=100)
        assert near["same speaker and emotion"] < 0.01
        assert near["same speaker only"] < 0.01
        assert near["neither"] > 0.5

    def test_hold_for_clips_whose_vectors_are_zero(self, clips):
        assert np.isfinite(geometry.distances(np.zeros((400, 8)), clips, pairs=10)).all()


def test_a_map_keeps_the_clips_of_a_speaker_together(by_speaker, clips):
    points = geometry.plane(by_speaker)
    assert points.shape == (400, 2)
    means = np.stack([points[clips["speaker"] == s].mean(axis=0) for s in range(20)])
    inside = np.linalg.norm(points - means[clips["speaker"]], axis=1).mean()
    between = np.linalg.norm(means - means.mean(axis=0), axis=1).mean()
    assert inside < between / 3


def test_the_cost_is_measured_per_clip():
    cost = geometry.extraction_cost(["mfcc"], clips=2, seconds=1.0)
    assert cost.loc["mfcc", "dimension"] == 80
    milliseconds, speed = cost.loc["mfcc", ["milliseconds", "speed"]]
    assert 0 < milliseconds < 1000
    assert speed == pytest.approx(1000 / milliseconds)
