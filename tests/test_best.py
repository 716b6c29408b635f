"""The best recipe, and age from several clips of a speaker."""

import numpy as np
import pandas as pd
import pytest

from persona import evaluation
from persona.model import recipe as best
from persona.predictions import PROBABILITIES
from persona.study import by_person


@pytest.fixture
def clips() -> pd.DataFrame:
    """25 speakers of 40 clips of two seconds."""
    speaker = np.repeat(np.arange(25), 40)
    return pd.DataFrame(
        {"clip": [f"{i:04d}" for i in range(1000)], "speaker": speaker, "age": 20.0 + 2 * speaker,
         "emotion": "sad", "gender": "male", "seconds": 2.0}
    )  # fmt: skip


@pytest.fixture
def predicted(clips) -> pd.DataFrame:
    """Ages that are off by 10 years at random in every clip, and not at all in the mean."""
    noise = np.random.default_rng(0).normal(0, 10, len(clips))
    noise -= pd.Series(noise).groupby(clips["speaker"]).transform("mean")
    shares = pd.DataFrame(1 / 6, index=clips.index, columns=PROBABILITIES)
    return shares.assign(clip=clips["clip"], seed=0, fold=clips["speaker"] % 5, p_female=0.4,
                         age=clips["age"] + noise)  # fmt: skip


def test_what_ships_is_tested_on_unseen_speakers_and_stops_at_a_fixed_epoch():
    shipped = best.shipped()
    assert shipped.protocol == "speaker-disjoint" and not shipped.settings.patience
    assert shipped.tests == ("crema-d",)


def test_what_ships_learns_the_age_of_children_and_not_their_gender(clips):
    young = clips.assign(age=clips["age"] - 10)
    learnt = best.shipped().relabel(young)
    assert learnt["gender"].notna().tolist() == (young["age"] >= best.ADULT).tolist()
    pd.testing.assert_frame_equal(learnt.drop(columns="gender"), young.drop(columns="gender"))


def test_what_ships_takes_two_clips_of_every_grown_reader_for_neutral(clips):
    readers = clips.assign(emotion=None, age=clips["age"] - 10)
    learnt = best.shipped().relabel(readers)
    plain = learnt[learnt["emotion"].notna()]
    assert set(plain["emotion"]) == {"neutral"} and plain["age"].min() >= best.GROWN
    counts = plain["speaker"].value_counts()
    assert set(counts) == {best.PLAIN}
    assert set(counts.index) == set(readers["speaker"][readers["age"] >= best.GROWN])


def test_the_step_below_it_takes_nobody_for_neutral(clips):
    readers = clips.assign(emotion=None)
    assert best.whole_clips().relabel(readers)["emotion"].isna().all()
    assert set(best.shipped().besides) - set(best.whole_clips().besides) == set(best.LENGTHS)


def test_the_networks_that_ship_each_listen_to_two_neighbouring_layers():
    layers = best.ENDS.split("+")
    assert [(a // 2048, b // 2048) for a, b in best.PARTS] == [(0, 2), (1, 3), (2, 4)]
    assert layers[1:3] == best.BLOCKS.split("+") and layers[0].startswith(layers[1])


def test_changes_of_the_recipe_leave_the_rest_of_it():
    changed = best.recipe("mfcc", networks=2, epochs=3, besides=best.OUTSIDE)
    assert (changed.settings.networks, changed.settings.epochs) == (2, 3)
    assert changed.settings.hidden == best.RECIPE.hidden and changed.besides == best.OUTSIDE


def test_by_speaker_every_speaker_has_one_age(predicted, clips):
    counts = evaluation.sums(predicted, clips)
    speakers = evaluation.by_speaker(counts)
    assert (speakers.age[..., 0] == 1).all()
    assert speakers.age[0, :, 1].tolist() == clips.groupby("speaker")["age"].first().tolist()
    assert evaluation.score(counts).loc["age_rmse", "value"] > 8
    assert evaluation.score(speakers).loc["age_rmse", "value"] == pytest.approx(0, abs=1e-5)
    assert evaluation.score(speakers).loc["age_r", "value"] == pytest.approx(1)


class TestAccumulated:
    def test_errors_shrink_with_the_seconds_and_so_do_intervals(self, predicted, clips):
        table = by_person.accumulated(predicted, clips, [1, 20, 80], draws=5)
        table["error"] = (table["predicted"] - table["age"]).abs()
        table["width"] = table["high"] - table["low"]
        found = table.groupby("least")[["error", "width"]].mean()
        assert found["error"].is_monotonic_decreasing and found["width"].is_monotonic_decreasing
        assert found.loc[80, "error"] == pytest.approx(0, abs=1e-6)

    def test_clips_last_at_least_as_long_as_is_asked_and_no_clip_longer(self, predicted, clips):
        table = by_person.accumulated(predicted, clips, [1, 5], draws=2)
        assert set(table.loc[table["least"] == 1, "seconds"]) == {2.0}
        assert set(table.loc[table["least"] == 5, "seconds"]) == {6.0}

    def test_a_speaker_of_less_is_heard_whole(self, predicted, clips):
        assert set(by_person.accumulated(predicted, clips, [500], draws=1)["seconds"]) == {80.0}

    def test_intervals_come_from_other_folds(self, predicted, clips):
        wrong = predicted.assign(age=predicted["age"] + 100.0 * (predicted["fold"] == 0))
        table = by_person.accumulated(wrong, clips, [20], draws=3)
        own = table[table["fold"] == 0]
        assert ((own["age"] < own["low"]) | (own["age"] > own["high"])).all()
