"""speechocean762: ten clips of each speaker, evenly spaced; age and gender, but no emotion."""

import json

import numpy as np
import pandas as pd
import pytest
from crema_d_samples import REPOSITORY, build_other_tables, save_wav, sha256

from persona import evaluation
from persona.corpora import Speechocean
from persona.errors import CorpusError
from persona.labels import EMOTIONS

HOME = REPOSITORY / "data" / "speechocean762"


@pytest.fixture
def checkout(tmp_path):
    """Two speakers of twenty clips each."""
    for part, speaker in (("train", "0001"), ("test", "0002")):
        (tmp_path / part).mkdir()
        (tmp_path / "WAVE" / f"SPEAKER{speaker}").mkdir(parents=True)
        clips = [f"{speaker}{i:03d}" for i in range(20)]
        for number, clip in enumerate(clips):
            samples = np.arange(4000) + number
            save_wav(tmp_path / "WAVE" / f"SPEAKER{speaker}" / f"{clip}.WAV", samples)
        lines = "".join(f"{clip} {speaker}\n" for clip in clips)
        (tmp_path / part / "utt2spk").write_text(lines)
        (tmp_path / part / "spk2age").write_text(f"{speaker} 7\n")
        (tmp_path / part / "spk2gender").write_text(f"{speaker} f\n")
    return tmp_path


def test_clips_are_evenly_spaced_and_read_as_far_as_they_are_listed(checkout, monkeypatch):
    monkeypatch.setenv("PERSONA_DATA", str(checkout / "data"))
    chosen = build_other_tables.speechocean(checkout)
    assert list(chosen["clip"][:3]) == ["0001000", "0001002", "0001004"] and len(chosen) == 20
    assert set(chosen["gender"]) == {"female"} and set(chosen["age"]) == {7}
    corpus = Speechocean(checkout)
    assert corpus.clips()["clip"].tolist() == chosen["clip"].tolist()
    assert corpus.file("0001002") == checkout / "WAVE" / "SPEAKER0001" / "0001002.WAV"
    assert corpus.problems() == []
    assert np.array_equal(corpus.waveform("0001002") * 32768, np.arange(4000) + 2)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="utt2spk is missing"):
        build_other_tables.speechocean(tmp_path)


def test_there_are_ten_clips_of_each_of_250_people():
    clips = Speechocean().clips()
    assert (clips.groupby("speaker").size() == build_other_tables.CLIPS).all()
    people = clips.drop_duplicates("speaker")
    assert len(people) == 250
    assert (people["age"] < 18).sum() == 122
    assert people["speaker"].str.len().eq(4).all()


def test_provenance_names_the_committed_table():
    provenance = json.loads((HOME / "provenance.json").read_text())
    assert provenance["sha256"] == sha256((HOME / "clips.csv").read_bytes())
    assert provenance["fingerprint"] == Speechocean().fingerprint()
    assert provenance["commit"] == build_other_tables.SPEECHOCEAN_COMMIT


def test_no_emotion_is_claimed_nor_scored():
    """An invented label would train the emotion head, and ship scores against nothing."""
    clips = Speechocean().clips()
    assert clips["emotion"].isna().all()
    guess = pd.DataFrame(
        {"clip": clips["clip"], "seed": 0, "fold": 0, "p_female": 1.0, "age": 30.0}
    )
    guess[[f"p_{name}" for name in EMOTIONS]] = 1 / 6
    scored = evaluation.evaluate(guess, clips)["value"]
    assert np.isnan(scored["emotion_accuracy"])
    assert 0 < scored["gender_accuracy"] < 1 and scored["age_rmse"] > 5
