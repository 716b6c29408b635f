"""Folds: every clip is tested once, and in speaker-disjoint folds nobody is met twice."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona import corpora, folds
from persona.errors import PersonaError
from persona.keeping import store


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    return corpora.load("crema-d").clips()


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


TABLES = st.lists(st.integers(0, 12), min_size=1, max_size=60).map(
    lambda speakers: pd.DataFrame(
        {"speaker": speakers, "gender": [("female", "male", None)[s % 3] for s in speakers]}
    )
)


class TestAnyTable:
    """Of any number of speakers, with any number of clips each, in any order."""

    @settings(max_examples=60, deadline=None)
    @given(TABLES, st.integers(0, 5), st.sampled_from([3, 5]), st.booleans())
    def test_nobody_is_on_two_sides_and_every_clip_is_tested_once(
        self, table, seed, number, with_gender
    ):
        table = table if with_gender else table.drop(columns="gender")
        if table["speaker"].nunique() < number:
            with pytest.raises(PersonaError, match=r"speakers cannot be dealt into \d folds: add"):
                folds.split(table, "speaker-disjoint", seed, number)
            return
        splits = folds.split(table, "speaker-disjoint", seed, number)
        assert sorted(np.concatenate([s.test for s in splits])) == list(range(len(table)))
        for split in splits:
            people = [
                set(table["speaker"].iloc[rows])
                for rows in (split.train, split.validation, split.test)
            ]
            assert all(people)
            assert sum(map(len, people)) == table["speaker"].nunique()
            rows = np.concatenate([split.train, split.validation, split.test])
            assert sorted(rows) == list(range(len(table)))

    @settings(max_examples=30, deadline=None)
    @given(TABLES, st.integers(0, 5))
    def test_random_clips_are_dealt_whole(self, table, seed):
        if len(table) < folds.FOLDS:
            with pytest.raises(PersonaError, match="clips cannot be dealt into 5 folds: add more"):
                folds.split(table, "random-clip", seed)
            return
        for split in folds.split(table, "random-clip", seed):
            rows = np.concatenate([split.train, split.validation, split.test])
            assert sorted(rows) == list(range(len(table)))
            assert len(split.test) and len(split.train)


def test_joined_corpora_are_balanced():
    table = pd.DataFrame({"speaker": range(40), "corpus": ["a", "b"] * 20, "gender": "female"})
    for split in folds.split(table, "speaker-disjoint", 0):
        assert (table["corpus"].iloc[split.test] == "a").sum() == 4


def test_the_order_of_a_seeds_folds_does_not_depend_on_labels():
    table = pd.DataFrame({"speaker": np.repeat(range(10), 5), "gender": "female"})
    other = table.assign(age=30, emotion="sad")
    for one, two in zip(*(folds.split(t, "speaker-disjoint", 0) for t in (table, other)),
                        strict=True):  # fmt: skip
        assert np.array_equal(one.test, two.test)


@pytest.mark.parametrize(
    ("protocol", "fingerprint"),
    [("random-clip", "d86f462e615f"), ("speaker-disjoint", "59f03dd388fd")],
)
def test_a_seeds_folds_are_those_of_the_results_that_ship(clips, protocol, fingerprint):
    """On any machine: the order of equal numbers, too, is the same wherever they are sorted."""
    rows = [
        [part.tolist() for part in (split.train, split.validation, split.test)]
        for split in folds.split(clips, protocol, seed=0)
    ]
    assert store.fingerprint(rows)[:12] == fingerprint


def test_a_seeds_validation_beside_given_folds_is_that_of_this_version(clips):
    (_, second, _) = folds.given(clips, clips["speaker"].to_numpy() % 3, seed=0)
    assert store.fingerprint(second.validation.tolist())[:12] == "004725f61128"


def test_an_unknown_protocol_is_one_sentence(clips):
    with pytest.raises(PersonaError, match="no protocol 'leave-one-out'; choose from random-clip"):
        folds.split(clips, "leave-one-out", seed=0)
