"""The paper's row, top to bottom, is what the package computes everywhere else."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import toys

from persona import paper
from persona.dataset import Dataset
from persona.experiment import Experiment
from persona.folds import PROTOCOLS
from persona.network import ARCHITECTURES
from persona.run import out_of_fold, run

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "persona" / "paper.py"


@pytest.fixture(autouse=True)
def threads():
    """As many as before, for the tests behind these."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_gives_the_digits_of_an_experiment(architecture, protocol, tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path))
    toys.home(tmp_path)
    experiment = Experiment("toy", architecture, protocol, corpus="toy", seeds=[1])
    run([experiment], train=True, jobs=1)
    expected = out_of_fold(experiment).drop(columns="corpus")
    found = paper.predict(Dataset("toy", "toy"), architecture, protocol, seed=1)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, check_exact=True)


def test_what_is_not_there_is_one_sentence():
    command = [sys.executable, "-m", "persona.paper", "campplus", "rnn"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "There is no architecture 'rnn'; choose from fcn, cnn.\n"


def test_it_is_read_in_one_sitting_and_opens_the_readme():
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"```python\n(.+?)```", readme, re.DOTALL)
    assert first and first.start() == readme.index("```")
    shown = [line.strip() for line in first[1].splitlines()]
    assert shown and set(shown) <= {line.strip() for line in lines}
