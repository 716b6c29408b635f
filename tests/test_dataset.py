"""Clips and vectors of a data set: nobody's changes reach another, and no file's change is missed.

What a file was when it was read tells whether it is read again: nothing here empties a cache.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import toys

from persona import cross_validation, dataset, features
from persona.dataset import Dataset
from persona.errors import CorpusError, PersonaError
from persona.experiment import Experiment
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.run import identity, out_of_fold, run
from persona.training import Settings

BASE = Experiment("toy", corpus="toy", seeds=[0], settings=Settings(epochs=2, hidden=(8,)))


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    return tmp_path / "build"


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """As if every file had been written long ago: all that can be kept is."""
    monkeypatch.setattr(store, "_SETTLED", -60)


def table(file: Path, rows: int = 60, **changes) -> Path:
    """A table of one's own: six speakers, and a feature table of its clips."""
    number = np.arange(rows)
    clips = pd.DataFrame(
        {
            "file": [f"{i:03d}.wav" for i in number],
            "speaker": [f"s{i % 6}" for i in number],
            "emotion": np.array(EMOTIONS)[number // 6 % 6],
            "gender": np.array(["female", "male"])[number % 2],
            "age": 20 + number % 6,
        }
    ).assign(**changes)
    file.parent.mkdir(exist_ok=True)
    clips.to_csv(file, index=False)
    values = toys.embeddings(clips.assign(age=clips["age"].astype(float)), rows)
    made = store.made() / "features" / features.corpora.key(file) / "toy.parquet"
    columns = {"clip": clips["file"].to_numpy(), "embedding": values}
    store.write_table(made, columns, toys.provenance(toys.Toy()))
    return file


class TestFilesThatChange:
    def test_audio_that_is_extracted_again_is_another_experiment_in_the_same_process(
        self, tmp_path
    ):
        def extracted(seed: int) -> pd.DataFrame:
            toys.record(tmp_path / "audio", toys.clips()["clip"], seed)
            features.extract(toys.Toy(tmp_path / "audio"), "toy", jobs=1)
            run([BASE], train=True, jobs=1)
            return out_of_fold(BASE)

        first, name = extracted(1), identity(BASE)
        second = extracted(2)
        assert identity(BASE) != name and not second.equals(first)
        fresh = features.read("toy", "toy").at(toys.clips()["clip"])
        assert np.array_equal(Dataset("toy", "toy").embeddings, fresh)
        assert extracted(1).equals(first) and identity(BASE) == name

    @pytest.mark.parametrize("suffix", [".csv", ".CSV"])
    def test_an_edited_table_is_seen_at_once(self, tmp_path, suffix):
        file = table(tmp_path / f"mine{suffix}")
        one = BASE.but(corpus=str(file))
        data, name = Dataset(file), identity(one)
        file.write_text(file.read_text().replace(",24", ",42"))
        assert set(Dataset(file).clips["age"]) == {20, 21, 22, 23, 42, 25}
        assert identity(one) != name and data.clips["age"].max() == 25

    def test_what_has_changed_a_moment_ago_is_not_kept(self, tmp_path, monkeypatch):
        """A second change might leave time and size as they are."""
        monkeypatch.undo()
        file = table(tmp_path / "mine.csv")
        times = file.stat().st_mtime_ns
        assert Dataset(file).clips["age"].max() == 25
        file.write_text(file.read_text().replace(",25", ",35"))
        os.utime(file, ns=(times, times))
        assert Dataset(file).clips["age"].max() == 35

    def test_audio_of_a_table_that_changes_changes_its_fingerprint(self, tmp_path):
        file = table(tmp_path / "mine.csv")
        toys.record(tmp_path, [f"{i:03d}" for i in range(60)])
        before = Dataset(file).fingerprint
        assert Dataset(file).fingerprint == before
        toys.record(tmp_path, ["007"], seed=5)
        assert Dataset(file).fingerprint != before


class TestWhatIsHandedOut:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path):
        toys.home(tmp_path)

    def test_a_change_of_a_frame_reaches_no_experiment(self):
        before = cross_validation.predict_fold(BASE, 0, 0)
        clips = Dataset("toy").clips
        clips.loc[:19, "gender"] = "male"
        clips["age"] = 1.0
        assert Dataset("toy").clips.equals(toys.clips())
        assert cross_validation.predict_fold(BASE, 0, 0).equals(before)

    @pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
    def test_a_change_of_a_tensor_reaches_no_experiment(self):
        """`torch.from_numpy` writes through an array that is read-only."""
        before = cross_validation.predict_fold(BASE, 0, 0)
        data = Dataset("toy", "toy")
        data.tensor().zero_()
        torch.from_numpy(data.embeddings).zero_()
        assert data.tensor().any()
        assert cross_validation.predict_fold(BASE, 0, 0).equals(before)

    def test_an_array_is_read_only(self):
        embeddings = Dataset("toy", "toy").embeddings
        with pytest.raises(ValueError, match="read-only"):
            embeddings[0] = 0
        assert embeddings.dtype == np.float32 and embeddings.shape == (120, toys.DIMENSION)

    def test_rows_of_embeddings_are_those_of_the_clips(self):
        data = Dataset("toy+toy-abroad", "toy")
        own = [toys.embeddings(toys.clips()), Dataset("toy-abroad", "toy").embeddings]
        assert np.array_equal(data.embeddings, np.concatenate(own)) and len(data) == 156
        assert data.clips["corpus"].tolist() == ["toy"] * 120 + ["toy-abroad"] * 36
        assert data.clips["speaker"].iloc[0] == "toy 0"

    def test_embeddings_of_no_representation_are_one_sentence(self):
        with pytest.raises(PersonaError, match=r"Name one: Dataset\('toy', 'mfcc'\)"):
            _ = Dataset("toy").embeddings


class TestNamesOfCorpora:
    def test_two_tables_that_name_the_same_files_are_told_apart(self, tmp_path):
        first = table(tmp_path / "a.csv")
        second = table(tmp_path / "b.csv", 72, age=50)
        data = Dataset(f"{first}+{second}", "toy")
        assert data.clips["clip"].is_unique and data.clips["speaker"].nunique() == 12
        parts = [Dataset(file, "toy").embeddings for file in (first, second)]
        assert np.array_equal(data.embeddings, np.concatenate(parts))
        one = BASE.but(corpus=data.corpus)
        counts = run([one], train=True, jobs=1)[one]
        assert counts.age[0, :, 0].tolist() == [10] * 6 + [12] * 6
        assert set(counts.age[0, 6:, 1] / 12) == {50}

    @pytest.mark.parametrize("name", ["a+b/mine.csv", "a+b.CSV", "crema-d+mine/x.csv"])
    def test_a_path_may_hold_a_plus(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        file = table(tmp_path / name)
        if name.startswith("crema"):  # reads as crema-d and mine/x.csv
            with pytest.raises(CorpusError, match=r"is a file, and reads as 2 corpora: rename it"):
                Dataset(name)
            return
        assert len(Dataset(name)) == 60
        assert len(Dataset(f"{name}+toy")) == 180
        assert identity(BASE.but(corpus=name)) and file.exists()

    def test_a_corpus_twice_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        table(tmp_path / "a.csv")
        with pytest.raises(CorpusError, match="names one corpus twice"):
            Dataset("a.csv+./a.csv")

    def test_a_file_in_capitals_is_an_experiment(self, tmp_path):
        one = BASE.but(corpus=str(table(tmp_path / "MINE.CSV")))
        assert run([one], train=True, jobs=1)[one].age[..., 0].sum() == 60


class TestCache:
    @pytest.fixture
    def cache(self) -> dataset._Cache:
        return dataset._Cache()

    def test_is_bounded_by_bytes_and_keeps_what_was_asked_for_last(self, cache, monkeypatch):
        monkeypatch.setattr(dataset, "LIMIT", 3000)
        for key in "abcab":
            cache.get(key, lambda: np.zeros(1000, np.uint8))
        cache.get("d", lambda: np.zeros(1000, np.uint8))
        kept = [key for key in "dba" if cache.get(key, lambda: None) is not None]
        assert kept == ["d", "b", "a"] and cache.get("c", lambda: None) is None

    def test_serves_threads(self, cache):
        def ask(number: int) -> int:
            return cache.get(number % 7, lambda: number % 7)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(500))) == [n % 7 for n in range(500)]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_serves_a_process_that_was_forked_while_it_was_in_use(self, cache):
        with cache._lock:
            child = os.fork()
            if not child:
                threading.Timer(10, lambda: os._exit(2)).start()
                os._exit(cache.get("a", lambda: 0))
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.usefixtures("build")
def test_results_of_the_model_that_ships_are_found_at_once(monkeypatch):
    from persona.model.recipe import shipped

    experiment = shipped()
    results = run([experiment], "model")
    began = time.perf_counter()
    for _ in range(5):
        results[experiment]
    assert (time.perf_counter() - began) / 5 < 0.5  # 0.1 s on an idle machine
