"""A split with shared speakers is caught, and what of its numbers is memory is measured."""

import numpy as np
import pytest
import toys
from made_voices import table

from persona import cli, corpora
from persona.errors import CorpusError
from persona.own import audit


@pytest.fixture(scope="module")
def clips():
    """Twenty people whose ages their voices do not tell."""
    table = toys.clips(20, 12)
    rng = np.random.default_rng(3)
    table["age"] = rng.uniform(20, 70, 20)[table["speaker"]]
    return table.assign(mixed=np.arange(len(table)) % 3, apart=table["speaker"] % 4)


@pytest.fixture(scope="module")
def embeddings(clips):
    """Who is speaking, in twenty dimensions; the emotion in six; nothing of age."""
    rng = np.random.default_rng(0)
    return np.hstack(
        [
            15 * np.eye(20)[clips["speaker"]] + rng.normal(size=(len(clips), 20)),
            toys.embeddings(clips)[:, :6],
        ]
    ).astype(np.float32)


def test_shared_speakers_are_counted_and_memory_is_told_from_hearing(clips, embeddings):
    found = audit.audit(clips, embeddings, "mixed")
    assert (found.speakers, found.shared) == (20, 20) and found.recognised > 0.9
    age, emotion = found.scores.loc["age"]["value"], found.scores.loc["emotion"]["value"]
    assert age["as split"] < 0.5 * age["constant"] < age["by speaker"]
    assert age["exchanged"] < 0.5 * age["constant"], "it learns whatever ages it is told"
    assert emotion["as split"] == pytest.approx(emotion["by speaker"], abs=0.08)
    assert "Of 20 speakers who are tested, 20 are trained on too." in found.page()
    lost = found.lost.loc["age"]
    assert lost["difference"] == pytest.approx(age["as split"] - age["by speaker"])
    assert lost["high"] < 0 and "years of what the split reports are lost." in found.page()


def test_a_split_by_speaker_is_cleared(clips, embeddings):
    found = audit.audit(clips, embeddings, "apart")
    assert found.shared == 0
    assert "none of it is memory" in found.page() and "Looked up" not in found.page()


def test_train_and_test_in_words_are_one_split(clips):
    table = clips.assign(split=np.where(clips["speaker"] < 5, "Test", "train"))
    (only,) = audit.splits(table, "split")
    assert len(only.test) == 60 and len(only.train) == 180


def test_both_ways_are_scored_on_the_clips_that_the_split_tests(clips, embeddings):
    table = clips.assign(split=np.where(np.arange(len(clips)) % 12 < 4, "test", "train"))
    found = audit.audit(table, embeddings, "split")
    assert found.speakers == found.shared == 20
    assert "of what the split reports are lost" in found.page()


def test_exchanged_labels_tell_the_speaker_only(clips):
    changed = audit.exchanged(clips, np.random.default_rng(0))
    assert (changed.groupby("speaker")["age"].nunique() == 1).all()
    assert sorted(changed["age"]) == sorted(clips["age"])
    assert not changed["age"].equals(clips["age"])
    pairs = changed.assign(was=clips["emotion"]).groupby(["speaker", "was"])["emotion"]
    assert (pairs.nunique() == 1).all()


def test_predictions_that_are_given_stand_beside_what_memory_scores(clips, embeddings):
    """A model that knows every face: right of age, no better than a guess of emotion."""
    told = clips.assign(
        age_predicted=clips["age"] + 1, emotion_predicted="furious", note="kept"
    )  # fmt: skip
    found = audit.audit(told, embeddings, "mixed")
    ages, emotions = found.scores.loc["age"], found.scores.loc["emotion"]
    assert ages.loc["given", "value"] == pytest.approx(1) and emotions.loc["given", "value"] == 0
    assert "given" not in found.scores.loc["gender"].index
    gained = found.gained.loc["age"]
    assert gained["difference"] == pytest.approx(1 - ages.loc["looked up", "value"])
    assert list(found.gained.index) == ["emotion", "age"]
    page = found.page()
    assert (
        "The predictions given: 1.0 [1.0, 1.0] years of error (RMSE), better than looking" in page
    )
    alone = audit.audit(clips, embeddings, "mixed")
    assert (alone.scores["value"] == found.scores.loc[alone.scores.index, "value"]).all()
    assert alone.gained.empty and "predictions given" not in alone.page()


def test_predictions_under_a_split_by_speaker_are_compared_with_the_constant(clips, embeddings):
    found = audit.audit(clips.assign(gender_predicted=clips["gender"]), embeddings, "apart")
    assert found.scores.loc[("gender", "given"), "value"] == 1
    assert "given: 100.0 [100.0, 100.0] %, better than one answer for all by" in found.page()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age_predicted", "old", "age_predicted of .* is 'old', which is no age"),
        ("age_predicted", None, "age_predicted of .* is 'None', which is no age"),
        ("gender_predicted", "f", "'f', which is no gender"),
        ("emotion_predicted", "", "'', which is no emotion"),
    ],
)
def test_a_prediction_that_is_none_is_one_sentence(clips, embeddings, column, value, words):
    with pytest.raises(CorpusError, match=words):
        audit.audit(clips.assign(**{column: value}), embeddings, "mixed")


def test_a_clip_without_a_label_needs_no_prediction(clips, embeddings):
    known = (clips["speaker"] > 3) & ~((clips["speaker"] == 4) & (clips["mixed"] > 0))
    told = clips.assign(age=clips["age"].where(known), age_predicted=clips["age"].where(known))
    found = audit.audit(told, embeddings, "mixed")
    assert np.isfinite(found.scores["value"].astype(float)).all()
    assert found.scores.loc[("age", "given"), "value"] == pytest.approx(0, abs=1e-5)


def test_a_task_that_is_not_trained_on_in_some_fold_is_left_out(clips, embeddings):
    table = clips.assign(age=clips["age"].where(clips["mixed"] == 0), split="train")
    table.loc[table["mixed"] == 0, "split"] = "test"
    assert "age" not in audit.audit(table, embeddings, "split").scores.index


def test_more_folds_than_speakers_are_as_many_as_there_are(clips, embeddings):
    table = clips[clips["speaker"] < 6].assign(fold=lambda rows: np.arange(len(rows)) % 9)
    found = audit.audit(table, embeddings[: len(table)], "fold")
    assert found.speakers == found.shared == 6


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({}, "fold", "no column 'fold'"),
        ({"fold": "one"}, "fold", "is no split"),
        ({"fold": ""}, "fold", "is empty for"),
        ({"fold": ["train", *["test"] * 239]}, "fold", "trains on 1 speakers with 1 clips at most"),
        ({"speaker": range(240)}, "mixed", "trains on 160 speakers with 1 clips at most"),
    ],
)
def test_what_is_no_split_is_one_sentence(clips, changes, column, words):
    with pytest.raises(CorpusError, match=words):
        audit.splits(clips.assign(**changes), column)


def test_the_command_answers_on_made_voices(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    path = table(tmp_path / "audio")
    clips = corpora.load(path).clips()
    lines = (tmp_path / "audio" / "mine.csv").read_text().splitlines()
    rows = [f"{line},{n % 3}" for n, line in enumerate(lines[1:])]
    (tmp_path / "audio" / "mine.csv").write_text("\n".join([lines[0] + ",fold", *rows]))
    page = tmp_path / "audit.html"
    assert cli.main(["audit", path, "--split", "fold", "--jobs", "1", "--out", str(page)]) == 0
    assert f"Of {clips['speaker'].nunique()} speakers who are tested" in capsys.readouterr().out
    assert (
        page.read_text().startswith("<!doctype html>") and "<td>looked up</td>" in page.read_text()
    )
