"""The command: what a user can put right is one sentence and an exit code, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from persona import __version__, cli, corpora
from persona.errors import PersonaError
from persona.keeping import store

ROOT = Path(__file__).resolve().parents[1]


def sentence(capsys) -> str:
    """The one sentence on standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("persona: "), lines
    return lines[0].removeprefix("persona: ")


def test_the_version_is_the_package_s(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("words", [["predict"], ["sing"], ["extract", "mfcc", "--jobs", "0"]])
def test_wrong_words_are_a_sentence_and_2(words, capsys):
    assert cli.main(words) == 2
    assert sentence(capsys)


def test_an_error_for_a_person_is_a_sentence_and_1(monkeypatch, capsys):
    def fail(*_, **__):
        raise PersonaError("The disk is full: make room.")

    monkeypatch.setattr(corpora, "oddities", fail)
    assert cli.main(["corpus", "oddities"]) == 1
    assert sentence(capsys) == "The disk is full: make room."


def test_ctrl_c_is_a_sentence_and_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(corpora, "oddities", interrupted)
    assert cli.main(["corpus", "oddities"]) == 130
    assert "go on where it was" in sentence(capsys)


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a fault")

    monkeypatch.setattr(corpora, "oddities", broken)
    with pytest.raises(RuntimeError, match="a fault"):
        cli.main(["corpus", "oddities"])


@pytest.mark.parametrize("words", [["extract", "nonsense"], ["weights", "nonsense"]])
def test_an_unknown_representation_is_answered_with_those_there_are(words, capsys):
    assert cli.main(words) == 1
    assert "mfcc" in sentence(capsys)


def test_an_unknown_corpus_is_answered_with_those_there_are(capsys):
    assert cli.main(["extract", "mfcc", "--corpus", "nonsense"]) == 1
    assert "crema-d" in sentence(capsys)


def test_extraction_without_audio_says_how_to_get_it(tmp_path, capsys):
    assert cli.main(["extract", "mfcc", "--folder", str(tmp_path)]) == 1
    assert "get its audio" in capsys.readouterr().err.splitlines()[-1]


def test_two_forms_of_output_at_once_are_refused(capsys):
    assert cli.main(["predict", "a.wav", "--csv", "--json"]) == 1
    assert "one of" in sentence(capsys)


def test_a_threshold_that_is_no_probability_is_refused(capsys):
    clip = next((store.shipped() / "examples").glob("*.flac"))
    assert cli.main(["predict", str(clip), "--at-least", "60"]) == 1
    assert "60.0 is no probability" in sentence(capsys)


def test_feature_tables_are_listed_with_what_made_them(capsys):
    table = store.shipped() / "features" / "crema-d" / "mfcc.parquet"
    if not table.exists():
        pytest.skip("no feature table ships here")
    assert cli.main(["features"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mfcc "))
    assert "clips" in line and "'pooling': 'mean+std'" in line


def test_oddities_are_listed(capsys):
    assert cli.main(["corpus", "oddities"]) == 0
    assert "1076_MTI_SAD_XX" in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from persona import cli; cli.main(['--help']);"
        "heavy = {'torch', 'pandas', 'librosa', 'onnxruntime', 'numpy'} & set(sys.modules);"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout
