"""What is wrong with a table of clips is found, named, and drawn on one page."""

import io

import numpy as np
import pandas as pd
import pytest
import soundfile
from made_voices import table, voice

from persona import cli, corpora
from persona.own import check, doubts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    return tmp_path / "audio"


def found(path: str) -> dict[str, check.Finding]:
    corpus = corpora.load(path)
    measured = check.measure(corpus, jobs=1)
    return {one.title: one for one in check.findings(corpus.clips(), measured)}


def test_a_sound_table_has_nothing_to_put_right(folder):
    findings = found(table(folder))
    assert not [one for one in findings.values() if one.wrong]
    assert "36 clips of 6 speakers" in findings["The table"].words


def test_what_is_wrong_is_named_clip_by_clip(folder):
    path = table(folder, emotions=("sad", "Sad", "glad"))
    (folder / "0-0.wav").unlink()
    (folder / "0-1.wav").write_bytes(b"no audio")
    (folder / "1-1.wav").write_bytes((folder / "1-0.wav").read_bytes())
    (folder / "2-3.wav").write_bytes((folder / "2-0.wav").read_bytes())
    findings = found(path)
    assert len(findings["Files that cannot be used"].rows) == 2
    assert findings["One recording, two labels"].rows == (
        "1-0.wav (s1, sad, female, 27.0) = 1-1.wav (s1, Sad, female, 27.0)",
    )
    assert "2-0.wav" in findings["Copies"].rows[0] and findings["Copies"].wrong
    assert findings["Spelling"].rows == ("Sad = sad",)


def test_labels_and_speakers_that_mislead_are_named(folder):
    path = table(folder, speakers=4)
    text = (folder / "mine.csv").read_text()
    text = text.replace("0-0.wav,s0,bored,male", "0-0.wav,s0,bored,female")
    for clip in range(6):
        for name in ("bored", "irate", "warm"):
            text = text.replace(f"3-{clip}.wav,s3,{name}", f"3-{clip}.wav,s3,warm")
    (folder / "mine.csv").write_text(text)
    findings = found(path)
    assert findings["Odd genders"].rows == ("s0",)
    assert findings["Speakers with one emotion"].rows == ("s3",)
    assert findings["Few speakers"].wrong


def test_loudness_that_goes_with_a_label_is_measured(folder):
    path = table(folder)
    for clip in corpora.load(path).clips()["clip"]:
        samples, rate = soundfile.read(folder / clip)
        loud = 10 ** -(int(clip[2]) % 3)
        soundfile.write(folder / clip, samples * loud, rate, subtype="FLOAT")
    words = found(path)["Told by the recording alone: emotion"].words
    assert "level 100%" in words and "a guess has 33%" in words


def test_what_a_recording_does_not_tell_is_said_to_be_no_shortcut():
    """Of a loud class and a soft one of the same speakers, and of classes alike in everything."""
    rows = pd.DataFrame({"speaker": np.repeat(range(6), 20), "emotion": ["a", "b"] * 60})
    alike = rows.assign(level=-20.0, bandwidth=7000.0, snr=30.0, seconds=1.0)
    assert check.shortcut(alike, "emotion").words.endswith("By these alone it is not told.")
    loud = alike.assign(level=np.where(rows["emotion"] == "a", -10.0, -30.0))
    noise = np.random.default_rng(0).normal(size=(len(rows), 4))
    loud[list(check.QUALITIES)] += noise
    assert "level 100%" in check.shortcut(loud, "emotion").words
    assert "may be no more than this" in check.shortcut(loud, "emotion").words


def test_a_copy_at_another_level_is_a_near_duplicate(folder):
    pytest.importorskip("sklearn")
    path = table(folder)
    samples = voice(100, 0.6, 0)
    soundfile.write(folder / "1-0.wav", samples * 0.5, 16_000)
    corpus = corpora.load(path)
    measured = check.measure(corpus, jobs=1)
    from persona import representations

    ear = representations.load("campplus")
    x = ear.embed([corpus.waveform(clip) for clip in corpus.clips()["clip"]])
    one = {f.title: f for f in check.findings(corpus.clips(), measured, x)}["Near-duplicates"]
    assert any(row.startswith("0-0.wav") and "1-0.wav" in row for row in one.rows)


def test_the_command_prints_and_draws_and_says_so_by_its_code(folder, tmp_path, capsys):
    path = table(folder)
    assert (
        cli.main(["corpus", "check", path, "--out", str(tmp_path / "p.html"), "--jobs", "1"]) == 0
    )
    page = (tmp_path / "p.html").read_text()
    assert page.startswith("<!doctype html>") and page.count("data:image/png") == 4
    (folder / "0-0.wav").unlink()
    assert cli.main(["corpus", "check", path, "--jobs", "1"]) == 1
    assert "! Files that cannot be used" in capsys.readouterr().out


def doubted(rows: str, header: str = "file,speaker,age,emotion") -> dict[str, doubts.Finding]:
    """Findings on a table of which there is no audio."""
    frame = pd.read_csv(io.StringIO(f"{header}\n{rows}"), dtype=str).rename(
        columns={"file": "clip"}
    )
    frame["age"] = frame["age"].astype(float)
    return {one.title: one for one in doubts.doubts(frame.assign(gender=None))}


@pytest.mark.parametrize(
    ("first", "second"),
    [("01", "1"), ("Anna", "anna"), ("1001.0", "1001"), ("s_01", "S-1"), ("Zo\u00e9", "Zoe\u0301")],
)
def test_speakers_that_are_one_in_two_spellings_are_named(first, second):
    found = doubted(f"a,{first},20,\nb,{second},20,\nc,other,20,\nd,other,20,")
    assert found["Spelling of speakers"].rows == (" = ".join(sorted((first, second))),)
    assert found["Spelling of speakers"].wrong


@pytest.mark.parametrize(("first", "second"), [("1_11", "11_1"), ("10", "1"), ("s1", "t1")])
def test_speakers_that_are_two_are_not_taken_for_one(first, second):
    assert not doubted(f"a,{first},20,\nb,{second},20,\nc,{first},20,\nd,{second},20,")


def test_speakers_with_a_decimal_point_are_told_of():
    found = doubted("a,1001.0,20,\nb,1002.0,20,\nc,1001.0,20,\nd,1002.0,20,")
    assert "2 speakers are numbers with a decimal point" in (
        found["Speakers with a decimal point"].words
    )


def test_speakers_of_one_clip_each_and_called_like_it_are_told_of():
    each = doubted("\n".join(f"{n},u{n},20," for n in range(9)))
    assert list(each) == ["Every clip its own speaker"]
    for form in ("{0}.wav,{0}", "de/{0}.wav,{0}.wav", "de/{0}.wav,de/{0}.wav"):
        rows = "\n".join(f"{form.format(f'u{n}')},20," for n in range(9))
        assert list(doubted(rows)) == ["Speakers called like files"]


@pytest.mark.parametrize(
    ("ages", "title"),
    [
        ((20, 30, 40), "Rounded ages"),
        ((25, 35, 55), "Rounded ages"),
        ((2, 31, 44), "Ages out of the ordinary"),
        ((31, 44, 96.5), "Ages out of the ordinary"),
        ((20, 31, 40), None),
        ((20, 20, 20), None),
    ],
)
def test_ages_that_may_be_no_years_are_told_of(ages, title):
    found = doubted("\n".join(f"{n}{k},s{n},{age}," for n, age in enumerate(ages) for k in "ab"))
    assert list(found) == ([title] if title else [])


def test_emotions_that_mean_one_in_two_words_are_told_of():
    rows = [f"{n},s{n % 5},20,{e}" for n, e in enumerate(("anger", "angry", "joy", "sad") * 5)]
    found = doubted("\n".join(rows))["Emotions that may be one"]
    assert found.rows == ("anger = angry",) and not found.wrong
    assert "Emotions that may be one" not in doubted("\n".join(rows[::2]))


def test_an_emotion_of_one_speaker_alone_is_told_of():
    """Nobody else has it: where they are tested it was never trained on."""
    rows = [f"{n},s{n % 7},20,{'sad' if n % 7 == 3 else 'joy'}" for n in range(21)]
    assert doubted("\n".join(rows))["Emotions of one speaker"].rows == ("sad: s3",)
    shared = [row.replace("s4,20,joy", "s4,20,sad") for row in rows]
    assert "Emotions of one speaker" not in doubted("\n".join(shared))


def test_a_gender_of_one_speaker_alone_is_told_of():
    clips = pd.DataFrame({
        "clip": [str(n) for n in range(21)], "speaker": [f"s{n % 7}" for n in range(21)],
        "emotion": None, "gender": ["male" if n % 7 == 3 else "female" for n in range(21)],
        "age": np.nan,
    })  # fmt: skip
    assert [one.rows for one in doubts.doubts(clips)] == [("male: s3",)]
    assert not doubts.doubts(clips[clips["gender"] == "female"])


@pytest.mark.parametrize(
    ("column", "meant"),
    [("sex", "gender"), ("Age (years)", "age"), ("label", "emotion"), ("Emotion_label", "emotion")],
)
def test_columns_that_may_hold_labels_under_another_name_are_told_of(column, meant):
    rows = "\n".join(f"{n},s{n % 5},1" for n in range(10))
    frame = pd.read_csv(io.StringIO(f"clip,speaker,{column}\n{rows}"), dtype=str)
    frame = frame.assign(**dict.fromkeys(("gender", "emotion"))).assign(age=np.nan)
    (found,) = doubts.doubts(frame)
    assert f"'{column}'" in found.words and f"called {meant}" in found.words
    labelled = frame.assign(gender="male", emotion=["a", "b"] * 5, age=30.0)
    assert not doubts.doubts(labelled)  # where there are labels, it may be what it likes


def test_a_label_for_each_clip_is_told_of_and_stops_nothing(folder):
    path = table(folder)
    lines = (folder / "mine.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    rows = [[r[0], r[1], f"label {n}", *r[3:]] for n, r in enumerate(rows)]
    (folder / "mine.csv").write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")
    findings = found(path)
    assert "36 clips have 36 emotions" in findings["Labels that do not repeat"].words
    assert "Too few clips of a label" in findings["Told by the recording alone: emotion"].words


def test_labels_that_stand_in_one_fold_alone_stop_nothing():
    """Training on the other folds would see one class."""
    rows = pd.DataFrame({"speaker": np.repeat(range(10), 2), "emotion": ["a"] * 18 + ["b"] * 2})
    rows = rows.assign(level=np.arange(20.0), bandwidth=7000.0, snr=30.0, seconds=1.0)
    assert check.shortcut(rows, "emotion").words == "Too few clips of a label to say."
