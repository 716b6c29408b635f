"""Linear probes of layers."""

import numpy as np
import pytest
import toys

from persona import folds
from persona.labels import EMOTIONS
from persona.study import probes


@pytest.fixture(scope="module")
def clips():
    return toys.clips(speakers=20)


def probed(embeddings, clips):
    split = folds.split(clips, "speaker-disjoint", 0)[0]
    return probes.ridge(embeddings, clips, split, 0), clips.iloc[split.test]


def test_what_a_layer_holds_of_all_three_is_read_off_for_unseen_speakers(clips):
    found, tested = probed(toys.embeddings(clips), clips)
    assert np.mean(np.array(EMOTIONS)[found.emotion.argmax(1)] == tested["emotion"]) > 0.9
    assert np.mean((found.gender[:, 0] > 0.5).numpy() == (tested["gender"] == "female")) > 0.9
    assert np.sqrt(np.mean((found.age.numpy() - tested["age"]) ** 2)) < 12


def test_nothing_is_read_off_noise(clips):
    noise = np.random.default_rng(0).normal(size=(len(clips), 12)).astype(np.float32)
    found, tested = probed(noise, clips)
    assert np.mean(np.array(EMOTIONS)[found.emotion.argmax(1)] == tested["emotion"]) < 0.4
    assert np.sqrt(np.mean((found.age.numpy() - tested["age"]) ** 2)) < 1.5 * tested["age"].std()


def test_test_rows_teach_nothing(clips):
    split = folds.split(clips, "speaker-disjoint", 0)[0]
    other = clips.copy()
    other.loc[split.test, "age"] = 99.0
    ours, theirs = (probes.ridge(toys.embeddings(clips), c, split, 0).age for c in (clips, other))
    np.testing.assert_array_equal(ours, theirs)


def test_speakers_are_recognised_where_a_layer_holds_them(clips):
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(20, 30))[clips["speaker"]] + 0.3 * rng.normal(size=(len(clips), 30))
    assert probes.speakers(voices.astype(np.float32), clips, 0).mean() > 0.9
    noise = rng.normal(size=(len(clips), 30)).astype(np.float32)
    assert probes.speakers(noise, clips, 0).mean() < 0.2


def test_a_part_of_a_table_is_some_of_its_columns():
    np.testing.assert_array_equal(probes.part(np.arange(6).reshape(1, 6), 2, 4), [[2, 3]])
