"""Metrics against hand computation and scikit-learn; intervals and tests that respect speakers."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from persona import evaluation, folds
from persona.corpora import EMOTIONS, GENDERS
from persona.predictions import PROBABILITIES


def corpus(speakers: int = 12, each: int = 10, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = speakers * each
    speaker = np.repeat(np.arange(speakers), each)
    return pd.DataFrame(
        {
            "clip": [f"c{i:04d}" for i in range(n)],
            "speaker": speaker,
            "gender": np.array(GENDERS)[speaker % 2],
            "age": 20 + 4 * speaker,
            "emotion": rng.choice(EMOTIONS, n),
        }
    )


def said(clips: pd.DataFrame, seed: int = 1, right: float = 0.5) -> pd.DataFrame:
    """Predictions that name the right emotion with probability `right`."""
    rng = np.random.default_rng(seed)
    n = len(clips)
    wanted = pd.Categorical(clips["emotion"], EMOTIONS).codes
    heard = np.where(rng.random(n) < right, wanted, rng.integers(6, size=n))
    rows = pd.DataFrame(np.eye(6)[heard] * 0.9 + 0.1 / 6, columns=PROBABILITIES)
    return rows.assign(
        clip=clips["clip"].to_numpy(),
        seed=seed,
        fold=0,
        p_female=rng.random(n),
        age=clips["age"].to_numpy() + rng.normal(3, 5, n),
    )


def test_every_metric_equals_its_definition():
    clips = corpus()
    rows = said(clips)
    value = evaluation.evaluate(rows, clips)["value"]
    heard = np.array(EMOTIONS)[rows[PROBABILITIES].to_numpy().argmax(1)]
    gender = np.where(rows["p_female"] >= 0.5, "female", "male")
    for task, truth, guess in (
        ("emotion", clips["emotion"], heard),
        ("gender", clips["gender"], gender),
    ):
        assert value[f"{task}_accuracy"] == pytest.approx(reference.accuracy_score(truth, guess))
        assert value[f"{task}_uar"] == pytest.approx(
            reference.balanced_accuracy_score(truth, guess)
        )
        assert value[f"{task}_f1"] == pytest.approx(
            reference.f1_score(truth, guess, average="macro")
        )
    t, p = clips["age"].to_numpy(), rows["age"].to_numpy()
    assert value["age_rmse"] == pytest.approx(np.sqrt(np.mean((t - p) ** 2)))
    assert value["age_mae"] == pytest.approx(np.mean(abs(t - p)))
    ccc = 2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
    assert value["age_ccc"] == pytest.approx(ccc)
    assert value["age_r"] == pytest.approx(np.corrcoef(t, p)[0, 1])


def test_saying_one_age_to_all_correlates_with_nothing():
    clips = corpus()
    assert evaluation.evaluate(said(clips).assign(age=40.0), clips)["value"]["age_r"] == 0


def test_seeds_are_scored_one_by_one_and_averaged():
    clips = corpus()
    one, two = said(clips, 1, 0.9), said(clips, 2, 0.1)
    both = evaluation.evaluate(pd.concat([one, two]), clips)["value"]
    apart = [evaluation.evaluate(rows, clips)["value"] for rows in (one, two)]
    assert np.allclose(both, np.mean(apart, axis=0))


def test_the_order_of_rows_does_not_matter():
    clips = corpus()
    rows = said(clips)
    shuffled = rows.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        evaluation.evaluate(shuffled, clips), evaluation.evaluate(rows, clips)
    )


def test_a_class_that_does_not_occur_is_left_out_of_the_average():
    clips = corpus()
    clips["emotion"] = np.where(clips["emotion"] == "sad", "fear", clips["emotion"])
    perfect = said(clips, right=1.0)
    assert evaluation.evaluate(perfect, clips)["value"]["emotion_uar"] == 1.0


def test_an_interval_is_as_wide_as_speakers_differ_and_not_as_clips_are_many():
    clips = corpus(speakers=20, each=50)
    rows = said(clips, right=1.0)
    wrong = clips["speaker"].to_numpy() % 4 == 0  # 5 of 20 speakers: all their clips wrong
    rows.loc[wrong, PROBABILITIES] = np.roll(rows.loc[wrong, PROBABILITIES].to_numpy(), 1, axis=1)
    value, low, high = evaluation.evaluate(rows, clips).loc["emotion_accuracy"]
    assert value == pytest.approx(0.75)
    over_speakers = np.sqrt(0.75 * 0.25 / 20)
    assert high - low == pytest.approx(2 * 1.96 * over_speakers, rel=0.25)


def test_resampling_draws_as_many_speakers_as_there_are():
    weights = evaluation.resample(91, draws=50)
    assert weights.shape == (50, 91)
    assert (weights.sum(axis=1) == 91).all()


def test_a_paired_difference_finds_what_is_there_and_not_what_is_not():
    clips = corpus(speakers=30, each=20)
    better, worse, same = (said(clips, s, r) for s, r in ((1, 0.8), (2, 0.5), (3, 0.5)))
    sums = [evaluation.sums(rows, clips) for rows in (better, worse, same)]
    real = evaluation.difference(sums[0], sums[1]).loc["emotion_accuracy"]
    none = evaluation.difference(sums[1], sums[2]).loc["emotion_accuracy"]
    assert real["low"] > 0 and real["p"] < 0.01
    assert none["low"] < 0 < none["high"] and none["p"] > 0.05


def test_the_difference_from_itself_is_zero_and_never_significant():
    clips = corpus()
    sums = evaluation.sums(said(clips), clips)
    table = evaluation.difference(sums, sums)
    assert (table[["difference", "low", "high"]] == 0).all(axis=None)
    assert (table["p"] == 1).all()


def test_comparing_other_speakers_is_refused():
    clips = corpus()
    half = clips[clips["speaker"] < 6].reset_index(drop=True)
    with pytest.raises(ValueError, match="same speakers"):
        evaluation.difference(
            evaluation.sums(said(clips), clips), evaluation.sums(said(half), half)
        )


def test_holm_corrects_as_in_his_paper():
    assert evaluation.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert evaluation.holm([0.5, 0.9]) == pytest.approx([1, 1])


def test_sums_survive_the_disk(tmp_path):
    clips = corpus()
    two_seeds = pd.concat([said(clips, 1), said(clips, 2)])
    kept = {"b": evaluation.sums(two_seeds, clips), "a": evaluation.sums(said(clips, 3), clips)}
    evaluation.write_sums(tmp_path / "results" / "x.parquet", kept, {"why": "test"})
    found = evaluation.read_sums(tmp_path / "results" / "x.parquet")
    assert list(found) == ["b", "a"]
    for name in kept:
        pd.testing.assert_frame_equal(
            evaluation.score(found[name]), evaluation.score(kept[name])
        )


@pytest.mark.parametrize("protocol", folds.PROTOCOLS)
def test_the_constant_predictor_knows_the_training_folds_only(protocol):
    clips = corpus(speakers=20)
    rows = evaluation.constant(clips, protocol, seeds=[5])
    assert sorted(rows["clip"]) == sorted(clips["clip"])
    for number, split in enumerate(folds.split(clips, protocol, 5)):
        ages = rows.loc[rows["fold"] == number, "age"]
        assert np.allclose(ages, clips["age"].iloc[split.train].mean())
