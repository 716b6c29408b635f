"""EmoDB: labels are read off its names, boredom is dropped, the committed table is the corpus's."""

import json

import numpy as np
import pytest
from crema_d_samples import REPOSITORY, SHARED, build_other_tables, needs_emodb, save_wav, sha256

from persona.corpora import EmoDB
from persona.errors import CorpusError

HOME = REPOSITORY / "data" / "emodb"


def test_names_are_read_and_boredom_is_dropped(tmp_path):
    for name in ("03a01Fa.wav", "16b10Wb.wav", "14a05Lb.wav", "08a02Tc.wav"):
        save_wav(tmp_path / name, np.arange(8000))
    rows = build_other_tables.emodb(tmp_path, tmp_path / "out")
    columns = ["clip", "speaker", "age", "gender", "emotion", "seconds"]
    assert [tuple(row) for row in rows[columns].to_numpy()] == [
        ("03a01Fa", 3, 31, "male", "happy", 0.5),
        ("08a02Tc", 8, 34, "female", "sad", 0.5),
        ("16b10Wb", 16, 31, "female", "anger", 0.5),
    ]


@pytest.mark.parametrize("name", ["song", "99a01Fa", "03a01Xa", "x"])
def test_a_name_that_is_not_emodbs_is_refused(name):
    with pytest.raises(CorpusError, match=f"{name} is not named like a clip of EmoDB"):
        build_other_tables.labels(name)


def test_a_folder_without_emodb_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="There is no WAV or FLAC file of EmoDB in"):
        build_other_tables.emodb(tmp_path / "nowhere")


def test_counts_are_the_published_ones():
    rows = EmoDB().clips()
    assert rows["emotion"].value_counts().to_dict() == {
        "anger": 127, "neutral": 79, "happy": 71, "fear": 69, "sad": 62, "disgust": 46,
    }  # fmt: skip
    actors = rows.drop_duplicates("speaker").set_index("speaker")
    assert actors["gender"].value_counts().to_dict() == {"male": 5, "female": 5}
    assert actors["age"].to_dict() == {
        3: 31, 8: 34, 9: 21, 10: 32, 11: 26, 12: 30, 13: 32, 14: 35, 15: 25, 16: 31,
    }  # fmt: skip


def test_provenance_names_the_committed_table():
    provenance = json.loads((HOME / "provenance.json").read_text())
    assert provenance["sha256"] == sha256((HOME / "clips.csv").read_bytes())
    assert provenance["fingerprint"] == EmoDB().fingerprint()
    assert (provenance["licence"], provenance["citation"]) == (EmoDB.licence, EmoDB.citation)


@needs_emodb
def test_the_committed_table_is_what_the_audio_gives(tmp_path):
    audio = SHARED / "emodb" / "audio"
    build_other_tables.emodb(audio, tmp_path)
    for name in ("clips.csv", "provenance.json"):
        assert (tmp_path / name).read_bytes() == (HOME / name).read_bytes()
    assert EmoDB(audio).problems() == []


@needs_emodb
def test_another_clips_audio_is_refused(tmp_path):
    flac = (SHARED / "emodb" / "audio" / "03a01Fa.flac").read_bytes()
    (tmp_path / "03a01Nc.flac").write_bytes(flac)
    with pytest.raises(CorpusError, match="does not hold the audio that EmoDB publishes as 03a01N"):
        EmoDB(tmp_path).waveform("03a01Nc")
