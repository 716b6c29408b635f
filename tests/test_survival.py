"""Nothing is lost: works that are killed at any moment, and the servers and workers beside them."""

import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import made_voices
import pytest
import toys
import works
from crema_d_samples import many_clips, serving_audio
from dask_cluster import cluster
from http_server import serving, speech
from works import KILLS, Work

from persona import features
from persona.keeping import store

AUDIO = {works.extraction: "audio", works.own_model: "voices", works.prediction: "voices"}
WORKS = [*AUDIO, works.experiment, works.training, works.notebook]
CLIENTS = 8


@pytest.fixture(scope="module")
def audio(tmp_path_factory) -> Path:
    """Clips of the toy corpus."""
    folder = tmp_path_factory.mktemp("audio")
    toys.record(folder, toys.clips(2)["clip"])
    return folder


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> Path:
    """Made voices, and a table of them."""
    folder = tmp_path_factory.mktemp("voices")
    made_voices.table(folder, speakers=5, each=4)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_killed_run_is_finished_by_the_next_with_the_same_results(
    work, tmp_path, request, monkeypatch
):
    given = [str(request.getfixturevalue(AUDIO[work]))] if work in AUDIO else []
    undisturbed, disturbed = (Work(tmp_path / name, work, *given) for name in "ab")
    for each in (undisturbed, disturbed):
        each.feed(monkeypatch)
    seconds = undisturbed.finish()
    wanted = undisturbed.made()
    random.seed(work.__name__)
    for ended in disturbed.killed(seconds):
        assert disturbed.made() <= wanted
        if ended:
            disturbed.feed(monkeypatch)
    disturbed.finish()
    assert disturbed.made() == wanted
    assert not list(disturbed.build.rglob("*.npz"))


@pytest.mark.slow
def test_a_killed_fetch_asks_again_only_for_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    official = many_clips(tmp_path, monkeypatch, count=40)
    clips = {file.stem for file in official.iterdir()}
    with serving_audio(official) as server:
        server.pause = 0.2
        undisturbed, work = (Work(tmp_path / name, works.fetch, server.url) for name in "ab")
        seconds = undisturbed.finish()
        wanted, held = undisturbed.made(), set()
        random.seed("fetch")
        server.asked.clear()
        for ended in work.killed(seconds):
            assert work.made() <= wanted
            assert not held & set(server.asked)
            if ended:
                shutil.rmtree(work.build)
            held = {file.stem for file in work.build.rglob("corpus/*.wav")}
            server.asked.clear()
        work.finish()
        assert set(server.asked) == clips - held
    assert work.made() == wanted
    assert not (work.build / "corpus" / ".incoming").exists()


@pytest.mark.slow
def test_a_server_killed_under_load_answers_nothing_wrong_and_the_next_at_once(
    tmp_path, monkeypatch
):
    for name in ("TMPDIR", "PERSONA_BUILD"):
        monkeypatch.setenv(name, str(tmp_path))
    clip, port, wanted = speech(3), 0, None
    random.seed("server")
    for _ in range(KILLS + 1):
        with serving("--port", str(port)) as server, ThreadPoolExecutor(CLIENTS) as clients:
            port = server.port
            answer = server.post(clip).json()
            wanted = wanted or answer
            assert answer == wanted and answer[0]["emotion"]
            sent = [clients.submit(server.post, clip) for _ in range(3 * CLIENTS)]
            answered = random.randrange(2 * CLIENTS)
            while sum(one.done() for one in sent) < answered:
                time.sleep(0.001)
            server.process.kill()
            server.process.wait()
            lost = [one for one in sent if isinstance(one.exception(), httpx.TransportError)]
            assert lost
            assert all(one.result().json() == wanted for one in sent if one not in lost)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_dask_worker_had_in_hand_is_done_by_the_other(tmp_path, audio, monkeypatch):
    pytest.importorskip("distributed", reason="dask is not installed")
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path))
    monkeypatch.setattr(features, "PART", 2)
    corpus = toys.Toy(audio, 2)

    def extracted(name: str, **where: str) -> str:
        file, _ = features.extract(corpus, "toy", name=name, jobs=1, pause=0.05, **where)
        return store.checksum(store.read_table(file).columns)

    wanted = extracted("here")
    random.seed("dask")
    with cluster(tmp_path, workers=2) as running:
        there = {"backend": "dask", "scheduler": running.address}
        extracted("first", **there)  # the workers import what they need
        began = time.monotonic()
        assert extracted("undisturbed", **there) == wanted
        seconds = time.monotonic() - began
        for number in range(KILLS):
            killer = threading.Timer(random.uniform(0, seconds), running.kill_worker)
            killer.start()
            assert extracted(f"disturbed-{number}", **there) == wanted
            killer.join()
            running.add_workers(1)
