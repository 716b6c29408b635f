"""What a user's editor and type checker see of the package."""

import os
import subprocess
import sys
from pathlib import Path

import persona

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """
from pathlib import Path

import numpy as np

import persona
from persona import Prediction, Predictor, corpora, features
from persona.errors import AudioError
from persona.experiment import Experiment
from persona.representations import register
from persona.run import run
from persona.training import Settings


@register
class Loudness:
    name, title, kind = "loudness", "Loudness", "acoustic features"


version: str = persona.__version__
predictor: Predictor = Predictor.load()
prediction: Prediction = predictor.predict("talk.mp3", at_least=0.5)
prediction = predictor.predict((np.zeros(16_000, np.float32), 16_000))
years: float | None = prediction.age
for answer in predictor.predict_many(["talk.mp3", Path("b.wav")], jobs=2, progress=print):
    if isinstance(answer, AudioError):
        print(answer)
    else:
        print(answer.emotion)
experiment = Experiment("campplus", seeds=[0], besides="emodb", tested=("crema-d", "emodb"))
seeds: tuple[int, ...] = experiment.seeds
Experiment("campplus", seeds=0, settings=Settings(epochs=2)).but(epochs=3).only("age")
results = run([experiment, Experiment("vectors.npz", corpus="my.csv")], train=["campplus"])
sums = results[experiment]
file, bad = features.extract(corpora.load("my.csv"), "mfcc", pooling="mean", name="mean")
embeddings: np.ndarray = features.read("mfcc").embeddings
"""


def test_documented_calls_pass_a_users_type_checker(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, script],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "persona" / "py.typed").is_file()


def test_dir_shows_what_is_meant_to_be_used():
    assert dir(persona) == ["Prediction", "Predictor", "__version__"]
    assert all(getattr(persona, name) for name in dir(persona))
