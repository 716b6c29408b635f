"""Folds: every clip is tested once, and in speaker-disjoint folds nobody is met twice."""

import numpy as np
import pandas as pd
import pytest

from persona import corpora, folds
from persona.errors import PersonaError


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    return corpora.clips()


@pytest.mark.parametrize("protocol", folds.PROTOCOLS)
class TestBothProtocols:
    def test_every_clip_is_tested_exactly_once(self, clips, protocol):
        tested = np.concatenate([split.test for split in folds.split(clips, protocol, seed=0)])
        assert sorted(tested) == list(range(len(clips)))

    def test_the_three_parts_of_a_split_share_no_clip_and_leave_none_out(self, clips, protocol):
        for split in folds.split(clips, protocol, seed=3):
            rows = np.concatenate([split.train, split.validation, split.test])
            assert sorted(rows) == list(range(len(clips)))

    def test_a_tenth_of_the_training_folds_is_validation(self, clips, protocol):
        for split in folds.split(clips, protocol, seed=0):
            share = len(split.validation) / (len(split.train) + len(split.validation))
            assert share == pytest.approx(0.1, abs=0.015)

    def test_folds_are_of_one_size(self, clips, protocol):
        sizes = [len(split.test) for split in folds.split(clips, protocol, seed=0)]
        assert max(sizes) - min(sizes) <= 0.1 * min(sizes)

    def test_a_seed_repeats_itself_and_another_differs(self, clips, protocol):
        first, again, other = (folds.split(clips, protocol, seed)[0].test for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", range(3))
def test_speaker_disjoint_splits_have_no_speaker_in_two_parts(clips, seed):
    speaker = clips["speaker"].to_numpy()
    for split in folds.split(clips, "speaker-disjoint", seed):
        train, validation, test = (
            set(speaker[rows]) for rows in (split.train, split.validation, split.test)
        )
        assert not train & test
        assert not train & validation
        assert not validation & test


@pytest.mark.parametrize("seed", range(3))
def test_speaker_disjoint_folds_are_balanced_by_gender(clips, seed):
    for split in folds.split(clips, "speaker-disjoint", seed):
        people = clips.iloc[split.test].drop_duplicates("speaker")
        women = (people["gender"] == "female").sum()
        assert women in (8, 9)  # of 43 in five folds
        assert len(people) - women in (9, 10)  # of 48


def test_random_clip_folds_do_meet_their_speakers_in_training(clips):
    speaker = clips["speaker"].to_numpy()
    for split in folds.split(clips, "random-clip", seed=0):
        assert set(speaker[split.test]) <= set(speaker[split.train])


def test_an_unknown_protocol_is_one_sentence(clips):
    with pytest.raises(PersonaError, match="no protocol 'leave-one-out'; choose from random-clip"):
        folds.split(clips, "leave-one-out", seed=0)
