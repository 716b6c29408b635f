"""A table of one's own is a corpus; what is wrong with it is one sentence that names the row."""

import os

import numpy as np
import pandas as pd
import pytest
from crema_d_samples import save_wav

from persona.corpora import Table
from persona.errors import CorpusError


@pytest.fixture
def write(tmp_path):
    def write(text, name="my.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_labels_are_read_and_other_columns_kept(write):
    clips = Table(write("file,speaker,age,room,emotion,gender\nb.wav,2,31.5,hall,joy,male\n"
                        "a.wav,1,,,,\n")).clips()  # fmt: skip
    assert list(clips.columns) == ["clip", "speaker", "gender", "age", "emotion", "room"]
    assert clips["clip"].tolist() == ["a.wav", "b.wav"]
    assert clips.loc[1].tolist() == ["b.wav", "2", "male", 31.5, "joy", "hall"]
    assert clips.loc[0, ["gender", "age", "emotion"]].isna().all()


def test_labels_that_no_column_names_are_missing(write):
    clips = Table(write("file,speaker\na.wav,x\n")).clips()
    assert clips[["gender", "age", "emotion"]].isna().all(axis=None)


def test_a_class_may_be_called_none_or_na(write):
    clips = Table(write("file,speaker,emotion\na.wav,NA,None\n")).clips()
    assert clips.loc[0, ["speaker", "emotion"]].tolist() == ["NA", "None"]


def test_a_byte_order_mark_is_no_part_of_a_name(write):
    assert len(Table(write("\ufefffile,speaker\na.wav,x\n")).clips()) == 1


def test_parquet_is_read_like_csv(tmp_path):
    frame = pd.DataFrame(
        {"file": ["a.wav", "b.wav"], "speaker": [1, 2], "age": [30, None], "level": [0.5, 1.5]}
    )
    frame.to_parquet(tmp_path / "my.parquet")
    clips = Table(tmp_path / "my.parquet").clips()
    assert clips["speaker"].tolist() == ["1", "2"]
    assert clips["age"].tolist()[0] == 30 and np.isnan(clips["age"][1])
    assert clips["level"].tolist() == [0.5, 1.5]


def test_a_file_that_is_the_index_of_parquet_is_a_column_too(tmp_path):
    frame = pd.DataFrame({"file": ["b.wav", "a.wav"], "speaker": ["x", "y"]}).set_index("file")
    frame.to_parquet(tmp_path / "my.parquet")
    assert Table(tmp_path / "my.parquet").clips()["clip"].tolist() == ["a.wav", "b.wav"]


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_metadata_of_an_audiofolder_are_read(write, name):
    text = {
        "metadata.jsonl": '{"file_name": "ü.wav", "speaker": 1, "age": 30, "emotion": null}\n\n'
        '{"file_name": "a b.wav", "speaker": 2, "gender": "male"}\n',
        "metadata.csv": "file_name,speaker,age,gender\nü.wav,1,30,\na b.wav,2,,male\n",
    }[name]
    clips = Table(write(text, name)).clips()
    assert clips["clip"].tolist() == ["a b.wav", "ü.wav"]
    assert clips["speaker"].tolist() == ["2", "1"] and clips["age"].tolist()[1] == 30
    assert clips["gender"].tolist()[0] == "male" and clips["emotion"].isna().all()


@pytest.mark.parametrize("start", ["", "0", "0.0", "0 days", "0 days 00:00:00", "00:00:00.000"])
def test_a_row_that_starts_with_its_file_is_the_whole_file(write, start):
    assert len(Table(write(f"file,start,end,speaker\na.wav,{start},,x\n")).clips()) == 1


def test_a_whole_file_of_audformat_in_parquet_is_read(tmp_path):
    frame = pd.DataFrame({"file": ["a.wav"], "start": pd.to_timedelta([0]),
                          "end": pd.to_timedelta([None]), "speaker": ["x"]})  # fmt: skip
    frame.to_parquet(tmp_path / "my.parquet")
    assert len(Table(tmp_path / "my.parquet").clips()) == 1
    frame.assign(end=pd.to_timedelta([2], unit="s")).to_parquet(tmp_path / "my.parquet")
    with pytest.raises(CorpusError, match="end 0 days 00:00:02"):
        Table(tmp_path / "my.parquet")


@pytest.mark.parametrize(
    ("start", "end"), [("1.5", ""), ("0 days 00:00:01.5", ""), ("10", "20"), ("0", "2.5")]
)
def test_a_part_of_a_file_is_refused_and_not_taken_for_the_file(write, start, end):
    with pytest.raises(CorpusError, match=r"Row 1 of .* is a part of a.wav .* only whole files"):
        Table(write(f"file,start,end,speaker\na.wav,{start},{end},x\n"))


def test_files_are_relative_to_the_table_and_fingerprinted(write, tmp_path):
    (tmp_path / "sub").mkdir()
    save_wav(tmp_path / "sub" / "a.wav", np.arange(4000))
    table = Table(write("file,speaker\nsub/a.wav,x\n"))
    assert table.file("sub/a.wav") == tmp_path / "sub" / "a.wav"
    assert len(table.waveform("sub/a.wav")) == 4000
    before = table.fingerprint()
    save_wav(tmp_path / "sub" / "a.wav", np.arange(4001))
    assert table.fingerprint() != before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,speaker\na.wav,x\n", "has no column 'file' among path, speaker: name one so"),
        ("file;speaker\na.wav;x\n", "has no column 'file' among file;speaker"),
        ("file,emotion\na.wav,x\n", "has no column 'speaker'"),
        ("file,speaker,clip\na.wav,x,y\n", "has a column 'clip'"),
        ("file,speaker\n", "lists no clips"),
        ("", "cannot be read as a table"),
        ("file,speaker\na.wav,x\n,x\n", r"Row 2 of .*my.csv names no file"),
        ("file,speaker\na.wav,x\nb.wav,\n", r"Row 2 of .*my.csv \(b.wav\) names no speaker"),
        ("file,speaker\na.wav\n", r"Row 1 of .*my.csv \(a.wav\) names no speaker"),
        ("file,speaker\na.wav,x\nb.wav,x\n./a.wav,y\n",
         r"Row 3 of .* names the file ./a.wav as row 1 does"),
        ("file,speaker,age\na.wav,x,old\n", r"Row 1 of .* \(a.wav\) has the age 'old': write"),
        ("file,speaker,age\na.wav,x,nan\n", "has the age 'nan'"),
        ("file,speaker,age\na.wav,x,-3\n", "has the age '-3'"),
        ("file,speaker,age\na.wav,x,1985\n", "has the age '1985'"),
        ("file,speaker,gender\na.wav,x,m\n", "has the gender 'm': write female, male or none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(write, text, sentence):
    with pytest.raises(CorpusError, match=sentence):
        Table(write(text))


def test_a_table_that_is_none_is_one_sentence(tmp_path, write):
    with pytest.raises(CorpusError, match=r"There is no table of clips .*nowhere.csv"):
        Table(tmp_path / "nowhere.csv")
    for name in ("my.parquet", "my.jsonl"):
        with pytest.raises(CorpusError, match="cannot be read as a table"):
            Table(write("neither", name))
    (tmp_path / "latin.csv").write_bytes("file,speaker\nä.wav,x\n".encode("latin-1"))
    with pytest.raises(CorpusError, match="cannot be read as a table"):
        Table(tmp_path / "latin.csv")


def test_a_missing_file_and_a_pipe_are_named_and_not_waited_for(write, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    table = Table(write("file,speaker\na.wav,x\npipe.wav,x\n"))
    assert [str(p) for p in table.problems()] == ["a.wav: missing", "pipe.wav: missing"]
    with pytest.raises(CorpusError, match=r"a.wav, which .*my.csv names, is missing"):
        table.fingerprint()
