"""CREMA-D's audio: verified, downloaded and imported; nothing half-finished under a clip's name."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from crema_d_samples import (
    REPOSITORY,
    SHARED,
    TINY,
    all_of,
    held,
    many_clips,
    needs_crema,
    save_wav,
    serving_audio,
    small_corpus,
)

from persona import corpora
from persona.corpora import CremaD, Problem
from persona.corpora.crema_d_audio import BASE_URL
from persona.errors import CorpusError, StoreError


@pytest.fixture
def official(tmp_path, monkeypatch):
    return small_corpus(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "corpus"


def problems(folder, clips=None):
    return CremaD("all", folder).problems(clips)


# Verifying and locating


def test_damaged_clips_are_named_before_missing_ones(official, folder):
    shutil.copytree(official, folder)
    assert problems(folder) == []
    (folder / "1001_IEO_NEU_XX.wav").unlink()
    damaged = bytearray((folder / "1040_ITH_SAD_XX.wav").read_bytes())
    damaged[-1] ^= 1
    (folder / "1040_ITH_SAD_XX.wav").write_bytes(damaged)
    assert problems(folder) == [
        Problem("1040_ITH_SAD_XX", "corrupt"),
        Problem("1001_IEO_NEU_XX", "missing"),
    ]
    assert problems(folder, clips=["1001_IEO_ANG_HI"]) == []


def test_locate_answers_only_with_a_complete_corpus(official, folder):
    with pytest.raises(CorpusError, match=r"is not in .*corpus: run `persona corpus fetch`, or "):
        corpora.locate(folder)
    shutil.copytree(official, folder)
    assert corpora.locate(folder) == folder
    (folder / "1001_IEO_NEU_XX.wav").write_bytes(b"")
    with pytest.raises(
        CorpusError,
        match=r"^1 clip damaged \(1001_IEO_NEU_XX: corrupt\) in .*corpus: "
        r"run `persona corpus fetch`, or `persona corpus fetch --from DIR`",
    ):
        corpora.locate(folder)


def test_audio_is_kept_among_what_a_user_makes_unless_it_came_with_the_checkout(official, tmp_path):
    own, shipped = (tmp_path / part / "audio" / "crema-d" for part in ("build", "data"))
    assert CremaD().folder == own
    shutil.copytree(official, shipped)
    assert CremaD().folder == corpora.locate() == shipped
    shutil.copytree(official, own)
    assert CremaD().folder == own


def test_a_pipe_in_place_of_a_clip_is_no_clip(official, folder, server):
    shutil.copytree(official, folder)
    (folder / "1001_IEO_NEU_XX.wav").unlink()
    os.mkfifo(folder / "1001_IEO_NEU_XX.wav")
    assert problems(folder) == [Problem("1001_IEO_NEU_XX", "missing")]
    corpora.fetch(folder, base_url=server.url)
    assert held(folder) == all_of(official)


# Downloading


@pytest.fixture
def server(official, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    with serving_audio(official) as server:
        yield server


def test_the_official_address_is_pinned_to_a_commit():
    assert BASE_URL == (
        "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/"
        "1658cd342dff90010aa843eaeebd53610a08b1dc/AudioWAV/"
    )


def test_fetch_downloads_everything_under_one_progress_bar(official, folder, server, capfd):
    assert corpora.fetch(folder, base_url=server.url) == folder
    assert held(folder) == all_of(official)
    assert server.asked == Counter(TINY)
    bar = capfd.readouterr().err
    assert bar.count("\n") == 1
    assert "CREMA-D: 100%" in bar


def test_a_second_fetch_asks_for_nothing(official, folder, server):
    corpora.fetch(folder, base_url=server.url)
    server.asked.clear()
    corpora.fetch(folder, base_url=server.url)
    assert not server.asked


def test_two_fetches_into_one_folder_take_turns(official, folder, server):
    runs = [threading.Thread(target=corpora.fetch, args=(folder,), kwargs={"base_url": server.url})
            for _ in range(2)]  # fmt: skip
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=30)
    assert held(folder) == all_of(official)
    assert server.asked == Counter(TINY)


def test_fetch_replaces_a_damaged_file_and_keeps_the_rest(official, folder, server):
    shutil.copytree(official, folder)
    (folder / "1001_IEO_NEU_XX.wav").write_bytes(b"damaged")
    corpora.fetch(folder, base_url=server.url)
    assert server.asked == Counter(["1001_IEO_NEU_XX"])
    assert held(folder) == all_of(official)


def test_fetch_tries_again_after_a_cut_connection(official, folder, server):
    server.cuts["1001_IEO_NEU_XX"] = 2
    corpora.fetch(folder, base_url=server.url)
    assert held(folder) == all_of(official)
    assert server.asked["1001_IEO_NEU_XX"] == 3


def test_a_connection_cut_every_time_names_the_clip_and_a_rerun_finishes(official, folder, server):
    server.cuts["1001_IEO_NEU_XX"] = 3
    with pytest.raises(
        CorpusError,
        match=r"1 clip damaged \(1001_IEO_NEU_XX: no connection, or it was cut\) in .*"
        "run `persona corpus fetch` again",
    ):
        corpora.fetch(folder, base_url=server.url)
    expected = all_of(official)
    del expected["1001_IEO_NEU_XX.wav"]
    assert held(folder) == expected
    server.asked.clear()
    corpora.fetch(folder, base_url=server.url)
    assert held(folder) == all_of(official)
    assert server.asked == Counter(["1001_IEO_NEU_XX"])


def test_a_corrupt_and_a_missing_file_are_named_and_not_left_in_place(official, folder, server):
    server.corrupt, server.missing = {"1001_IEO_ANG_HI"}, {"1040_ITH_SAD_XX"}
    with pytest.raises(CorpusError) as caught:
        corpora.fetch(folder, base_url=server.url)
    assert str(caught.value).startswith(
        "2 clips damaged (1001_IEO_ANG_HI: corrupt, 1040_ITH_SAD_XX: the server answered 404) in "
    )
    expected = all_of(official)
    del expected["1001_IEO_ANG_HI.wav"], expected["1040_ITH_SAD_XX.wav"]
    assert held(folder) == expected


def test_a_corrupt_download_does_not_stay_even_over_a_damaged_file(official, folder, server):
    shutil.copytree(official, folder)
    (folder / "1001_IEO_ANG_HI.wav").write_bytes(b"damaged")
    server.corrupt = {"1001_IEO_ANG_HI"}
    with pytest.raises(CorpusError, match=r"1001_IEO_ANG_HI: corrupt"):
        corpora.fetch(folder, base_url=server.url)
    assert problems(folder) == [("1001_IEO_ANG_HI", "corrupt")]


def test_fetch_does_not_ask_a_dead_server_for_every_clip(server, folder, tmp_path, monkeypatch):
    server.root = many_clips(tmp_path, monkeypatch)
    server.broken = True
    with pytest.raises(
        CorpusError,
        match=r"^\d\d clips damaged \(.*: the server answered 503, ...\), \d\d clips missing",
    ):
        corpora.fetch(folder, base_url=server.url)
    assert server.asked.total() < 3 * (24 + 2 * 8)
    assert held(folder) == {}


def test_no_server_at_all_is_one_clear_sentence(official, folder, monkeypatch):
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    with pytest.raises(CorpusError, match=r"^6 clips .*XX: no connection, or it was cut, "):
        corpora.fetch(folder, base_url="http://127.0.0.1:9/")


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(official, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        corpora.fetch(tmp_path / "file" / "corpus")


def fetch_in_another_process(folder, server):
    code = "import sys, persona.corpora as c; c.fetch(sys.argv[1], base_url=sys.argv[2])"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), server.url],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_killed_fetch_resumes_with_only_what_is_missing(official, folder, server):
    server.stalled = {"1001_IEO_ANG_HI", "1040_ITH_SAD_XX"}
    arrived = {f"{name}.wav" for name in TINY if name not in server.stalled}
    process = fetch_in_another_process(folder, server)
    wait_until(lambda: server.asked.total() == 6 and arrived <= set(held(folder)))
    process.kill()
    process.communicate()
    unfinished = list((folder / ".incoming").iterdir())
    assert len(unfinished) == 2
    assert [p.name for p in folder.glob("*.wav") if p.stem in server.stalled] == []
    assert {p.clip for p in problems(folder)} == server.stalled

    server.go.set()
    server.asked.clear()
    corpora.fetch(folder, base_url=server.url)
    assert server.asked == Counter(server.stalled)
    assert held(folder) == all_of(official)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_no_broken_file(official, folder, server):
    server.stalled = {"1001_IEO_ANG_HI"}
    process = fetch_in_another_process(folder, server)
    wait_until(lambda: len(list(folder.glob("*.wav"))) == 5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    server.go.set()
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert not (folder / ".incoming").exists()
    # The download under way may still have finished; whatever is there is right.
    assert held(folder).items() <= all_of(official).items()


# Importing a copy


def test_import_takes_wav_and_flac_from_anywhere_below_a_folder(official, folder, tmp_path):
    source = tmp_path / "copy"
    (source / "deep" / "er").mkdir(parents=True)
    for number, path in enumerate(sorted(official.iterdir())):
        if number % 2:
            shutil.copy(path, source / "deep" / "er" / path.name)
        else:
            samples, rate = soundfile.read(path, dtype="int16")
            soundfile.write(source / "deep" / f"{path.stem}.FLAC", samples, rate, format="FLAC")
    (source / "notes.txt").write_text("not audio")
    save_wav(source / "holiday.wav", np.arange(500))
    assert corpora.import_copy(source, folder) == {}
    assert held(folder) == all_of(official)


def test_import_recognises_a_renamed_file_by_its_content(official, folder, tmp_path):
    source = tmp_path / "copy"
    shutil.copytree(official, source)
    (source / "1040_ITH_SAD_XX.wav").rename(source / "1040_ITH_SAD_X.wav")
    assert corpora.import_copy(source, folder) == {"1040_ITH_SAD_X.wav": "1040_ITH_SAD_XX"}
    assert held(folder) == all_of(official)


def test_a_corpus_folder_can_be_put_right_in_place(official, folder):
    shutil.copytree(official, folder)
    (folder / "1040_ITH_SAD_XX.wav").rename(folder / "1040_ITH_SAD_X.wav")
    corpora.import_copy(folder, folder)
    assert problems(folder) == []


def test_a_wrong_file_is_named_and_the_rest_imported(official, folder, tmp_path):
    source = tmp_path / "copy"
    shutil.copytree(official, source)
    save_wav(source / "1001_IEO_NEU_XX.wav", np.arange(4000))
    (source / "1001_IEO_ANG_HI.wav").unlink()
    samples, _ = soundfile.read(source / "1040_ITH_SAD_XX.wav", dtype="int16")
    (source / "1040_ITH_SAD_XX.wav").unlink()
    soundfile.write(source / "1040_ITH_SAD_XX.flac", samples, 48000)
    (source / "1002_MTI_SAD_XX.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    (source / "1002_TIE_NEU_XX.wav").unlink()
    os.mkfifo(source / "1002_TIE_NEU_XX.wav")
    with pytest.raises(CorpusError) as caught:
        corpora.import_copy(source, folder)
    message = str(caught.value)
    assert message.startswith("4 clips damaged (")
    for fault in (
        "1001_IEO_NEU_XX.wav is not the published audio (",
        "1002_MTI_SAD_XX.wav is a Git LFS pointer, not audio",
        "1002_TIE_NEU_XX.wav is not a regular file",
        "1040_ITH_SAD_XX.flac is not the published audio (resampled from 48000 Hz",
        f"1 clip missing (1001_IEO_ANG_HI) in {source}: `persona corpus fetch` downloads them; "
        f"the other 1 clips are now in {folder}.",
    ):
        assert fault in message
    good = ("1002_TIE_HAP_XX.wav",)
    assert held(folder) == {name: all_of(official)[name] for name in good}


def test_one_wrong_sample_makes_a_flac_wrong(official, folder, tmp_path):
    source = tmp_path / "copy"
    source.mkdir()
    samples, rate = soundfile.read(official / "1001_IEO_NEU_XX.wav", dtype="int16")
    samples[100] ^= 1
    soundfile.write(source / "1001_IEO_NEU_XX.flac", samples, rate)
    with pytest.raises(CorpusError, match=r"NEU_XX.flac is not the published audio"):
        corpora.import_copy(source, folder)
    assert held(folder) == {}


def test_import_adds_to_what_is_there(official, folder, tmp_path):
    for part in (TINY[:2], TINY[2:]):
        source = tmp_path / part[0]
        source.mkdir()
        for name in part:
            shutil.copy(official / f"{name}.wav", source)
    with pytest.raises(CorpusError, match=r"^4 clips missing .*; the other 2 clips are now in"):
        corpora.import_copy(tmp_path / TINY[0], folder)
    corpora.import_copy(tmp_path / TINY[2], folder)
    assert held(folder) == all_of(official)


def test_a_source_that_is_no_folder_is_refused(official, folder, tmp_path):
    with pytest.raises(CorpusError, match="is not a folder"):
        corpora.import_copy(tmp_path / "nowhere", folder)


@needs_crema
def test_the_real_flac_files_become_the_official_wav_files(folder):
    source = SHARED / "crema-d" / "audio"
    names = {path.stem for path in source.glob("*.flac")}
    with pytest.raises(
        CorpusError, match=r"^6,343 clips missing .*; the other 1,099 clips are now in"
    ):
        corpora.import_copy(source, folder)
    assert {path.stem for path in folder.glob("*.wav")} == names
    assert problems(folder, clips=names) == []
