"""Feature tables: resumable, the same whatever the number of processes, never of other code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import soundfile

from persona import corpora, features, paths, representations
from persona.errors import FeatureError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "crema-d" / "audio"
needs_audio = pytest.mark.skipif(not SHARED.is_dir(), reason="no CREMA-D audio beside the checkout")


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """Ten short noises."""
    rng = np.random.default_rng(0)
    made = {}
    for i in range(10):
        made[f"clip{i}"] = tmp_path / f"clip{i}.wav"
        soundfile.write(made[f"clip{i}"], rng.normal(0, 0.1, 8000 + 800 * i), 16_000)
    return made


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A data folder of its own with the real clip table in it."""
    folder = tmp_path / "data"
    (folder / "crema-d").mkdir(parents=True)
    table = paths.data() / "crema-d" / "clips.csv"
    (folder / "crema-d" / "clips.csv").write_bytes(table.read_bytes())
    (folder / "features").mkdir()
    monkeypatch.setenv("PERSONA_DATA", str(folder))
    return folder


def test_a_table_holds_the_embedding_of_every_clip(files, data):
    bad = features.extract("mfcc", files, features.path("mfcc"), jobs=1)
    table = features.read("mfcc")
    waveforms = [soundfile.read(files[clip], dtype="float32")[0] for clip in table.clips]
    assert bad == {}
    assert list(table.clips) == sorted(files)
    assert np.allclose(table.embeddings, representations.load("mfcc").embed(waveforms), atol=1e-4)


def test_the_number_of_processes_changes_nothing(files, data, monkeypatch):
    monkeypatch.setattr(features, "PART", 3)
    features.extract("mfcc", files, features.path("one"), jobs=1)
    features.extract("mfcc", files, features.path("two"), jobs=2)
    assert features.read("one").identity() == features.read("two").identity()


def test_a_bad_clip_is_named_and_skipped_and_the_rest_finish(files, data):
    files["clip3"].write_bytes(b"this is no audio")
    bad = features.extract("mfcc", files, features.path("mfcc"), jobs=1)
    assert list(bad) == ["clip3"] and "clip3.wav" in bad["clip3"]
    table = features.read("mfcc")
    assert len(table.clips) == 9
    assert table.provenance["skipped"] == bad


def test_a_silent_clip_of_a_corpus_is_embedded_without_nan(files, data):
    soundfile.write(files["clip0"], np.zeros(16_000), 16_000)
    for name in representations.OFFLINE:
        assert features.extract(name, files, features.path(name), jobs=1) == {}
        assert np.isfinite(features.read(name).embeddings).all()


def test_a_killed_extraction_goes_on_where_it_was(tmp_path, data, monkeypatch):
    rng = np.random.default_rng(0)
    files = {f"clip{i:02d}": tmp_path / f"clip{i:02d}.wav" for i in range(60)}
    for file in files.values():
        soundfile.write(file, rng.normal(0, 0.1, 32_000), 16_000)
    script = tmp_path / "extract.py"
    script.write_text(
        "from pathlib import Path\n"
        "from persona import features\n"
        "if __name__ == '__main__':\n"
        "    features.PART = 2\n"
        f"    files = {{file.stem: file for file in Path({str(tmp_path)!r}).glob('*.wav')}}\n"
        "    features.extract('egemaps', files, features.path('egemaps'), jobs=1)\n"
    )
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    parts = data / "features"
    deadline = time.time() + 60
    while len(list(parts.glob("*.parts/??????.npz"))) < 3 and time.time() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {part: part.stat().st_mtime_ns for part in parts.glob("*.parts/??????.npz")}
    assert 3 <= len(done) < 30
    assert not features.path("egemaps").exists()

    kept = {}
    assemble = features._assemble

    def watched(out, parts, provenance):
        kept.update({part: part.stat().st_mtime_ns for part in parts})
        return assemble(out, parts, provenance)

    monkeypatch.setattr(features, "PART", 2)
    monkeypatch.setattr(features, "_assemble", watched)
    features.extract("egemaps", files, features.path("egemaps"), jobs=1)
    assert len(kept) == 30
    assert done.items() <= kept.items()
    assert len(features.read("egemaps").clips) == 60
    assert not list(parts.glob("*.parts"))


def rewrite(file: Path, **changes: object) -> None:
    table = parquet.read_table(file)
    made_by = json.loads(table.schema.metadata[b"persona"]) | changes
    parquet.write_table(table.replace_schema_metadata({"persona": json.dumps(made_by)}), file)


class TestRefusals:
    def test_a_missing_table_names_the_command_that_makes_it(self, data):
        with pytest.raises(FeatureError, match="no feature table for 'xvector': make it with"):
            features.read("xvector")

    def test_a_table_of_other_code(self, files, data):
        features.extract("mfcc", files, features.path("mfcc"), jobs=1)
        rewrite(features.path("mfcc"), version=0)
        with pytest.raises(FeatureError, match="version 0 of mfcc, this is version 1"):
            features.read("mfcc")

    def test_a_table_of_another_corpus(self, files, data):
        features.extract("mfcc", files, features.path("mfcc"), jobs=1)
        rewrite(features.path("mfcc"), corpus_sha256="0" * 64)
        with pytest.raises(FeatureError, match="another version of the corpus"):
            features.read("mfcc")

    def test_a_file_that_is_no_table(self, data):
        features.path("mfcc").write_bytes(b"nonsense")
        with pytest.raises(FeatureError, match=r"mfcc.parquet is not a feature table of ours"):
            features.read("mfcc")

    def test_clips_that_the_table_lacks_are_named(self, files, data):
        features.extract("mfcc", files, features.path("mfcc"), jobs=1)
        with pytest.raises(FeatureError, match=r"lacks 1 clip.*nobody"):
            features.read("mfcc").at(["clip1", "nobody"])


def test_tables_joined_by_plus_stand_side_by_side():
    joined = features.read("mfcc+dvector")
    assert joined.embeddings.shape[1] == 80 + 256
    clip = joined.clips[123]
    assert np.array_equal(joined.at([clip])[0, 80:], features.read("dvector").at([clip])[0])


@pytest.mark.parametrize("name", representations.OFFLINE)
class TestShippedTables:
    def test_every_clip_of_the_corpus_is_there_and_finite(self, name):
        table = features.read(name)
        assert sorted(table.clips) == sorted(corpora.clips("all")["clip"])
        assert np.isfinite(table.embeddings).all()
        assert table.provenance["skipped"] == {}

    def test_the_file_can_be_committed(self, name):
        assert features.path(name).stat().st_size < 10_000_000

    @needs_audio
    def test_extracting_the_audio_again_gives_the_same_values(self, name, tmp_path):
        """Every clip that is here for the fast ones, a sixth of them for eGeMAPS."""
        everything = sorted(SHARED.glob("*.flac"))
        chosen = everything[::6] if name == "egemaps" else everything
        out = tmp_path / "again.parquet"
        bad = features.extract(name, {file.stem: file for file in chosen}, out)
        assert bad == {}
        again = parquet.read_table(out)
        values = np.stack(again["embedding"].to_numpy())
        shipped = features.read(name).at(again["clip"].to_pylist())
        rounding = 1 / 512 if name == "dvector_layers" else 0  # may fall to the other side
        error = np.maximum(abs(values - shipped) - rounding, 0)
        assert (error / np.maximum(abs(shipped).max(axis=0), 1e-6)).max() < 1e-3


def test_memory_does_not_grow_with_the_number_of_parts(files, data, monkeypatch):
    """Only one part is ever open while the table is put together."""
    monkeypatch.setattr(features, "PART", 1)
    opened, most = set(), 0
    load = np.load

    class Watched:
        def __init__(self, file):
            self.arrays = load(file)

        def __enter__(self):
            nonlocal most
            opened.add(id(self))
            most = max(most, len(opened))
            return self.arrays

        def __exit__(self, *_):
            opened.discard(id(self))
            self.arrays.close()

    monkeypatch.setattr(features.np, "load", Watched)
    features.extract("mfcc", files, features.path("mfcc"), jobs=1)
    assert most == 1
