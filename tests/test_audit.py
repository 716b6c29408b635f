"""A split with shared speakers is caught, and what of its numbers is memory is measured."""

import numpy as np
import pytest
import toys
from made_voices import table

from persona import cli, corpora
from persona.errors import CorpusError
from persona.study import audit


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


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({}, "fold", "no column 'fold'"),
        ({"fold": "one"}, "fold", "is no split"),
        ({"fold": ""}, "fold", "is empty for"),
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
    assert cli.main(["audit", path, "--split", "fold", "--jobs", "1"]) == 0
    assert f"Of {clips['speaker'].nunique()} speakers who are tested" in capsys.readouterr().out
