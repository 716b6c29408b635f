"""Examples in docstrings do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
CLIP = next((ROOT / "data" / "examples").glob("*.flac"))
MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted((ROOT / "persona").rglob("*.py"))
    if ">>>" in file.read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert {"persona.model.predictor", "persona.audio.reader", "persona.corpora"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module, tmp_path, monkeypatch):
    """In a folder that holds a recording of the name that they use."""
    samples, rate = soundfile.read(CLIP)
    soundfile.write(tmp_path / "talk.mp3", samples, rate)
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert done.attempted and not done.failed
