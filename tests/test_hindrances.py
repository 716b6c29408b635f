"""Nothing is lost: two runs at once, a full disk, a folder of others, a clock that was set back."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import made_voices
import numpy as np
import pytest
import toys
import works
from works import Work

from persona import cli, features
from persona.cli import printing
from persona.errors import PersonaError, StoreError
from persona.experiment import Experiment
from persona.keeping import store
from persona.run import run

ROOT = Path(__file__).resolve().parent.parent
CLIPS = sorted((ROOT / "data" / "examples").glob("*.flac"))


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


def command(*words: object, shell: str, before: str = "") -> subprocess.CompletedProcess:
    """The command as the shell starts it, with its streams as the shell says."""
    script = "import sys; from persona.cli import main; sys.exit(main())"
    line = ["sh", "-c", f'{before} "$@" {shell}', "sh", sys.executable, "-c", script]
    return subprocess.run([*line, *map(str, words)], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "shell", "said"),
    [
        (["predict", "-"], "<&-", "Standard input cannot be read"),
        (["predict", *CLIPS, "--csv"], ">/dev/full", "cannot be written .No space left"),
        (["predict", *CLIPS], ">/dev/full", "cannot be written .No space left"),
        (["predict", *CLIPS, "--jsonl"], ">&-", "Standard output is closed"),
        (["corpus", "oddities"], ">/dev/full", "cannot be written .No space left"),
        (["--help"], ">/dev/full", "cannot be written .No space left"),
        (["features"], ">&-", ""),
    ],
)
def test_streams_that_are_closed_or_full_are_one_sentence(words, shell, said):
    done = command(*words, shell=shell)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == bool(said) and re.search(said, done.stderr)
    assert done.returncode == (1 if said else 0)


def test_a_reader_that_goes_away_ends_any_command_quietly():
    done = command("corpus", "oddities", shell="| head -1")
    assert done.stdout.count("\n") == 1 and not done.stderr


def test_a_limit_on_the_size_of_files_is_one_sentence_after_what_is_answered(tmp_path):
    """Answers are printed although their TextGrids cannot be written."""
    words = ["predict", *CLIPS, "--json", "--textgrid", tmp_path / "grids"]
    uncounted = "unset COVERAGE_PROCESS_START COVERAGE_PROCESS_CONFIG;"  # it would write a file
    done = command(*words, shell="", before=f"{uncounted} ulimit -f 0;")
    assert [row["file"] for row in json.loads(done.stdout)] == [str(CLIPS[0])]
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_machine_without_threads_is_one_sentence_after_what_is_answered(
    form, monkeypatch, capsys, tmp_path
):
    begun, left = threading.Thread.start, iter([True] * 4)
    for name in "abcdef":
        shutil.copy(CLIPS[0], tmp_path / f"{name}.flac")

    def start(self):
        if not next(left, False):
            raise RuntimeError("can't start new thread")
        begun(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert cli.main(["--quiet", "predict", str(tmp_path), f"--{form}"]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "no further thread" in err
    assert "a.flac" in out and "f.flac" not in out
