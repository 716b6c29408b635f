"""Published corpora are read as their folders lie, from made trees of each."""

import csv

import numpy as np
import pytest
from crema_d_samples import SHARED, needs_emodb, save_wav

from persona import cli, corpora
from persona.corpora import layouts
from persona.corpora.layouts.files import Named
from persona.errors import CorpusError, PersonaError

TREES = {
    "ased": (
        {"01Neutral/n1-01-01-01-01.wav": "", "04Sad/S4-04-02-02-29.wav": "",
         "04Sad/x4-04-02-02-29.wav": ""},
        ["01Neutral/n1-01-01-01-01.wav,01,neutral,female,,01",
         "04Sad/S4-04-02-02-29.wav,29,sad,male,,04"],
    ),
    "baved": (
        {"0/0-m-21-0-1-105.wav": "", "0/10-f-20-0-2-0.wav": "", "0/10-f-20-0-3-0.wav": ""},
        ["0/0-m-21-0-1-105.wav,0,neutral,male,21,neutral,0",
         "0/10-f-20-0-2-0.wav,10,,female,20,high,0"],
    ),
    "berst": (
        {
            "metadata.csv": "file_name,user_id,affect,gender,script,shout_level\n"
            "audio/1.wav,7,joy,Female,a,high\naudio/2.wav,8,anger,other,b,low\n",
            "audio/1.wav": "", "audio/2.wav": "",
        },
        ["audio/1.wav,7,happy,female,,a,high", "audio/2.wav,8,anger,,,b,low"],
    ),
    "cafe": (
        {"Colère/Fort/01-C-2-1.wav": "", "Neutre/12-N-1-6.aiff": "", "Neutre/13-N-1-6.aiff": ""},
        ["Colère/Fort/01-C-2-1.wav,01,anger,male,46,strong,1",
         "Neutre/12-N-1-6.aiff,12,neutral,female,37,normal,6"],
    ),
    "common-voice": (
        {
            "validated.tsv": "client_id\tpath\tsentence\tage\tgender\n"
            'a1\tcv_1.mp3\t"Well, no.\ttwenties\tfemale_feminine\n'
            "b2\tcv_2.mp3\tYes.\t\tmale\nc3\tcv_3.mp3\tYes.\t\t\nd4\tcv_4.mp3\tYes.\tteens\tother\n",
            "clips/cv_1.mp3": "", "clips/cv_2.mp3": "", "clips/cv_3.mp3": "", "clips/cv_4.mp3": "",
        },
        ["clips/cv_1.mp3,a1,,female,25", "clips/cv_2.mp3,b2,,male,", "clips/cv_4.mp3,d4,,,15"],
    ),
    "ears": (
        {
            "speaker_statistics.json": '{"p001": {"age": "36-45", "gender": "male"}, '
            '"p002": {"age": "prefer not to answer", "gender": "female"}}',
            "p001/emo_anger_freeform.wav": "", "p001/emo_amusement_sentences.wav": "",
            "p002/rainbow_01_regular.wav": "", "p002/rainbow_01_whisper.wav": "",
        },
        ["p001/emo_amusement_sentences.wav,p001,amusement,male,40.5",
         "p001/emo_anger_freeform.wav,p001,anger,male,40.5",
         "p002/rainbow_01_regular.wav,p002,,female,"],
    ),
    "emodb": (
        {"wav/03a01Fa.wav": "", "wav/16b10Lb.wav": "", "wav/17a01Fa.wav": "",
         "wav/03a01Xa.wav": ""},
        ["wav/03a01Fa.wav,03,happy,male,31", "wav/16b10Lb.wav,16,boredom,female,31"],
    ),
    "emovo": (
        {"f1/gio-f1-b1.wav": "", "m2/tri-m2-n5.wav": "", "m2/tri-m9-n5.wav": ""},
        ["f1/gio-f1-b1.wav,f1,happy,female,28,b1", "m2/tri-m2-n5.wav,m2,sad,male,27,n5"],
    ),
    "emozionalmente": (
        {
            "metadata/users.csv": "username,gender,age\nanna,f,31\nbo,male,22\nz,Other,40\n",
            "metadata/samples.csv": "file_name,actor,sentence,emotion_expressed\n"
            '1.wav,anna,"Ciao, tu",joy\n2.wav,bo,x,neutrality\n3.wav,z,x,surprise\n',
            "audio/1.wav": "", "audio/2.wav": "", "audio/3.wav": "",
        },
        ['audio/1.wav,anna,happy,female,31,"Ciao, tu"', "audio/2.wav,bo,neutral,male,22,x",
         "audio/3.wav,z,surprise,,40,x"],
    ),
    "esd": (
        {"0001/Sad/train/0001_000351.wav": "", "0011/Angry/0011_000351.wav": "",
         "0011/0011_000352.wav": ""},
        ["0001/Sad/train/0001_000351.wav,0001,sad,female,,zh",
         "0011/Angry/0011_000351.wav,0011,anger,male,,en"],
    ),
    "jl": (
        {"female1_angry_10a_1.wav": "", "male2_encouraging_1b_2.wav": "", "male3_sad_1b_2.wav": ""},
        ["female1_angry_10a_1.wav,female1,anger,female,,10a",
         "male2_encouraging_1b_2.wav,male2,encouraging,male,,1b"],
    ),
    "meld": (
        {
            "train_sent_emo.csv": "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n"
            "1,\"Oh, no.\",Phoebe,sadness,0,0\n2,Hey!,All,joy,0,1\n",
            "test_sent_emo.csv": "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n"
            "1,Yes,Ross,joy,0,0\n",
            "train_splits/dia0_utt0.mp4": "", "train_splits/dia0_utt1.mp4": "",
            "output_repeated_splits_test/dia0_utt0.wav": "",
        },
        ["output_repeated_splits_test/dia0_utt0.wav,Ross,happy,,,Yes,test",
         'train_splits/dia0_utt0.mp4,Phoebe,sad,,,"Oh, no.",train'],
    ),
    "msp-podcast": (
        {
            "Labels/labels_concensus.csv": "FileName,EmoClass,EmoAct,SpkrID,Gender,Split_Set\n"
            "P_1.wav,A,5.2,12,Female,Train\nP_2.wav,X,5,13,Male,Test1\n"
            "P_3.wav,N,5,Unknown,Unknown,Train\n",
            "Audios/Audios/P_1.wav": "", "Audios/P_2.wav": "", "Audios/P_3.wav": "",
        },
        ["Audios/Audios/P_1.wav,12,anger,female,,Train", "Audios/P_2.wav,13,,male,,Test1"],
    ),
    "nemo": (
        {
            "data.tsv": "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
            "SM0_anger_1.wav\tanger\tKoń\tkoń\t SM0\tmale\t24\n"
            "WR0_surprised_2.wav\tsurprised\tŻar\tżar\t WR0\tmale\t23\n",
            "samples/SM0_anger_1.wav": "", "samples/WR0_surprised_2.wav": "",
        },
        ["samples/SM0_anger_1.wav,SM0,anger,male,24,koń",
         "samples/WR0_surprised_2.wav,WR0,surprise,male,23,żar"],
    ),
    "ravdess": (
        {"Actor_01/03-01-05-02-01-02-01.wav": "", "Actor_12/03-01-02-01-02-01-12.wav": "",
         "Actor_01/03-02-05-01-01-01-01.wav": "", "Actor_01/._03-01-06-01-01-01-01.wav": "",
         "again/Actor_01/03-01-05-02-01-02-01.wav": ""},
        ["Actor_01/03-01-05-02-01-02-01.wav,01,anger,male,,strong,1",
         "Actor_12/03-01-02-01-02-01-12.wav,12,calm,female,,normal,2"],
    ),
    "savee": (
        {"DC/a01.wav": "", "KL/a01.wav": "", "ALL/JE_su15.wav": "", "XX/a01.wav": ""},
        ["ALL/JE_su15.wav,JE,surprise,male,,15", "DC/a01.wav,DC,anger,male,,01",
         "KL/a01.wav,KL,anger,male,,01"],
    ),
    "tess": (
        {"OAF_angry/OAF_back_angry.wav": "", "YAF_ps/YAF_far_ps.wav": "",
         "OAF_neutral/OA_bite_neutral.wav": ""},
        ["OAF_angry/OAF_back_angry.wav,OAF,anger,female,64,back",
         "OAF_neutral/OA_bite_neutral.wav,OAF,neutral,female,64,bite",
         "YAF_ps/YAF_far_ps.wav,YAF,surprise,female,26,far"],
    ),
    "timit": (
        {
            "DOC/SPKRINFO.TXT": ";ID  Sex DR Use  RecDate   BirthDate  Ht    Race Edu\n"
            "CJF0  F  1  TRN  03/03/86  06/17/60  5'11\"  WHT  BS\n"
            "ABC0  M  6  TST  03/03/86  ??/??/50  5'11\"  WHT  BS  a remark\n"
            "XYZ0  M  6  TST  03/03/86  ??/??/??  5'11\"  WHT  BS\n",
            "TRAIN/DR1/FCJF0/SA1.WAV": "", "TEST/DR6/MABC0/SA1.WAV": "",
            "test/dr6/mxyz0/sa2.wav": "",
        },
        ["TEST/DR6/MABC0/SA1.WAV,MABC0,,male,36,test",
         "TRAIN/DR1/FCJF0/SA1.WAV,FCJF0,,female,25,train",
         "test/dr6/mxyz0/sa2.wav,MXYZ0,,male,,test"],
    ),
    "urdu": (
        {"Angry/SM1_F3_A03.wav": "", "Sad/SF27_F4_S096.wav": "", "Sad/S27_F4_S096.wav": ""},
        ["Angry/SM1_F3_A03.wav,SM1,anger,male,", "Sad/SF27_F4_S096.wav,SF27,sad,female,"],
    ),
    "voxceleb": (
        {
            "age-train.txt": "speaker_age,birth_year,Name,VoxCeleb_ID,video_id\n"
            "26.0,1987.0,A,id00778,Doaz\n-3.0,1987.0,B,id00778,bad\n",
            "utt2age.test": "id00042/34f5/00001 70\n",
            "vox2_meta.csv": "Name \tVoxCeleb2 ID \tVGGFace2 ID \tGender \tSet \n"
            "A \tid00042 \tn12 \tm \tdev \n",
            "aac/id00042/34f5/00001.m4a": "", "aac/id00042/34f5/00002.m4a": "",
            "wav/id00778/Doaz/00001.wav": "", "wav/id00778/bad/00001.wav": "",
        },
        ["aac/id00042/34f5/00001.m4a,id00042,,male,70", "aac/id00042/34f5/00002.m4a,id00042,,male,",
         "wav/id00778/Doaz/00001.wav,id00778,,,26.0"],
    ),
}  # fmt: skip
"""Of every corpus a tree of files, and the rows that its table has."""


def grow(folder, tree):
    for path, text in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def test_every_layout_has_a_tree():
    with pytest.raises(PersonaError) as refused:
        layouts.named("")
    assert str(refused.value).endswith(f"choose from {', '.join(sorted(TREES))}.")


def test_a_new_layout_is_one_row(tmp_path, monkeypatch):
    row = Named("1_f_sad.wav", r"(?P<who>\d)_(?P<sex>[fm])_(?P<how>\w+)",
                {"speaker": "who", "gender": "sex", "emotion": "how"})  # fmt: skip
    monkeypatch.setitem(layouts.LAYOUTS, "toy", row)
    grow(tmp_path, {"1_f_joy.wav": "", "a/2_m_sad.wav": "", "a/odd.wav": ""})
    layouts.write("toy", tmp_path, tmp_path / "my.csv")
    lines = (tmp_path / "my.csv").read_text().splitlines()[1:]
    assert lines == ["1_f_joy.wav,1,happy,female,", "a/2_m_sad.wav,2,sad,male,"]


def test_a_new_layout_that_takes_code_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "my_toy.py").write_text(
        "from persona.corpora.layouts.files import Coded, audio\n"
        "def clips(folder):\n"
        "    for i, file in enumerate(audio(folder)):\n"
        "        yield {'file': file, 'speaker': i, 'age': 30 + i}\n"
        "LAYOUT = Coded('a.wav', clips)\n"
    )
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(tmp_path)])
    grow(tmp_path, {"a.wav": "", "b.wav": ""})
    layouts.write("my-toy", tmp_path, tmp_path / "my.csv")
    assert (tmp_path / "my.csv").read_text().splitlines()[1:] == ["a.wav,0,,,30", "b.wav,1,,,31"]


@pytest.mark.parametrize("name", TREES)
def test_a_published_corpus_becomes_a_table(name, tmp_path, monkeypatch, capsys):
    tree, expected = TREES[name]
    folder = tmp_path / "Größe 1"
    grow(folder, tree)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["corpus", "table", name, "Größe 1", "--out", "my.csv"]) == 0
    rows = (tmp_path / "my.csv").read_text().splitlines()[1:]
    assert sorted(rows) == [f"Größe 1/{row}" for row in expected]
    clips = corpora.load("my.csv").clips()
    assert len(clips) == len(expected)
    assert f"lists {len(expected)} clips" in capsys.readouterr().out


@pytest.mark.parametrize("name", TREES)
def test_another_folder_is_one_sentence(name, tmp_path):
    with pytest.raises(CorpusError, match=r"holds|cannot be read"):
        layouts.write(name, tmp_path, tmp_path / "my.csv")
    with pytest.raises(CorpusError, match="There is no folder"):
        layouts.write(name, tmp_path / "nowhere", tmp_path / "my.csv")
    assert not (tmp_path / "my.csv").exists()


def test_labels_of_another_layout_are_one_sentence(tmp_path):
    grow(tmp_path, {"data.tsv": "file\tlabel\na.wav\tsad\n"})
    with pytest.raises(CorpusError, match=r"not laid out as those of nemo .KeyError\('file_id'"):
        layouts.write("nemo", tmp_path, tmp_path / "my.csv")


def test_an_unknown_corpus_is_one_sentence(tmp_path):
    with pytest.raises(
        PersonaError, match=r"no layout of a corpus 'iemocap'; choose from ased, baved"
    ):
        layouts.write("iemocap", tmp_path, tmp_path / "my.csv")


def test_what_is_left_out_and_what_is_not_there_is_counted(tmp_path):
    grow(tmp_path, TREES["nemo"][0] | {"samples/odd.wav": ""})
    (tmp_path / "samples" / "SM0_anger_1.wav").unlink()
    said = layouts.write("nemo", tmp_path, tmp_path / "my.csv")
    assert said[1:] == [
        "1 clips that the corpus names are not there.",
        f"1 other audio files are left out, the first of them {tmp_path / 'samples' / 'odd.wav'}.",
    ]


def test_the_table_lies_anywhere_and_its_files_are_found(tmp_path):
    grow(tmp_path, {"a/TRAIN/DR1/FCJF0/keep": "", **TREES["timit"][0]})
    save_wav(tmp_path / "TRAIN" / "DR1" / "FCJF0" / "SA1.WAV", np.arange(4000))
    layouts.write("timit", tmp_path, tmp_path / "b" / "c" / "my.csv")
    corpus = corpora.load(tmp_path / "b" / "c" / "my.csv")
    clip = next(name for name in corpus.clips()["clip"] if "FCJF0" in name)
    assert clip.startswith("../../") and len(corpus.waveform(clip)) == 4000


@needs_emodb
def test_emodb_is_whole_with_the_published_counts(tmp_path):
    layouts.write("emodb", SHARED / "emodb" / "audio", tmp_path / "emodb.csv")
    with open(tmp_path / "emodb.csv", newline="") as file:
        emotions = [row["emotion"] for row in csv.DictReader(file)]
    assert {name: emotions.count(name) for name in set(emotions)} == {
        "anger": 127, "boredom": 81, "neutral": 79, "happy": 71, "fear": 69, "sad": 62,
        "disgust": 46,
    }  # fmt: skip
