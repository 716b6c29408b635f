"""Metrics against hand computation and scikit-learn; intervals and tests that respect speakers."""

import numpy as np
import pandas as pd
import pytest
import toys
from sklearn import metrics as reference

from persona import evaluation, folds
from persona.errors import PersonaError
from persona.labels import EMOTIONS, TASKS
from persona.predictions import PROBABILITIES


def corpus(speakers: int = 12, each: int = 10, seed: int = 0) -> pd.DataFrame:
    emotions = np.random.default_rng(seed).choice(EMOTIONS, speakers * each)
    return toys.clips(speakers, each).assign(emotion=emotions)


def predicted(clips: pd.DataFrame, seed: int = 1, right: float = 0.5) -> pd.DataFrame:
    """Predictions that name the right emotion with probability `right`."""
    rng = np.random.default_rng(seed)
    n = len(clips)
    true = pd.Categorical(clips["emotion"], EMOTIONS).codes
    named = np.where(rng.random(n) < right, true, rng.integers(6, size=n))
    rows = pd.DataFrame(np.eye(6)[named] * 0.9 + 0.1 / 6, columns=PROBABILITIES)
    return rows.assign(
        clip=clips["clip"].to_numpy(),
        seed=seed,
        fold=0,
        p_female=rng.random(n),
        age=clips["age"].fillna(40).to_numpy() + rng.normal(3, 5, n),
    )


def values(rows: pd.DataFrame, clips: pd.DataFrame) -> pd.Series:
    return evaluation.evaluate(rows, clips, draws=10)["value"]


class TestMetrics:
    def test_every_metric_equals_its_definition(self):
        clips = corpus()
        rows = predicted(clips)
        value = values(rows, clips)
        named = np.array(EMOTIONS)[rows[PROBABILITIES].to_numpy().argmax(1)]
        gender = np.where(rows["p_female"] >= 0.5, "female", "male")
        for task, true, guess in (
            ("emotion", clips["emotion"], named),
            ("gender", clips["gender"], gender),
        ):
            accuracy = reference.accuracy_score(true, guess)
            recall = reference.balanced_accuracy_score(true, guess)
            f1 = reference.f1_score(true, guess, average="macro")
            assert value[f"{task}_accuracy"] == pytest.approx(accuracy)
            assert value[f"{task}_uar"] == pytest.approx(recall)
            assert value[f"{task}_f1"] == pytest.approx(f1)
        t, p = clips["age"].to_numpy(), rows["age"].to_numpy()
        assert value["age_rmse"] == pytest.approx(np.sqrt(reference.mean_squared_error(t, p)))
        assert value["age_mae"] == pytest.approx(reference.mean_absolute_error(t, p))
        ccc = 2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
        assert value["age_ccc"] == pytest.approx(ccc)
        assert value["age_r"] == pytest.approx(np.corrcoef(t, p)[0, 1])

    def test_predicting_one_age_for_all_correlates_with_nothing(self):
        clips = corpus()
        assert values(predicted(clips).assign(age=40.0), clips)["age_r"] == 0

    def test_correlation_does_not_depend_on_how_far_apart_the_predicted_ages_lie(self):
        clips = corpus()
        rows = predicted(clips)
        close = rows.assign(age=40 + rows["age"] / 1e3)
        assert values(close, clips)["age_r"] == pytest.approx(values(rows, clips)["age_r"])

    def test_a_single_clip_counts(self):
        clips = corpus()
        one = predicted(clips, right=1.0)[:1].assign(p_female=1.0)
        value = values(one, clips[:1])
        assert value[["emotion_accuracy", "emotion_uar", "emotion_f1"]].tolist() == [1, 1, 1]
        assert value["gender_uar"] == 1
        assert value["age_mae"] == pytest.approx(abs(one["age"] - clips["age"])[0])

    def test_an_undecided_gender_is_the_first(self):
        clips = corpus()
        counts = evaluation.sums(predicted(clips).assign(p_female=0.5), clips)
        assert counts.gender[..., 0].sum() == len(clips)

    def test_perfect_ages_have_no_error_and_nothing_that_is_no_number(self):
        clips = corpus()
        found = values(predicted(clips).assign(age=clips["age"] + 1e-9), clips)
        assert found["age_rmse"] == pytest.approx(0, abs=1e-4)
        assert found["age_ccc"] == pytest.approx(1)

    def test_seeds_are_scored_one_by_one_and_averaged(self):
        clips = corpus()
        one, two = predicted(clips, 1, 0.9), predicted(clips, 2, 0.1)
        both = values(pd.concat([one, two]), clips)
        assert np.allclose(both, np.mean([values(one, clips), values(two, clips)], axis=0))

    def test_the_order_of_rows_does_not_matter(self):
        clips = corpus()
        rows = predicted(clips)
        shuffled = rows.sample(frac=1, random_state=0)
        first, second = (evaluation.evaluate(r, clips, 50) for r in (shuffled, rows))
        pd.testing.assert_frame_equal(first, second)

    def test_a_class_that_does_not_occur_is_left_out_of_the_average(self):
        clips = corpus()
        clips["emotion"] = np.where(clips["emotion"] == "sad", "fear", clips["emotion"])
        assert values(predicted(clips, right=1.0), clips)["emotion_uar"] == 1.0


class TestSums:
    def test_every_clip_is_counted_once(self):
        clips = corpus()
        counts = evaluation.sums(predicted(clips), clips)
        each = clips["speaker"].value_counts().sort_index().to_numpy()
        for confusion in (counts.emotion, counts.gender):
            assert confusion.sum(axis=(0, 2, 3)).tolist() == each.tolist()
        assert counts.age[0, :, 0].tolist() == each.tolist()

    def test_a_clip_that_is_listed_twice_is_refused(self):
        clips = corpus()
        with pytest.raises(ValueError, match="not unique"):
            evaluation.sums(predicted(clips), pd.concat([clips, clips[:1]]))


class TestMissingLabels:
    def test_a_clip_without_a_label_is_left_out_of_that_task_only(self):
        clips = corpus()
        rows = predicted(clips)
        partly = clips.copy()
        partly.loc[::2, "age"] = np.nan
        partly.loc[1::2, "emotion"] = None
        value = values(rows, partly)
        assert value["age_mae"] == values(rows[1::2], clips[1::2])["age_mae"]
        assert value["emotion_f1"] == values(rows[::2], clips[::2])["emotion_f1"]
        assert value["gender_f1"] == values(rows, clips)["gender_f1"]

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("task", TASKS)
    def test_where_no_clip_has_a_label_every_number_is_nan_without_a_warning(self, task):
        clips = corpus().assign(**{task: np.nan})
        value = values(predicted(corpus()), clips)
        assert value[value.isna()].index.tolist() == [
            metric for metric in evaluation.METRICS if metric.startswith(task)
        ]

    def test_where_no_clip_has_a_label_no_difference_is_found(self):
        clips = corpus().assign(emotion=None)
        rows = predicted(corpus())
        found = evaluation.evaluate(rows, clips, 50)
        assert found.loc[["emotion_accuracy", "emotion_uar", "emotion_f1"]].isna().all(axis=None)
        assert found.drop(["emotion_accuracy", "emotion_uar", "emotion_f1"]).notna().all(axis=None)
        counts = evaluation.sums(rows, clips)
        other = evaluation.sums(predicted(corpus(), 2), clips)
        assert evaluation.difference(counts, other, 50).loc["emotion_accuracy"].isna().all()

    def test_an_interval_is_over_the_samples_in_which_somebody_has_the_label(self):
        """Of 12 speakers 2 state their age, so that many samples hold neither."""
        clips = corpus()
        clips.loc[clips["speaker"] > 1, "age"] = np.nan
        counts = evaluation.sums(predicted(clips), clips)
        assert evaluation.score(counts, 200).loc["age_mae"].notna().all()
        other = evaluation.sums(predicted(clips, 2), clips)
        assert evaluation.difference(counts, other, 200).loc["age_mae", "p"] > 0.01


class TestIntervals:
    def test_one_is_as_wide_as_speakers_differ_and_not_as_clips_are_many(self):
        clips = corpus(speakers=20, each=50)
        rows = predicted(clips, right=1.0)
        wrong = clips["speaker"].to_numpy() % 4 == 0  # 5 of 20 speakers: all their clips wrong
        rolled = np.roll(rows.loc[wrong, PROBABILITIES].to_numpy(), 1, axis=1)
        rows.loc[wrong, PROBABILITIES] = rolled
        value, low, high = evaluation.evaluate(rows, clips).loc["emotion_accuracy"]
        assert value == pytest.approx(0.75)
        over_speakers = np.sqrt(0.75 * 0.25 / 20)
        assert high - low == pytest.approx(2 * 1.96 * over_speakers, rel=0.25)

    def test_a_bootstrap_is_that_of_clips_drawn_speaker_by_speaker(self):
        """Each draw equals scikit-learn on the clips of the drawn speakers, drawn again."""
        clips = corpus(6)
        rows = predicted(clips)
        counts = evaluation.sums(rows, clips)
        weights = evaluation.resample(6, draws=5, seed=3)
        drawn = evaluation.metrics(counts, weights)
        named = np.array(EMOTIONS)[rows[PROBABILITIES].to_numpy().argmax(1)]
        for number, weight in enumerate(weights.astype(int)):
            again = np.repeat(np.arange(len(clips)), weight[clips["speaker"]])
            wanted = reference.accuracy_score(clips["emotion"].iloc[again], named[again])
            assert drawn["emotion_accuracy"][number] == pytest.approx(wanted)
            error = np.abs(rows["age"] - clips["age"]).to_numpy()[again].mean()
            assert drawn["age_mae"][number] == pytest.approx(error)

    def test_resampling_draws_as_many_speakers_as_there_are_and_repeats_itself(self):
        weights = evaluation.resample(91, draws=50)
        assert weights.shape == (50, 91)
        assert (weights.sum(axis=1) == 91).all()
        assert np.array_equal(weights, evaluation.resample(91, draws=50))

    def test_samples_are_those_that_the_results_were_computed_with(self):
        weights = evaluation.resample(91)
        assert weights.shape == (1000, 91)
        assert weights[-1, :8].tolist() == [0, 2, 1, 0, 2, 0, 1, 0]


class TestDifferences:
    @pytest.mark.parametrize("sign", [-1, 1])
    def test_p_is_twice_the_smaller_tail_counted_with_what_was_found(self, sign):
        """Nine of 199 samples lie beyond 0: (9 + 1) of (199 + 1), twice."""
        drawn = sign * np.repeat([-0.5, 0.5], [9, 190])
        assert evaluation.tested(drawn)[2] == pytest.approx(0.1)

    def test_a_paired_difference_finds_what_is_there_and_not_what_is_not(self):
        clips = corpus(speakers=30, each=20)
        better, worse, same = (
            evaluation.sums(predicted(clips, s, r), clips)
            for s, r in ((1, 0.8), (2, 0.5), (3, 0.5))
        )
        real = evaluation.difference(better, worse).loc["emotion_accuracy"]
        none = evaluation.difference(worse, same).loc["emotion_accuracy"]
        assert real["low"] > 0 and real["p"] < 0.01
        assert none["low"] < 0 < none["high"] and none["p"] > 0.05

    def test_it_is_the_first_minus_the_second(self):
        clips = corpus()
        one, two = (evaluation.sums(predicted(clips, s), clips) for s in (1, 2))
        there, back = evaluation.difference(one, two, 100), evaluation.difference(two, one, 100)
        assert np.allclose(there["difference"], -back["difference"])
        assert np.allclose(there["low"], -back["high"])
        values = evaluation.score(one, 10)["value"] - evaluation.score(two, 10)["value"]
        assert np.allclose(there["difference"], values)

    def test_the_difference_from_itself_is_zero_and_never_significant(self):
        clips = corpus()
        sums = evaluation.sums(predicted(clips), clips)
        table = evaluation.difference(sums, sums)
        assert (table[["difference", "low", "high"]] == 0).all(axis=None)
        assert (table["p"] == 1).all()

    def test_comparing_other_speakers_is_refused(self):
        clips = corpus()
        half = clips[clips["speaker"] < 6].reset_index(drop=True)
        with pytest.raises(PersonaError, match="predictions for the same speakers"):
            evaluation.difference(
                evaluation.sums(predicted(clips), clips), evaluation.sums(predicted(half), half)
            )


class TestHolm:
    def test_it_corrects_as_in_his_paper(self):
        assert evaluation.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
        assert evaluation.holm([0.6, 0.9]) == pytest.approx([1, 1])
        assert len(evaluation.holm([])) == 0

    def test_what_could_not_be_compared_does_not_count(self):
        corrected = evaluation.holm([np.nan, 0.01, 0.04])
        assert np.isnan(corrected[0])
        assert corrected[1:] == pytest.approx([0.02, 0.04])


def test_sums_survive_as_a_table():
    clips = corpus()
    two_seeds = pd.concat([predicted(clips, 1), predicted(clips, 2)])
    for rows in (two_seeds, predicted(clips, 3)):
        kept = evaluation.sums(rows, clips)
        frame = evaluation.frame(kept)
        found = evaluation.from_frame(frame)
        assert list(frame.columns) == ["seed", "speaker", *evaluation.SUM_COLUMNS]
        assert found.speakers.tolist() == kept.speakers.astype(str).tolist()
        pd.testing.assert_frame_equal(evaluation.score(found, 50), evaluation.score(kept, 50))
        for part in ("emotion", "gender", "age"):
            assert np.array_equal(getattr(found, part), getattr(kept, part))


def test_the_order_of_rows_changes_no_interval():
    clips = corpus()
    kept = evaluation.sums(pd.concat([predicted(clips, 1), predicted(clips, 2)]), clips)
    frame = evaluation.frame(kept)
    usual = evaluation.score(kept, 50)
    for seed in range(3):
        found = evaluation.from_frame(frame.sample(frac=1, random_state=seed))
        pd.testing.assert_frame_equal(evaluation.score(found, 50), usual)
        assert found.speakers.tolist() == kept.speakers.astype(str).tolist()


def test_speakers_are_in_one_order_be_their_names_numbers_or_text():
    clips = corpus().assign(speaker=lambda c: c["speaker"].astype("category").cat.codes + 1)
    as_text = clips.astype({"speaker": str})
    sums = [evaluation.sums(predicted(clips, 1), table) for table in (clips, as_text)]
    assert sums[0].speakers.astype(str).tolist() == sums[1].speakers.tolist()
    assert np.array_equal(sums[0].age, sums[1].age)


def test_joined_takes_each_task_from_its_own_experiment():
    clips = corpus()
    parts = {
        task: evaluation.sums(predicted(clips, seed), clips)
        for seed, task in enumerate(("emotion", "gender", "age"))
    }
    joined = evaluation.joined(parts)
    for task, counts in parts.items():
        assert getattr(joined, task) is getattr(counts, task)


@pytest.mark.parametrize("protocol", folds.PROTOCOLS)
@pytest.mark.parametrize("women", [5, 15])
def test_the_constant_predictor_knows_the_training_folds_only(protocol, women):
    clips = corpus(speakers=20)
    clips["gender"] = np.where(clips["speaker"] < women, "female", "male")
    rows = evaluation.constant(clips, protocol)
    assert sorted(rows["clip"]) == sorted(clips["clip"])
    assert rows.index.tolist() == list(range(len(clips))) and set(rows["seed"]) == {0}
    for number, split in enumerate(folds.split(clips, protocol, 0)):
        known, told = clips.iloc[split.train], rows[rows["fold"] == number]
        emotion = known["emotion"].value_counts().sort_index().idxmax()
        assert (told[PROBABILITIES] == [name == emotion for name in EMOTIONS]).all(axis=None)
        assert (told["p_female"] == (women == 15)).all()
        assert np.allclose(told["age"], known["age"].mean())


def test_the_constant_predictor_is_told_for_every_seed():
    rows = evaluation.constant(corpus(), "random-clip", seeds=[5, 7])
    assert rows["seed"].value_counts().to_dict() == {5: 120, 7: 120}


@pytest.mark.parametrize("task", ["emotion", "gender"])
def test_the_constant_predictor_bears_a_task_without_labels(task):
    clips = corpus().assign(**{task: None})
    rows = evaluation.constant(clips, "random-clip")
    assert sorted(rows["clip"]) == sorted(clips["clip"])
    assert (rows[[*PROBABILITIES, "p_female"]].isin([0, 1])).all(axis=None)
