"""Errors by group, against the crowd, and calibration: on tables small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from persona import calibration, corpora
from persona.ablations import errors
from persona.corpora import EMOTIONS
from persona.predictions import PROBABILITIES


def clip_table(**columns):
    """Clips with plain labels where none are given."""
    n = len(next(iter(columns.values())))
    plain = {
        "clip": [f"clip{i}" for i in range(n)], "speaker": list(range(n)), "gender": "female",
        "age": 30, "race": "Asian", "ethnicity": "Hispanic", "sentence": "DFA",
        "emotion": "anger", "level": "XX", "voice_vote": "anger",
    }  # fmt: skip
    return pd.DataFrame({**plain, **columns}, index=range(n))


def predictions(clips, emotions, *, seed=0, fold=0, p_female=1.0, age=30.0):
    """One prediction a clip, sure of `emotions`."""
    table = pd.DataFrame(0.0, index=range(len(clips)), columns=PROBABILITIES)
    for row, emotion in enumerate(emotions):
        table.loc[row, f"p_{emotion}"] = 1.0
    return table.assign(clip=clips["clip"], seed=seed, fold=fold, p_female=p_female, age=age)


def people(errors_by_speaker, **columns):
    """Ten clips of each speaker with a given emotion error, and no other error."""
    n = len(errors_by_speaker)
    repeated = {name: np.repeat(values, 10) for name, values in columns.items()}
    table = clip_table(
        clip=[f"clip{i}" for i in range(10 * n)], speaker=np.repeat(range(n), 10), **repeated
    )
    return table.assign(
        emotion_error=np.repeat(errors_by_speaker, 10), gender_error=0.0, age_error=0.0
    )


def row(table, attribute, group, task="emotion"):
    chosen = (table["attribute"] == attribute) & (table["group"] == group)
    return table[chosen & (table["task"] == task)].iloc[0]


def test_a_clips_errors_are_averaged_over_seeds():
    clips = clip_table(emotion=["anger", "sad"], age=[20, 50])
    said = pd.concat(
        [
            predictions(clips, ["anger", "fear"], seed=0, age=30.0),
            predictions(clips, ["happy", "fear"], seed=1, p_female=0.2, age=40.0),
        ]
    )
    found = errors.per_clip(said, clips).set_index("clip")
    assert found["emotion_error"].tolist() == [0.5, 1.0]
    assert found["gender_error"].tolist() == [0.5, 0.5]
    assert found["age_error"].tolist() == [15.0, 15.0]
    assert found["age_bias"].tolist() == [15.0, -15.0]


def test_intensity_compares_only_clips_of_stated_intensity():
    clips = clip_table(level=["LO", "MD", "HI", "XX"])
    assert errors.attributes(clips)["intensity"].tolist()[:3] == ["low", "medium", "high"]
    assert errors.attributes(clips)["intensity"].isna().tolist() == [False, False, False, True]


def test_every_age_of_the_corpus_has_a_band():
    assert errors.attributes(corpora.clips("all"))["age"].notna().all()


def test_a_groups_error_is_over_its_own_clips():
    table = people([0.2] * 6 + [0.8] * 6, gender=["female"] * 6 + ["male"] * 6)
    groups = errors.by_group(table, permutations=200)
    female = row(groups, "gender", "female")
    assert (female["clips"], female["speakers"]) == (60, 6)
    assert female["value"] == pytest.approx(0.2)
    assert female["difference"] == pytest.approx(-0.6)


def test_a_difference_between_speakers_is_found_and_holds_after_correction():
    table = people([0.2] * 12 + [0.8] * 12, gender=["female"] * 12 + ["male"] * 12)
    found = row(errors.by_group(table, permutations=5_000), "gender", "female")
    assert found["p"] == pytest.approx(1 / 5_001)
    assert found["p_holm"] < 0.05


def test_equal_groups_do_not_differ():
    table = people([0.2, 0.8] * 12, gender=["female"] * 12 + ["male"] * 12)
    assert row(errors.by_group(table, permutations=500), "gender", "male")["p"] == 1


def test_many_clips_of_few_speakers_prove_nothing():
    """1,000 clips, but all of them of five speakers against five."""
    rng = np.random.default_rng(0)
    ps = []
    for _ in range(20):
        table = people(rng.uniform(size=10), gender=["female"] * 5 + ["male"] * 5)
        table = pd.concat([table] * 10, ignore_index=True)
        ps.append(row(errors.by_group(table, permutations=300), "gender", "male")["p"])
    assert np.mean(np.array(ps) < 0.05) < 0.25


def test_what_differs_within_speakers_is_tested_within_speakers():
    """Speakers differ by far more than the two sentences do, but each one in the same way."""
    base = np.linspace(0, 0.8, 12)
    first = people(base, sentence=["DFA"] * 12)
    second = people(base + 0.1, sentence=["IEO"] * 12).assign(clip=lambda t: t["clip"] + "x")
    groups = errors.by_group(pd.concat([first, second], ignore_index=True), permutations=5_000)
    found = row(groups, "sentence", "IEO")
    assert found["difference"] == pytest.approx(0.1)
    assert found["p"] < 0.002


def test_a_handful_of_speakers_gets_no_interval_and_no_test():
    table = people([0.2] * 4 + [0.8] * 8, race=["Asian"] * 4 + ["Caucasian"] * 8)
    groups = errors.by_group(table, permutations=100)
    assert np.isnan(row(groups, "race", "Asian")["p"])
    assert np.isnan(row(groups, "race", "Asian")["low"])
    assert np.isfinite(row(groups, "race", "Caucasian")["p"])


def test_the_age_bias_is_signed():
    clips = clip_table(age=[25, 60])
    table = errors.per_clip(predictions(clips, ["anger", "anger"], age=40.0), clips)
    bias = errors.age_bias(table)["bias"]
    assert (bias["20-29"], bias["50 and over"]) == (15, -20)


def test_a_tied_vote_counts_by_its_share():
    clips = clip_table(
        emotion=["anger", "anger", "sad", "sad"],
        voice_vote=["anger", "anger:neutral", "fear", "anger:fear:neutral"],
    )
    accuracy = errors.vote_accuracy(clips)
    assert accuracy.loc["all", "value"] == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert accuracy.loc["no tie", "value"] == pytest.approx(0.5)
    assert accuracy["clips"].tolist() == [4, 2]


def joint_of(acted, network, listeners):
    clips = clip_table(
        emotion=acted, voice_vote=listeners, speaker=[i % 2 for i in range(len(acted))]
    )
    return errors.joint(predictions(clips, network), clips)


def test_network_and_listeners_are_counted_clip_by_clip():
    counts = joint_of(
        ["anger", "anger", "sad", "sad"],
        ["anger", "fear", "sad", "fear"],
        ["anger", "anger", "fear", "fear"],
    )
    found = errors.together(counts)["value"]
    assert found["network right"] == 0.5
    assert found["listeners right"] == 0.5
    assert found["both right"] == 0.25
    assert found["only the network right"] == 0.25
    assert found["only the listeners right"] == 0.25
    assert found["neither right"] == 0.25
    assert found["same answer, of those both got wrong"] == 1


def test_what_an_emotions_difficulty_explains_is_not_agreement():
    """Both hear every anger and miss every sadness: agreement, but none within an emotion."""
    counts = joint_of(
        ["anger", "anger", "sad", "sad"],
        ["anger", "anger", "fear", "fear"],
        ["anger", "anger", "happy", "happy"],
    )
    found = errors.together(counts)["value"]
    assert found["kappa of being right"] == pytest.approx(1)
    assert found["kappa within emotions"] == pytest.approx(0)
    assert found["neither, beyond independence"] == pytest.approx(0)
    assert found["same answer, of those both got wrong"] == 0


def test_independent_answers_have_a_kappa_of_0():
    counts = joint_of(
        ["anger"] * 4, ["anger", "anger", "sad", "sad"], ["anger", "sad", "anger", "sad"]
    )
    found = errors.together(counts)["value"]
    assert found["kappa of being right"] == pytest.approx(0)
    assert found["kappa within emotions"] == pytest.approx(0)


def test_a_tied_vote_is_left_out_of_the_comparison():
    assert joint_of(["anger", "sad"], ["anger", "sad"], ["anger", "sad:fear"]).sum() == 1


def test_confusions_that_are_alike_correlate_fully():
    answers = ["fear", "fear", "sad", "happy", "disgust", "anger"]
    network, listeners, alike = errors.confusions(joint_of(list(EMOTIONS), answers, answers))
    assert (network == listeners).all()
    assert network[0, EMOTIONS.index("fear")] == 1
    assert alike == pytest.approx(1)


def test_calibration_error_is_the_mean_distance_of_accuracy_from_confidence():
    said = np.array([[0.75, 0.25]] * 4 + [[0.05, 0.95]] * 4)
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1])  # half right at 75 %, all right at 95 %
    counts = calibration.binned(said, labels, np.zeros(8, int))
    assert calibration.expected_error(counts, np.ones((1, 1)))[0] == pytest.approx(
        (0.25 + 0.05) / 2
    )
    curve = calibration.reliability(counts)
    assert curve["accuracy"].tolist() == [0.5, 1.0]
    assert curve["confidence"].tolist() == pytest.approx([0.75, 0.95])


def test_full_confidence_has_a_bin():
    counts = calibration.binned(np.array([[1.0, 0.0]]), np.array([0]), np.array([0]))
    assert counts[0, -1].tolist() == [1, 1, 1]


def test_the_temperature_that_spoiled_probabilities_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 6))
    honest = calibration.tempered(np.exp(logits), 1.0)
    labels = np.array([rng.choice(6, p=p) for p in honest])
    assert calibration.temperature(calibration.tempered(honest, 0.5), labels) == pytest.approx(
        2, rel=0.05
    )


def test_a_temperature_changes_no_answer():
    said = np.random.default_rng(0).dirichlet(np.ones(6), 100)
    assert (calibration.tempered(said, 3.0).argmax(1) == said.argmax(1)).all()
    assert calibration.tempered(said, 1.0) == pytest.approx(said)


def test_a_folds_temperature_comes_from_the_other_folds_only():
    """Fold 1 is sure and wrong: only the other fold's temperature may rise for it."""
    clips = clip_table(clip=[f"c{i}" for i in range(40)], emotion=["anger"] * 40)
    said = predictions(clips, ["anger"] * 20 + ["sad"] * 20, fold=[0] * 20 + [1] * 20)
    said[PROBABILITIES] = said[PROBABILITIES] * 0.6 + 0.4 / 6
    fitted = errors.temperatures(said, clips).set_index("fold")["emotion"]
    assert fitted[0] > 5
    assert fitted[1] < 0.5


def test_the_shipped_predictions_cover_every_clip_once_a_seed():
    said = errors.read(errors.CONFIGURATION.representation, "fcn", errors.SEEDS)
    assert sorted(said["seed"].unique()) == [0, 1, 2]
    assert not said.duplicated(["clip", "seed"]).any()
    assert set(said["clip"]) == set(corpora.clips()["clip"])
