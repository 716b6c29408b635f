"""A table of one's own is a corpus; what is wrong with it is one sentence that names the row."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from crema_d_samples import save_wav

from persona import corpora
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


@pytest.mark.parametrize(
    "nothing",
    ["NA", "None", "nan", "N/A", "-", "unknown", "null", "?", "<NA>", "n.a.", "(blank)",
     "Not known", "not_available", "[None]",
     "#VALUE!", "#REF!", "#N/A", "\u2013", "xxx", "anonymous"],
)  # fmt: skip
def test_a_word_for_not_known_is_no_class_and_no_speaker(write, nothing):
    path = write(f"file,speaker,emotion\na.wav,x,joy\nb.wav,x,{nothing}\n")
    with pytest.raises(CorpusError, match=r"Row 2 of .* \(b.wav\) has the emotion .*empty.*--map"):
        Table(path)
    assert Table(path, meant=[nothing]).clips()["emotion"].tolist() == ["joy", nothing]
    with pytest.raises(CorpusError, match=r"has the speaker .* one person of many"):
        Table(write(f"file,speaker\na.wav,{nothing}\n"))


@pytest.mark.parametrize("label", ["nagging", "none of these", ":-(", "#1", "nah", "x"])
def test_a_word_that_only_looks_like_not_known_is_a_class(write, label):
    path = write(f"file,speaker,emotion\na.wav,x,joy\nb.wav,x,{label}\n")
    assert Table(path).clips()["emotion"].tolist() == ["joy", label]


@pytest.mark.parametrize(
    "header",
    [
        "File,Speaker,Emotion,Gender,Age",
        " FILE , speaker,EMOTION ,gender,AGE",
        "File_Name,Speaker,emotion,Gender,age",
    ],
)
def test_capitals_and_spaces_of_the_header_do_not_count(write, header):
    clips = Table(write(f"{header}\na.wav,x,joy,Female,30\n")).clips()
    assert clips.loc[0].tolist() == ["a.wav", "x", "female", 30, "joy"]


@pytest.mark.parametrize(
    "row", ["a.wav,x,20,5,joy", "a.wav,x,20", "a.wav,x,20,joy,", 'a.wav,x,20,"joy"tail', '"a.wav,x']
)
def test_a_row_whose_cells_do_not_fit_the_header_is_refused(write, row):
    """Its cells would stand under other columns than they were written for."""
    with pytest.raises(CorpusError, match=r"Row 2 of .*my.csv has . cells|cannot be read as a tab"):
        Table(write(f"file,speaker,age,emotion\nb.wav,x,20,joy\n{row}\n"))


def test_two_columns_of_one_name_are_refused(write):
    with pytest.raises(CorpusError, match="two columns 'age': keep one"):
        Table(write("file,speaker,age,Age\na.wav,x,20,30\n"))


def test_the_index_of_a_frame_is_no_column(write):
    clips = Table(write(",file,speaker\n0,a.wav,x\n")).clips()
    assert list(clips.columns) == ["clip", "speaker", "gender", "age", "emotion"]


@pytest.mark.parametrize(("name", "delimiter"), [
    ("my.csv", ";"), ("MY.CSV", ","), ("my.csv", "\t"), ("my.tsv", "\t"), ("my.TSV", ","),
])  # fmt: skip
def test_any_delimiter_and_ending_is_read(write, name, delimiter):
    lines = ["file,speaker,emotion", 'a.wav,x,"joy, or so"'.replace(",", delimiter, 2)]
    path = write(lines[0].replace(",", delimiter) + "\n" + lines[1] + "\n", name)
    clips = corpora.load(path).clips()
    assert clips["emotion"].tolist() == ["joy, or so"] and corpora.key(path).startswith(path.stem)


def test_an_age_with_a_decimal_comma_is_a_number(write):
    assert Table(write("file;speaker;age\na.wav;x;20,5\n")).clips()["age"].tolist() == [20.5]


@pytest.mark.parametrize("name", ["my.json", "my.jsonl", "MY.JSON"])
def test_an_array_of_objects_and_one_a_line_are_read(write, name):
    rows = [{"file": "a\u2028.wav", "speaker": 1}, {"file": "b.wav", "speaker": 2, "age": 20}]
    for text in (json.dumps(rows, ensure_ascii=False, indent=1),
                 "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)):  # fmt: skip
        assert corpora.load(write(text, name)).clips()["speaker"].tolist() == ["1", "2"]


@pytest.mark.parametrize("text", ["[1, 2]", '{"file": ["a.wav"], "speaker": ["x"]}', '"file"', "["])
def test_json_that_is_no_table_is_one_sentence(write, text):
    with pytest.raises(CorpusError, match=r"cannot be read as a table|holds a list where a word"):
        Table(write(text, "my.json"))


def test_a_cell_that_holds_several_things_is_refused(tmp_path):
    frame = pd.DataFrame({"file": ["a.wav"], "speaker": ["x"], "emotion": [["joy", "fear"]]})
    frame.to_parquet(tmp_path / "my.parquet")
    with pytest.raises(CorpusError, match=r"Row 1 of .* holds a ndarray where a word"):
        Table(tmp_path / "my.parquet")


@pytest.mark.parametrize(
    ("clip", "sentence"),
    [
        ("audio\\a.wav", "paths with /"),
        ("C:\\audio\\a.wav", "paths with /"),
        ("C:/audio/a.wav", "paths with /"),
        ("~/a.wav", "~ stands for no folder"),
        ("file:///audio/a.wav", "is an address"),
        ("https://example.org/a.wav", "is an address"),
        ("a", "a.wav is there: write the name as the file has it"),
        ("A.WAV", "a.wav is there"),
        ("a.mp3", "a.wav is there"),
        ("nowhere/a.wav", "no folder .*nowhere: --folder"),
    ],
)
def test_a_missing_file_comes_with_what_its_name_looks_like(write, tmp_path, clip, sentence):
    save_wav(tmp_path / "a.wav", np.arange(4000))
    with pytest.raises(
        CorpusError, match=f"is missing: put it there, or remove its row.*{sentence}"
    ):
        Table(write(f"file,speaker\n{clip},x\n")).file(clip)


class TestParquetThatHoldsAudio:
    """As `datasets` writes it: bytes, or a struct of bytes and path; classes as numbers."""

    @pytest.fixture
    def sounds(self, tmp_path):
        (tmp_path / "sounds").mkdir()
        for n in range(3):
            save_wav(tmp_path / "sounds" / f"{n}.wav", np.arange(4000) + n)
        return [(tmp_path / "sounds" / f"{n}.wav").read_bytes() for n in range(3)]

    @pytest.fixture(autouse=True)
    def build(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))

    def table(self, tmp_path, cells, column="audio", metadata=None, **more) -> Table:
        content = pa.table({column: cells, "speaker": ["x", "y", "z"], **more})
        parquet.write_table(content.replace_schema_metadata(metadata), tmp_path / "my.parquet")
        return Table(tmp_path / "my.parquet")

    def test_is_a_corpus_of_files(self, tmp_path, sounds):
        cells = [{"bytes": s, "path": f"de/{n}.wav"} for n, s in enumerate(sounds)]
        table = self.table(tmp_path, cells)
        assert table.clips()["clip"].tolist() == ["0.wav", "1.wav", "2.wav"]
        assert [table.file(f"{n}.wav").read_bytes() for n in range(3)] == sounds
        assert len(set(table.digests().values())) == 3 and not table.problems()
        assert "audio" not in table.clips()

    def test_of_plain_bytes_or_names_that_repeat_is_numbered(self, tmp_path, sounds):
        clips = self.table(tmp_path, sounds, "file").clips()["clip"].tolist()
        assert clips == ["000001", "000002", "000003"]
        cells = [{"bytes": s, "path": "../../audio.wav"} for s in sounds]
        table = self.table(tmp_path, cells)
        assert table.clips()["clip"].tolist() == ["000001.wav", "000002.wav", "000003.wav"]
        assert table.file("000002.wav").read_bytes() == sounds[1]

    def test_is_called_as_its_column_of_files_says(self, tmp_path, sounds):
        table = self.table(tmp_path, sounds, file=["c.wav", "b.wav", "a.wav"])
        assert table.file("a.wav").read_bytes() == sounds[2]

    def test_that_changed_is_unpacked_again(self, tmp_path, sounds):
        before = self.table(tmp_path, sounds)
        after = self.table(tmp_path, [*sounds[:2], sounds[0]])
        assert before.fingerprint() != after.fingerprint()

    def test_of_a_row_without_bytes_is_refused(self, tmp_path, sounds):
        with pytest.raises(CorpusError, match=r"Row 3 of .* holds no audio in 'audio'"):
            self.table(tmp_path, [*sounds[:2], None])

    def test_has_its_classes_by_name(self, tmp_path, sounds):
        of = {"emotion": {"names": ["joy", "fear"], "_type": "ClassLabel"}}
        metadata = {"huggingface": json.dumps({"info": {"features": of}})}
        table = self.table(tmp_path, sounds, metadata=metadata, emotion=[1, 0, None])
        assert table.clips()["emotion"].tolist()[:2] == ["fear", "joy"]
        assert table.clips()["emotion"].isna().tolist() == [False, False, True]


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
        ("file;voice\na.wav;x\n", "has no column 'file' among file;voice"),
        ("file,emotion\na.wav,x\n", "has no column 'speaker'"),
        ("file,speaker,clip\na.wav,x,y\n", "has a column 'clip'"),
        ("file,speaker\n", "lists no clips"),
        ("", "cannot be read as a table"),
        ("file,speaker\na.wav,x\n,x\n", r"Row 2 of .*my.csv names no file"),
        ("file,speaker\na.wav,x\nb.wav,\n", r"Row 2 of .*my.csv \(b.wav\) names no speaker"),
        ("file,speaker\na.wav\n", r"Row 1 of .*my.csv has 1 cells, its header has 2"),
        ("file,speaker\na.wav,x\nb.wav,x\n./a.wav,y\n",
         r"Row 3 of .* names the file ./a.wav as row 1 does"),
        ("file,speaker,age\na.wav,x,old\n", r"Row 1 of .* \(a.wav\) has the age 'old': write"),
        ("file,speaker,age\na.wav,x,nan\n", "has the age 'nan'"),
        ("file,speaker,age\na.wav,x,-3\n", "has the age '-3'"),
        ("file,speaker,age\na.wav,x,1985\n", "has the age '1985'"),
        ("file,speaker,gender\na.wav,x,m\n", "has the gender 'm': write female or male, or leave"),
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
