"""What is wrong with a table of clips is found, named, and drawn on one page."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from made_voices import table, voice

from persona import cli, corpora
from persona.own import check


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
