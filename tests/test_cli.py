import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from audio_samples import encode, save, sine

from persona import cli, predictor, report

ROOT = Path(__file__).resolve().parent.parent


class Ear:
    """Hears the same in every file that `audio` reads, in place of a model."""

    def predict(self, source):
        from persona import audio

        heard = audio.read(source)
        line = predictor.Timeline(
            np.array([0.0]), np.array([2.0]), np.full((1, 6), 1 / 6), np.full((1, 2), 0.5),
            np.array([40.0]),
        )  # fmt: skip
        emotion = dict.fromkeys(("anger", "disgust", "fear", "happy", "neutral", "sad"), 0.1)
        return predictor.Prediction(
            emotion | {"happy": 0.5}, {"female": 0.25, "male": 0.75}, 40.0, 23.0, 57.0,
            heard.seconds, heard.notes, line,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def ear(monkeypatch):
    monkeypatch.setattr(predictor.Predictor, "load", lambda model, revision=None: Ear())


@pytest.fixture
def good(tmp_path) -> Path:
    return save(tmp_path / "good.wav", encode(sine()))


@pytest.fixture
def broken(tmp_path) -> Path:
    return save(tmp_path / "broken.wav", b"no audio")


def test_a_file_is_a_row_of_a_table_and_0(good, capsys):
    assert cli.main(["predict", str(good)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0].strip() == "file"
    cells = [cell.strip() for cell in row.split("  ") if cell]
    assert cells == [str(good), "2.0", "happy 50%", "male 75%", "40 (23 to 57)"]


def test_a_bad_file_stops_nothing_and_is_a_sentence_and_1(good, broken, capsys):
    assert cli.main(["predict", str(broken), str(good)]) == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert shown.err.splitlines()[-1].startswith('persona: "broken.wav" cannot be decoded')
    assert "Traceback" not in shown.err


def test_a_missing_file_is_a_sentence_and_1(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path / "none.wav")]) == 1
    assert capsys.readouterr().err.endswith('persona: "none.wav" was not found: check the path.\n')


def test_a_folder_is_heard_with_what_is_inside_in_order(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("b.wav", "in/a.WAV", "notes.txt"):
        save(tmp_path / name, encode(sine()))
    assert cli.main(["predict", "--json", str(tmp_path)]) == 0
    files = [row["file"] for row in json.loads(capsys.readouterr().out)]
    assert files == [str(tmp_path / "b.wav"), str(tmp_path / "in" / "a.WAV")]


def test_a_folder_without_audio_is_a_sentence_and_1(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path)]) == 1
    assert "holds no audio" in capsys.readouterr().err


def test_json_holds_everything_and_the_errors(good, broken, capsys):
    assert cli.main(["predict", "--json", str(good), str(broken)]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["emotion"]["happy"] == 0.5
    assert (first["age_low"], first["age_high"], first["seconds"]) == (23.0, 57.0, 2.0)
    assert first["timeline"][0]["end"] == 2.0
    assert second == {"file": str(broken), "error": second["error"]}
    assert "cannot be decoded" in second["error"]


def test_csv_has_a_row_for_each_file_and_a_column_for_each_answer(good, broken, capsys):
    assert cli.main(["predict", "--csv", str(good), str(broken)]) == 1
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (first["happy"], first["male"], first["age"]) == ("0.5000", "0.7500", "40.0000")
    assert first["error"] == ""
    assert second["happy"] == ""
    assert "cannot be decoded" in second["error"]


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_name_cannot_command_the_terminal(tmp_path, form, capsys):
    """Escape codes and line breaks in a name are shown, not sent."""
    odd = save(tmp_path / "a\x1b[31m\n<b>'\".wav", encode(sine()))
    bad = save(tmp_path / "c\x1b[0m.wav", b"no audio")
    assert cli.main(["predict", *form, str(odd), str(bad)]) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    if not form:
        assert "a?[31m?<b>'\".wav" in shown.out


def test_a_file_named_twice_is_heard_once(good, capsys):
    assert cli.main(["predict", "--json", str(good), str(good)]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_a_model_that_is_none_is_one_sentence_and_1(good, capsys, monkeypatch):
    monkeypatch.undo()
    assert cli.main(["predict", str(good), "--model", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("persona: There is no model 'nowhere'")


def test_an_error_that_is_no_fault_of_the_audio_is_not_hidden(good, monkeypatch):
    monkeypatch.setattr(Ear, "predict", lambda self, source: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.predict([str(good)], model=None, revision=None, form="table")


def test_training_needs_at_least_one_seed(capsys):
    assert cli.main(["train", "--seeds", "0"]) == 1
    assert capsys.readouterr().err == "persona: --seeds has to be 1 or more.\n"


def test_training_on_a_table_that_is_not_there_says_how_to_make_it(capsys, tmp_path):
    assert cli.main(["train", "--representation", "nothing", "--out", str(tmp_path)]) == 1
    assert "There is no feature table for 'nothing'" in capsys.readouterr().err


def test_help_is_shown_without_importing_anything_heavy():
    script = (
        "import sys; from persona import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'librosa', 'pandas', 'scipy') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert shown.stdout.splitlines()[-1] == "[]"
    assert "predict" in shown.stdout and "train" in shown.stdout
