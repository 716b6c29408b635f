"""The usual voice: what people's means have in common, and how emotions differ from them."""

import numpy as np
import pytest

from persona.model import voices


def test_is_the_mean_of_peoples_means_in_which_emotions_weigh_alike():
    """Ada is heard angry three times and sad once: her usual voice lies midway."""
    embeddings = np.array([[2.0], [2.0], [2.0], [0.0], [11.0], [13.0]])
    emotions = np.array([0, 0, 0, 1, 1, 0])
    speakers = np.array(["ada", "ada", "ada", "ada", "bob", "bob"])
    found = voices.usual(embeddings, emotions, speakers, classes=2)
    assert found[0] == pytest.approx((1 + 12) / 2)
    assert found[1:, 0] == pytest.approx([1, -1])  # of anger and of sadness, from her and his mean


def test_leaves_out_clips_of_unknown_emotion_and_emotions_that_somebody_lacks():
    embeddings = np.array([[1.0], [99.0], [0.0], [4.0]])
    emotions, speakers = np.array([0, -1, 1, 1]), np.array(["ada", "ada", "ada", "bob"])
    found = voices.usual(embeddings, emotions, speakers, classes=2)
    assert found[:, 0] == pytest.approx([(0.5 + 4) / 2, 0.5, (-0.5 + 0) / 2])


def test_of_an_emotion_that_nobody_expressed_is_everybodys():
    embeddings, speakers = np.array([[1.0], [3.0]]), np.array(["ada", "ada"])
    found = voices.usual(embeddings, np.array([0, 2]), speakers, classes=3)
    assert found[:, 0] == pytest.approx([2, -1, 0, 1])
