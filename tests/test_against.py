"""Emotion against what is known of who speaks: what is learnt from, and what a report says."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from persona.folds import Split
from persona.own import voices

USUAL = np.zeros((4, 5), np.float32)
CLIPS = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
SPEAKERS = np.array(["ann", "ann", "ann", "ann", "bob", "bob", "bob", "cid"])


def heard(embeddings: np.ndarray) -> np.ndarray:
    """Probabilities that give away what was taken from the embeddings."""
    return embeddings[:, :3]


def taken(clips: np.ndarray, way: str = "own", **options) -> np.ndarray:
    answers = voices.against(clips, SPEAKERS, USUAL, heard, **options)
    return answers["alone"] - answers[way]


def test_a_clip_is_never_among_what_its_speakers_voice_is_learnt_from():
    other = CLIPS.copy()
    other[0] += 100
    before, after = taken(CLIPS), taken(other)
    assert after[0] == pytest.approx(before[0], abs=1e-4)
    assert np.abs(after[1:4] - before[1:4]).min() > 1  # of her other clips it is
    assert (after[4:] == before[4:]).all()


def test_who_has_no_other_clip_is_answered_as_everybody():
    assert not taken(CLIPS)[7].any() and taken(CLIPS)[:7].all()


def test_others_are_all_but_the_person_and_weigh_alike():
    bob, cid = CLIPS[4:7].mean(axis=0), CLIPS[7]
    assert taken(CLIPS, "others")[0] == pytest.approx(((bob + cid) / 2)[:3], abs=1e-5)
    alone = voices.against(CLIPS[:4], SPEAKERS[:4], USUAL, heard)
    assert list(alone) == ["alone", "own"]


def test_of_some_rows_the_voices_are_learnt_from_all():
    rows = np.array([6, 1])
    assert taken(CLIPS, rows=rows)[:, 0] != pytest.approx(0)
    assert taken(CLIPS, "others", rows=rows) == pytest.approx(taken(CLIPS, "others")[rows])


def corpus(emotions: list[str]) -> SimpleNamespace:
    """`CLIPS` and `SPEAKERS` as a data set."""
    clips = pd.DataFrame({
        "clip": [f"{n}" for n in range(8)], "speaker": SPEAKERS, "emotion": emotions,
        "gender": None, "age": np.nan,
    })  # fmt: skip
    return SimpleNamespace(clips=clips, embeddings=CLIPS, classes=("x", "y", "z"))


def test_what_is_usual_is_known_of_no_speaker_that_is_tested(monkeypatch):
    split = Split(np.array([0, 1, 2]), np.array([3]), np.array([4, 5, 6, 7]))
    network = SimpleNamespace(predict=lambda x: SimpleNamespace(emotion=x[:, :3]))
    monkeypatch.setattr(voices, "train_fold", lambda *_: (network, split))
    monkeypatch.setattr(voices, "Dataset", lambda *_: corpus(["x"] * 8))
    known: list[str] = []

    def usual(embeddings, labels, speakers, classes):
        known.extend(speakers)
        return USUAL

    monkeypatch.setattr(voices.voices, "usual", usual)
    rows, _ = voices.of_fold(SimpleNamespace(corpus="c", representation="r"), 0, 0)
    assert known == ["ann"] * 4 and rows.tolist() == [4, 5, 6, 7]


def test_answers_of_folds_in_any_order_are_scored_by_their_own_clips(monkeypatch):
    made = corpus([*"xyzxyzxy"])
    right = np.eye(3)[pd.Categorical(made.clips["emotion"]).codes]
    parts = [np.array([6, 1, 3]), np.array([7, 0, 2, 5, 4])]
    found = [(None, (rows, {"alone": right[rows], "own": right[rows]})) for rows in parts]
    predicted = made.clips[["clip"]].assign(
        seed=0, fold=0, p_x=1.0, p_y=0.0, p_z=0.0, p_female=0.5, age=30.0
    )
    monkeypatch.setattr(voices, "out_of_fold", lambda _: predicted)
    monkeypatch.setattr(voices, "Dataset", lambda *_: made)
    monkeypatch.setattr(voices.parallel, "run", lambda *_, **__: found)
    scored = voices.held_out(SimpleNamespace(corpus="c", seeds=[0]), ["emotion"])["by_voice"]
    assert scored["own"]["value"] == 1.0


def test_a_gain_has_an_interval_by_speaker_and_none_from_few():
    """Ten people of whom each voice mends one clip of two; of nine nothing is promised."""
    for people, sure in ((10, True), (9, False)):
        clips = pd.DataFrame({
            "clip": [f"{n}" for n in range(2 * people)], "emotion": ["x", "y"] * people,
            "speaker": np.repeat([f"s{n}" for n in range(people)], 2),
            "gender": None, "age": np.nan,
        })  # fmt: skip
        predicted = clips[["clip"]].assign(seed=0, fold=0, p_x=1.0, p_y=0.0, p_female=0.5, age=30.0)
        right = np.tile(np.eye(2), (people, 1))
        wrong = predicted[["p_x", "p_y"]].to_numpy()
        scored = voices.scored(predicted, {"alone": wrong, "own": right}, clips)
        assert (scored["alone"]["value"], scored["own"]["value"]) == (0.5, 1.0)
        assert scored["own"]["gain"] == {"value": 0.5, "low": 0.5, "high": 0.5} or not sure
        text = "\n".join(voices.lines({"by_voice": scored}))
        assert ("their own voice            1.000 [1.000, 1.000]" in text) == sure
        assert ("+50.0 [+50.0, +50.0] points" in text) == sure and "+50.0" in text


def test_an_age_for_each_person_is_the_mean_of_their_clips():
    clips = pd.DataFrame({"clip": ["a", "b", "c"], "speaker": ["x", "x", "y"], "emotion": None,
                          "gender": None, "age": [30.0, 30, np.nan]})  # fmt: skip
    predicted = clips[["clip"]].assign(seed=0, fold=0, p_x=1.0, p_female=0.5, age=[20.0, 44, 99])
    assert voices.ages(predicted, clips) == {"value": 2.0, "low": None, "high": None}
