"""A representation from outside the package, and vectors that somebody else computed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys
from made_voices import table
from toy_model import CLIP

from persona import cli, corpora, features, representations
from persona.errors import FeatureError, ModelError, PersonaError
from persona.experiment import Experiment
from persona.model.predictor import Predictor
from persona.own import train as own
from persona.run import run
from persona.training import Settings

SETTINGS = Settings(epochs=2, patience=0, hidden=(8,), schedule="one-cycle")

LOUDNESS = """
import numpy as np

class Loudness:
    name, title, kind = "loudness", "Loudness", "acoustic features"
    dimension, rate, version, dtype = 2, 16_000, 1, "float32"
    libraries, thread_safe, needs_download = ("numpy",), True, False

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def embed(self, waveforms):
        pooled = [[np.abs(w).mean(), np.square(w).mean()] for w in waveforms]
        return np.array(pooled, np.float32).reshape(-1, 2) * self.scale

    def provenance(self):
        return {"representation": self.name, "version": self.version, "scale": self.scale}
"""


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(representations, "_OUTSIDE", {})
    yield
    toys.stop_workers()


@pytest.fixture
def path(tmp_path) -> str:
    """A table of clips."""
    return table(tmp_path / "audio")


@pytest.fixture
def loudness() -> type:
    """Fifteen lines, as if defined in a notebook."""
    notebook = {"__name__": "__main__"}
    exec(LOUDNESS, notebook)
    return notebook["Loudness"]


def train(path: str, folder: Path, representation: str) -> Predictor:
    return own.train(path, folder / "model", SETTINGS, representation=[representation], jobs=1)


class TestAClassFromOutside:
    def test_is_extracted_by_workers_trained_on_and_listens(self, path, tmp_path, loudness):
        representations.register(loudness)
        file, bad = features.extract(corpora.load(path), "loudness", jobs=2)
        assert file.name == "loudness.parquet" and not bad
        made_by = features.read("loudness", path).provenance["representation"]
        assert made_by == {
            "representation": "loudness", "version": 1, "scale": 1.0,
            "class": "__main__:Loudness",
        }  # fmt: skip
        experiment = Experiment("loudness", corpus=path, seeds=[0], settings=SETTINGS)
        assert len(run([experiment], train=True, jobs=2).rows)
        predictor = own.train(
            path, tmp_path / "model", SETTINGS, representation=["loudness"], jobs=1
        )
        assert predictor.card["representations"] == [made_by]
        assert predictor.predict(CLIP).age > 0

    def test_is_named_by_its_module_in_commands(self, path, tmp_path):
        (tmp_path / "outside.py").write_text(LOUDNESS)
        script = "import sys; from persona.cli import main; sys.exit(main(sys.argv[1:]))"

        def persona(*words: str) -> subprocess.CompletedProcess:
            command = [sys.executable, "-c", script, *words]
            return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

        done = persona("extract", "outside:Loudness", "--corpus", path, "--jobs", "2")
        assert done.returncode == 0, done.stderr
        assert "loudness.parquet" in done.stdout
        listed = persona("features", path)
        assert "outside:Loudness" in listed.stdout
        done = persona(
            "train", "outside:Loudness", "--corpus", path, "--out", "model", "--networks", "1"
        )
        assert done.returncode == 0, done.stderr
        card = json.loads((tmp_path / "model" / "card.json").read_text())
        assert card["representations"][0]["class"] == "outside:Loudness"

    def test_is_never_imported_because_a_model_names_it(self, path, tmp_path, loudness):
        representations.register(loudness)
        train(path, tmp_path, "loudness")
        representations._OUTSIDE.clear()
        with pytest.raises(PersonaError, match=r"made by __main__:Loudness, .*register first\.$"):
            Predictor.load(tmp_path / "model")
        assert len(features.read("loudness", path).clips) == 36  # vectors need no code
        representations.register(loudness)
        assert Predictor.load(tmp_path / "model").predict(CLIP).emotion

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"version": None}, "no representation, as it has no version"),
            ({"name": "mfcc"}, "cannot be called 'mfcc'"),
            ({"name": "../x"}, "cannot be called '../x'"),
            ({"rate": 8000}, "asks for 8000 Hz"),
        ],
    )
    def test_that_lacks_something_is_one_sentence(self, loudness, changed, sentence):
        for name, value in changed.items():
            if value is None:
                delattr(loudness, name)
            else:
                setattr(loudness, name, value)
        with pytest.raises(PersonaError, match=sentence):
            representations.register(loudness)

    @pytest.mark.parametrize("address", ["nowhere:Loudness", "json:Loudness", ":", "a..b:C"])
    def test_that_cannot_be_imported_is_one_sentence(self, address):
        with pytest.raises(PersonaError, match=r"cannot be imported .* module:Class"):
            representations.class_of(address)


@pytest.fixture(params=["npz", "parquet"])
def vectors(request, tmp_path, path) -> str:
    """A file of vectors that carry the emotion, in another order than the clips, and one more."""
    import pandas as pd

    clips = pd.read_csv(path)[::-1]
    values = np.random.default_rng(0).normal(size=(len(clips), 4))
    values[:, 0] += 9 * (clips["emotion"] == "warm")
    names, values = [*clips["file"], "another.wav"], np.vstack([values, np.zeros((1, 4))])
    file = tmp_path / f"vectors.{request.param}"
    if request.param == "npz":
        np.savez(file, clip=np.array(names), embedding=values)
    else:
        pd.DataFrame({"clip": names, "embedding": list(values)}).to_parquet(file)
    return str(file)


class TestVectorsOfOnesOwn:
    def test_serve_where_a_table_does(self, vectors, path, tmp_path):
        read = features.read(vectors, path)
        assert read.embeddings.shape == (37, 4) and read.embeddings.dtype == np.float32
        made_by = read.provenance["representation"]
        assert made_by["file"] == Path(vectors).name and len(made_by["sha256"]) == 64
        experiment = Experiment(vectors, corpus=path, seeds=[0], settings=SETTINGS)
        assert len(run([experiment], train=True, jobs=2).rows)
        predictor = train(path, tmp_path, vectors)
        card = predictor.card
        assert card["representations"] == [made_by]
        assert str(tmp_path) not in json.dumps(card), "a card is shared: it names no folder"
        assert any("not to recordings" in limit for limit in card["limits"])
        assert predictor.heads.run(read.embeddings).age.shape == (37,)
        with pytest.raises(ModelError, match=r"vectors\.\w+ cannot be computed from audio here"):
            predictor.predict(CLIP)

    def test_become_a_table_of_a_corpus(self, vectors, path, capsys):
        assert cli.main(["extract", vectors, "--corpus", path, "--name", "theirs"]) == 0
        assert "36 embeddings" in capsys.readouterr().out
        found, read = features.read("theirs", path), features.read(vectors, path)
        assert (found.at(found.clips) == read.at(found.clips)).all()
        assert found.provenance["representation"] == read.provenance["representation"]

    def test_that_changed_are_other_results(self, vectors, path):
        from persona.run import identity

        experiment = Experiment(vectors, corpus=path)
        before = identity(experiment)
        if vectors.endswith("npz"):
            with np.load(vectors) as arrays:
                np.savez(vectors, clip=arrays["clip"], embedding=arrays["embedding"] + 1)
            assert identity(experiment) != before

    @pytest.mark.parametrize(
        "arrays",
        [
            {"clip": ["a"]},
            {"clip": ["a", "b"], "embedding": [[1.0]]},
            {"clip": ["a"], "embedding": [1.0]},
            {"clip": ["a", "a"], "embedding": [[1.0], [2.0]]},
            {"clip": ["a"], "embedding": [[np.nan]]},
            {"clip": np.array(["a"], object), "embedding": [[1.0]]},
        ],
    )
    def test_that_are_none_are_one_sentence(self, tmp_path, arrays):
        file = tmp_path / "bad.npz"
        np.savez(file, **arrays)
        with pytest.raises(FeatureError, match=r"^\S*bad\.npz [^\n]*\.$"):
            features.read(str(file))
        for other in ("missing.npz", "bad.parquet"):
            (tmp_path / "bad.parquet").write_text("no")
            with pytest.raises(FeatureError, match="no file of vectors"):
                features.read(str(tmp_path / other))
