"""Nothing is lost: two runs at once, a full disk, a folder of others, a clock that was set back."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import made_voices
import numpy as np
import pytest
import toys
import works
from works import Work

from persona import features
from persona.cli import printing
from persona.errors import PersonaError, StoreError
from persona.experiment import Experiment
from persona.keeping import store
from persona.run import run


@pytest.fixture(scope="module")
def audio(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    toys.record(folder, toys.clips(2)["clip"])
    return folder


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    made_voices.table(folder, speakers=5, each=4)
    return folder


@pytest.fixture(params=[works.extraction, works.experiment, works.own_model, works.prediction])
def given(request, audio, voices) -> tuple:
    """A work and what it takes."""
    work = request.param
    folder = {works.extraction: [audio], works.experiment: []}.get(work, [voices])
    return work, *map(str, folder)


@pytest.fixture
def wanted(given, tmp_path, monkeypatch) -> Counter:
    """What it makes when nothing is in its way."""
    alone = Work(tmp_path / "alone", *given)
    alone.feed(monkeypatch)
    alone.finish()
    return alone.made()


@pytest.mark.slow
def test_two_runs_in_one_folder_take_turns(given, wanted, tmp_path, monkeypatch):
    shared = Work(tmp_path / "shared", *given)
    shared.feed(monkeypatch)
    for process in [shared.start(), shared.start()]:
        shared.end(process)
    assert shared.made() == wanted
    assert not list(shared.build.rglob("*.unfinished"))


@pytest.mark.slow
def test_a_clock_that_was_set_back_to_1970_changes_nothing(given, wanted, tmp_path, monkeypatch):
    before, after = Work(tmp_path / "work", *given), Work(tmp_path / "x", works.in_1970, *given)
    before.feed(monkeypatch)
    before.kill(0.5)
    before.build.rename(after.build)
    after.finish()
    assert after.made() == wanted


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(small_disk):
    store.write_bytes(small_disk / "a", b"old")
    noise = np.random.default_rng(0).normal(size=(1000, 100))
    wanted = "cannot be written .*: make room there"
    with pytest.raises(StoreError, match=wanted):
        store.write_table(small_disk / "t.parquet", {"x": noise}, {})
    with pytest.raises(StoreError, match=wanted):
        store.write_bytes(small_disk / "a", noise.tobytes())
    assert [file.name for file in small_disk.iterdir()] == ["a"]
    assert (small_disk / "a").read_bytes() == b"old"


def test_rows_that_a_full_disk_cuts_off_are_one_sentence_and_come_again(small_disk, voices):
    rows, filler = small_disk / "rows.jsonl", small_disk / "filler"
    filler.write_bytes(bytes(248 * 1024))

    def resume() -> int:
        return printing.predict([str(voices)], form="jsonl", resume=rows)

    with pytest.raises(PersonaError, match=r"rows.jsonl cannot be written .*make room there"):
        resume()
    *before, cut_off = rows.read_text().splitlines(keepends=True)
    answered = [line for line in before if '"error"' not in line]
    filler.unlink()
    assert resume() == 1  # in some of the made voices there is no speech
    after = rows.read_text().splitlines(keepends=True)
    assert after[: len(answered)] == answered and answered and cut_off not in after
    files = [json.loads(line)["file"] for line in after]
    assert sorted(files) == sorted(map(str, voices.glob("*.wav")))


@pytest.mark.parametrize("call", ["extract", "run"])
def test_a_folder_that_cannot_be_written_to_is_one_sentence(call, tmp_path, monkeypatch, audio):
    """A file in a folder's place: no permission stops a superuser."""
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    toys.write_features(toys.Toy())
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "build"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"file.* cannot be written .*set PERSONA_BUILD to a fol"):
        if call == "extract":
            features.extract(toys.Toy(audio, 2), "toy", name="other", jobs=1)
        else:
            run([Experiment("toy", corpus="toy", seeds=[0])], train=True, jobs=1)
