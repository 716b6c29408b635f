"""Errors of groups, of network and crowd together, and what tells right answers from wrong."""

import numpy as np
import pandas as pd
import pytest

from persona.errors import PersonaError
from persona.labels import EMOTIONS
from persona.predictions import PROBABILITIES
from persona.study import errors

SPEAKERS, EACH = 20, 12


@pytest.fixture
def clips() -> pd.DataFrame:
    """20 speakers of 12 clips each, two of each emotion; the crowd hears anger in everything."""
    n = SPEAKERS * EACH
    speaker = np.repeat(np.arange(SPEAKERS), EACH)
    return pd.DataFrame(
        {
            "clip": [f"{i:03d}" for i in range(n)], "speaker": speaker, "age": 30.0 + speaker,
            "gender": np.where(speaker % 2, "female", "male"),
            "emotion": np.tile(np.repeat(EMOTIONS, 2), SPEAKERS), "voice_vote": "anger",
        }
    )  # fmt: skip


def predicted(clips: pd.DataFrame, right: np.ndarray, sure: float = 0.9) -> pd.DataFrame:
    """Where `right`, the acted emotion; elsewhere the next one. Gender is right, age 2 too high."""
    acted = pd.Categorical(clips["emotion"], EMOTIONS).codes
    named = np.where(right, acted, (acted + 1) % 6)
    shares = np.full((len(clips), 6), (1 - sure) / 5)
    shares[np.arange(len(clips)), named] = sure
    rows = pd.DataFrame(shares, columns=PROBABILITIES)
    fold = clips["speaker"].to_numpy() % 5
    return rows.assign(
        clip=clips["clip"], seed=0, fold=fold, age=clips["age"] + 2,
        p_female=np.where(clips["gender"] == "female", 0.8, 0.2),
    )  # fmt: skip


class TestTheMeanOverClips:
    def test_has_an_interval_over_speakers_not_over_clips(self):
        speaker = np.repeat(np.arange(10), 100)
        value, low, high = errors.mean((speaker % 2).astype(float), speaker)
        assert value == 0.5 and high - low > 0.4

    def test_has_none_where_all_speakers_are_alike(self):
        assert errors.mean(np.tile([0.0, 1.0], 50), np.repeat(np.arange(10), 10)) == (0.5, 0.5, 0.5)


def test_errors_of_a_clip_are_in_per_cent_and_years(clips):
    right = np.arange(len(clips)) % 2 == 0
    found = errors.per_clip(predicted(clips, right), clips)
    assert found["emotion_error"].tolist() == np.where(right, 0, 100).tolist()
    assert set(found["gender_error"]) == {0} and set(found["bias"]) == {2.0}


class TestGroups:
    def grouped(self, clips, right):
        wrong = errors.per_clip(predicted(clips, right), clips)
        groups = wrong[["gender", "emotion"]].astype("category")
        return errors.by_group(wrong, groups, 500).set_index(["attribute", "group", "task"])

    def test_of_speakers_that_differ_are_beyond_chance(self, clips):
        table = self.grouped(clips, (clips["gender"] == "male").to_numpy())
        women = table.loc[("gender", "female", "emotion")]
        assert women["value"] == women["difference"] == 100 and women["clear"]
        assert women["low"] == women["high"] == 100
        assert not table.loc[("gender", "female", "age"), "clear"]

    def test_of_clips_are_compared_within_speakers(self, clips):
        table = self.grouped(clips, (clips["emotion"] != "fear").to_numpy())
        assert table.loc[("emotion", "fear", "emotion"), "clear"]
        assert table.loc[("emotion", "fear", "emotion"), "difference"] == 100
        assert not table.loc[("gender", "male", "emotion"), "clear"]

    def test_of_too_few_permutations_are_refused(self, clips):
        wrong = errors.per_clip(predicted(clips, np.ones(len(clips), bool)), clips)
        groups = wrong[["gender", "emotion"]].astype("category")
        with pytest.raises(PersonaError, match=r"50 permutations cannot tell .* take \d+ or more"):
            errors.by_group(wrong, groups, 50)

    def test_of_few_speakers_have_neither_interval_nor_test(self, clips):
        wrong = errors.per_clip(predicted(clips, np.ones(len(clips), bool)), clips)
        small = pd.DataFrame({"who": pd.Categorical(np.where(wrong["speaker"] < 3, "few", "rest"))})
        table = errors.by_group(wrong, small, 100).set_index(["group", "task"])
        assert table.loc[("few", "age"), ["low", "p", "p_holm"]].isna().all()
        assert table.loc[("few", "age"), "value"] == 2


class TestTogether:
    def test_network_and_listeners_are_counted_by_what_was_acted(self, clips):
        counts = errors.joint(predicted(clips, np.ones(len(clips), bool)), clips)
        shares = errors.together(counts)["value"]
        assert counts.shape == (SPEAKERS, 6, 6, 6) and counts.sum() == len(clips)
        assert shares["network right"] == 1 and shares["listeners right"] == pytest.approx(1 / 6)
        assert shares["neither right"] == 0

    def test_clips_with_a_tied_vote_are_left_out(self, clips):
        tied = clips.assign(voice_vote=np.where(clips["speaker"] < 10, "anger:sad", "anger"))
        counts = errors.joint(predicted(clips, np.ones(len(clips), bool)), tied)
        assert counts.sum() == len(clips) / 2

    def test_failing_on_the_same_clips_is_beyond_independence(self, clips):
        first = np.arange(len(clips)) % 2 == 0
        vote = np.where(first, clips["emotion"], "neither")
        others = {e: EMOTIONS[(n + 2) % 6] for n, e in enumerate(EMOTIONS)}
        vote = np.where(first, vote, clips["emotion"].map(others))
        table = errors.together(
            errors.joint(predicted(clips, first), clips.assign(voice_vote=vote))
        )
        assert table.loc["neither right", "value"] == pytest.approx(0.5)
        assert table.loc["neither, beyond independence", "low"] > 0.2


class TestCalibration:
    def test_too_sure_a_network_is_mended_by_temperatures_of_other_folds(self, clips):
        right = np.random.default_rng(0).random(len(clips)) < 0.6
        rows = errors.labelled(predicted(clips, right, sure=0.99), clips)
        raw, labels = errors.probabilities(rows, "emotion")
        speakers = rows["speaker"].to_numpy()
        before = errors.calibration_error(raw, labels, speakers)[0]
        after = errors.calibration_error(errors.tempered(rows, "emotion"), labels, speakers)[0]
        assert before > 35 and after < 10

    def test_a_fold_does_not_decide_its_own_temperature(self, clips):
        speaker = clips["speaker"].to_numpy()
        rows = errors.labelled(predicted(clips, speaker % 5 != 0, sure=0.7), clips)
        tested = (rows["fold"] == 0).to_numpy()
        # All other folds are right, so that the fold that is wrong becomes the surest of itself.
        assert errors.tempered(rows, "emotion")[tested].max(axis=1).min() > 0.99


class TestWhatTellsRightFromWrong:
    speakers = np.repeat(np.arange(10), 10)
    right = np.tile([True, False], 50)

    def test_is_a_number_that_is_always_higher(self):
        value, low, _ = errors.tells(self.right.astype(float), self.right, self.speakers)
        assert value == low == 1

    def test_is_not_one_that_never_varies(self):
        value, low, high = errors.tells(np.zeros(100), self.right, self.speakers)
        assert value == low == high == 0.5

    def test_agrees_with_scikit_learn(self):
        from sklearn.metrics import roc_auc_score

        score = np.random.default_rng(0).normal(size=100) + self.right
        value, low, high = errors.tells(score, self.right, self.speakers)
        assert value == pytest.approx(roc_auc_score(self.right, score)) and low < value < high
