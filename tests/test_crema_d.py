"""CREMA-D is a faithful table with named oddities, built from the official files."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from crema_d_samples import (
    REPOSITORY,
    SHARED,
    build_crema_d_table,
    needs_crema,
    save_wav,
    sha256,
    small_corpus,
)

from persona import corpora
from persona.corpora import CremaD
from persona.corpora.crema_d import COMMIT, SENTENCES
from persona.errors import CorpusError
from persona.keeping import store
from persona.labels import EMOTIONS


@pytest.fixture
def official(tmp_path, monkeypatch):
    return small_corpus(tmp_path, monkeypatch)


# The committed table


def test_the_table_counts_what_the_corpus_is_known_to_hold():
    table = CremaD("all").clips()
    assert len(table) == table["clip"].nunique() == 7442
    assert table["clip"].is_monotonic_increasing
    assert table["emotion"].value_counts().to_dict() == {
        "anger": 1271,
        "disgust": 1271,
        "fear": 1271,
        "happy": 1271,
        "sad": 1271,
        "neutral": 1087,
    }
    actors = table.drop_duplicates("speaker")
    assert actors["gender"].value_counts().to_dict() == {"male": 48, "female": 43}
    assert (actors["age"].min(), actors["age"].max()) == (20, 74)
    assert sorted(table["sentence"].unique()) == list(SENTENCES)
    assert set(table["level"]) == {"LO", "MD", "HI", "XX"}
    assert int(table["wav_bytes"].sum()) == 605_899_936
    assert table["seconds"].sum() / 3600 == pytest.approx(5.26, abs=0.005)
    assert table["seconds"].median() == pytest.approx(2.50, abs=0.005)


def test_the_vote_by_voice_keeps_ties():
    """Cao et al. (2014): single listeners named the intended emotion in 40.9 % of trials."""
    table = CremaD("all").clips()
    votes = table["voice_vote"].str.split(":")
    assert {name for vote in votes for name in vote} == set(EMOTIONS)
    assert all(vote == sorted(vote) for vote in votes)
    assert int((votes.str.len() > 1).sum()) == 644
    assert int((table["voice_vote"] == table["emotion"]).sum()) == 3099  # 41.6 %


def test_provenance_names_the_committed_table():
    home = REPOSITORY / "data" / "crema-d"
    provenance = json.loads((home / "provenance.json").read_text())
    assert provenance["sha256"] == sha256((home / "clips.csv").read_bytes())
    assert provenance["rows"] == 7442
    assert provenance["commit"] == COMMIT
    assert provenance["fingerprint"] == CremaD().fingerprint()


@needs_crema
def test_the_table_agrees_with_the_official_files():
    table = CremaD("all").clips().set_index("clip")
    with open(SHARED / "crema-d" / "manifest.csv") as file:
        manifest = {r["clip"]: (r["wav_sha256"], int(r["wav_bytes"])) for r in csv.DictReader(file)}
    assert (
        dict(
            zip(table.index, zip(table["wav_sha256"], table["wav_bytes"], strict=True), strict=True)
        )
        == manifest
    )
    with open(SHARED / "crema-d" / "VideoDemographics.csv") as file:
        actors = {int(row["ActorID"]): row for row in csv.DictReader(file)}
    with open(SHARED / "crema-d" / "summaryTable.csv") as file:
        votes = {row["FileName"]: row["VoiceVote"] for row in csv.DictReader(file)}
    for clip, row in table.iterrows():
        actor = actors[int(clip[:4])]
        assert (row["speaker"], row["age"]) == (int(clip[:4]), int(actor["Age"]))
        assert row["gender"] == actor["Sex"].lower()
        assert (row["race"], row["ethnicity"]) == (actor["Race"], actor["Ethnicity"])
        assert f"{row['sentence']}_{row['emotion'][:3].upper()}_{row['level']}" == clip[5:]
        assert ":".join(n[0].upper() for n in row["voice_vote"].split(":")) == votes[clip]
    inputs = json.loads((REPOSITORY / "data/crema-d/provenance.json").read_text())["inputs_sha256"]
    assert {Path(name).name: digest for name, digest in inputs.items()} == {
        name: sha256((SHARED / "crema-d" / name).read_bytes())
        for name in ("VideoDemographics.csv", "summaryTable.csv")
    }


def test_votes_are_counted_for_every_clip_and_their_leader_is_the_vote_of_the_table():
    table, votes = CremaD("all").clips(), corpora.votes()
    assert list(votes["clip"]) == list(table["clip"])
    counts = votes[list(EMOTIONS)]
    assert counts.sum(axis=1).between(4, 12).all()
    leads = counts.eq(counts.max(axis=1), axis=0)
    leaders = leads.apply(lambda row: ":".join(name for name in EMOTIONS if row[name]), axis=1)
    assert list(leaders) == list(table["voice_vote"])


@needs_crema
def test_durations_and_silence_in_the_table_are_those_of_the_audio():
    table = CremaD("all").clips().set_index("clip")
    silent = set()
    for path in (SHARED / "crema-d" / "audio").glob("*.flac"):
        samples, rate = soundfile.read(path, dtype="int16")
        assert table.at[path.stem, "seconds"] == len(samples) / rate
        if not samples.any():
            silent.add(path.stem)
    assert silent == set(table.index[table["silent"]]) == {"1076_MTI_SAD_XX"}


# Oddities and policies


def test_code_finds_the_known_oddities_of_the_corpus():
    found = corpora.oddities()
    assert dict(zip(found["clip"], found["oddity"], strict=True)) == {
        "1006_TIE_HAP_XX": "duplicate",
        "1006_TIE_NEU_XX": "duplicate",
        "1013_WSI_DIS_XX": "duplicate",
        "1013_WSI_SAD_XX": "duplicate",
        "1017_IWW_ANG_XX": "duplicate",
        "1017_IWW_FEA_XX": "duplicate",
        "1076_MTI_SAD_XX": "silent",
    }
    detail = found.set_index("clip").at["1017_IWW_ANG_XX", "detail"]
    assert detail == "byte-identical to 1017_IWW_FEA_XX"


def test_the_clean_policy_leaves_out_the_oddities_and_nothing_else():
    everything, clean = CremaD("all").clips(), CremaD().clips()
    assert set(everything["clip"]) - set(clean["clip"]) == set(corpora.oddities()["clip"])
    assert len(clean) == 7435
    assert list(clean.index) == list(range(7435))


def test_oddities_are_looked_for_in_any_table(official):
    found = corpora.oddities()
    assert list(zip(found["clip"], found["oddity"], strict=True)) == [
        ("1002_TIE_HAP_XX", "duplicate"),
        ("1002_TIE_NEU_XX", "duplicate"),
        ("1002_MTI_SAD_XX", "silent"),
    ]
    without = CremaD("all").clips().query("clip != '1002_TIE_HAP_XX' and not silent")
    assert corpora.oddities(without).empty


@pytest.mark.parametrize(
    ("samples", "silent"),
    [([0, 0, 0], True), ([7, 7, 7], True), ([0, 0, 1], False), ([], True), ([-1, 1], False)],
)
def test_silence_is_a_waveform_that_never_moves(samples, silent):
    assert build_crema_d_table.is_silent(np.array(samples, dtype=np.int16)) is silent


def test_an_unknown_policy_is_refused():
    with pytest.raises(CorpusError, match="no clip policy 'tidy'; use one of clean, all"):
        CremaD("tidy")


def test_a_missing_table_is_one_clear_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match=r"clips\.csv is missing: restore it"):
        CremaD().clips()


def test_the_fingerprint_depends_on_every_clip_but_not_on_policy(official):
    lines = "".join(
        f"{path.stem} {sha256(path.read_bytes())}\n" for path in sorted(official.iterdir())
    )
    assert CremaD("all").fingerprint() == sha256(lines.encode())
    assert CremaD("clean").fingerprint() == sha256(lines.encode())


def test_only_the_published_audio_is_answered_with(official):
    corpus = CremaD("all", official)
    samples, _ = soundfile.read(official / "1001_IEO_ANG_HI.wav", dtype="float32")
    assert np.array_equal(corpus.waveform("1001_IEO_ANG_HI"), samples)
    shutil.copy(official / "1001_IEO_ANG_HI.wav", official / "1001_IEO_NEU_XX.wav")
    with pytest.raises(CorpusError, match=r"1001_IEO_NEU_XX.wav does not hold the audio that"):
        corpus.waveform("1001_IEO_NEU_XX")


def test_a_silent_clip_is_read_and_a_flac_is_as_good_as_a_wav(official, tmp_path):
    samples, rate = soundfile.read(official / "1002_MTI_SAD_XX.wav", dtype="int16")
    soundfile.write(tmp_path / "1002_MTI_SAD_XX.flac", samples, rate)
    assert not CremaD("all", tmp_path).waveform("1002_MTI_SAD_XX").any()


# Building the table


def test_a_row_says_what_the_official_files_say(official):
    row = CremaD("all").clips().set_index("clip").loc["1001_IEO_ANG_HI"]
    data = (official / "1001_IEO_ANG_HI.wav").read_bytes()
    assert row.to_dict() == {
        "speaker": 1001,
        "age": 51,
        "gender": "male",
        "race": "Caucasian",
        "ethnicity": "Not Hispanic",
        "sentence": "IEO",
        "emotion": "anger",
        "level": "HI",
        "seconds": (len(data) - 44) / 32000,
        "wav_sha256": sha256(data),
        "wav_bytes": len(data),
        "voice_vote": "anger:disgust:neutral",
        "silent": False,
    }


def test_votes_on_the_voice_are_kept_and_others_left_out(official, tmp_path):
    rows = ["100002,0,0,0,3,6,0,1001_B", "100001,7,1,0,0,0,2,1001_A", "200001,0,0,0,9,0,0,1001_A"]
    file = official.parent / "processedResults" / "tabulatedVotes.csv"
    file.write_text("\n".join([",A,D,F,H,N,S,fileName", *rows]))
    votes = store.read_table(build_crema_d_table.build_votes(official.parent, tmp_path))
    assert {name: column.tolist() for name, column in votes.columns.items()} == {
        "clip": ["1001_A", "1001_B"],
        "anger": [7, 0],
        "disgust": [1, 0],
        "fear": [0, 0],
        "happy": [0, 3],
        "neutral": [0, 6],
        "sad": [2, 0],
    }
    assert votes.provenance["source_sha256"] == sha256(file.read_bytes())


def test_a_checkout_without_votes_is_refused(official, tmp_path):
    with pytest.raises(CorpusError, match=r"holds no processedResults/tabulatedVotes\.csv"):
        build_crema_d_table.build_votes(official.parent, tmp_path)


def to_pointers(checkout, audio):
    """Turn a checkout into what a clone without Git LFS holds; the audio goes elsewhere."""
    shutil.copytree(checkout / "AudioWAV", audio)
    for path in (checkout / "AudioWAV").iterdir():
        data = path.read_bytes()
        path.write_text(
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{sha256(data)}\nsize {len(data)}\n"
        )


def test_the_table_is_the_same_from_pointers_and_from_audio(official, tmp_path):
    to_pointers(official.parent, tmp_path / "audio")
    build_crema_d_table.build_table(official.parent, tmp_path / "again", audio=tmp_path / "audio")
    for name in ("clips.csv", "provenance.json"):
        assert (tmp_path / "again" / name).read_bytes() == (
            tmp_path / "data" / "crema-d" / name
        ).read_bytes()


def test_pointers_alone_cannot_tell_silence(official, tmp_path):
    to_pointers(official.parent, tmp_path / "audio")
    with pytest.raises(CorpusError, match="is a Git LFS pointer: give the folder"):
        build_crema_d_table.build_table(official.parent, tmp_path / "again")


def test_audio_that_differs_from_its_pointer_is_refused(official, tmp_path):
    to_pointers(official.parent, tmp_path / "audio")
    save_wav(tmp_path / "audio" / "1001_IEO_NEU_XX.wav", np.arange(4000))
    with pytest.raises(CorpusError, match=r"1001_IEO_NEU_XX\.wav is not the one"):
        build_crema_d_table.build_table(
            official.parent, tmp_path / "again", audio=tmp_path / "audio"
        )


def test_another_wav_layout_is_refused(official, tmp_path):
    soundfile.write(official / "1001_IEO_NEU_XX.wav", np.zeros(4000), 44100)
    with pytest.raises(CorpusError, match=r"NEU_XX\.wav is not a 16 kHz, mono, 16-bit WAV"):
        build_crema_d_table.build_table(official.parent, tmp_path / "again")


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="is not a checkout of CREMA-D"):
        build_crema_d_table.build_table(tmp_path, tmp_path / "out")


def test_a_clip_without_labels_is_refused(official, tmp_path):
    save_wav(official / "1099_IEO_ANG_HI.wav", np.arange(4000))
    with pytest.raises(CorpusError, match="do not label the clip 1099_IEO_ANG_HI"):
        build_crema_d_table.build_table(official.parent, tmp_path / "again")
