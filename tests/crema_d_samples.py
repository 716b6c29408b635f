"""CREMA-D in small: a made checkout of the official repository, and a server of its audio."""

import csv
import hashlib
import shutil
import sys
import threading
import time
import wave
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
needs_crema = pytest.mark.skipif(
    not (SHARED / "crema-d").is_dir(), reason="the CREMA-D samples are not beside the repository"
)
needs_emodb = pytest.mark.skipif(
    not (SHARED / "emodb").is_dir(), reason="the EmoDB samples are not beside the repository"
)

sys.path.insert(0, str(REPOSITORY / "tools"))
import build_crema_d_table  # noqa: E402
import build_other_tables  # noqa: E402, F401

TINY = (
    "1001_IEO_ANG_HI",
    "1001_IEO_NEU_XX",
    "1002_TIE_HAP_XX",
    "1002_TIE_NEU_XX",  # same audio as the one above
    "1002_MTI_SAD_XX",  # digital silence
    "1040_ITH_SAD_XX",
)


def save_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_checkout(folder, names=TINY):
    """A checkout of the official repository in small."""
    (folder / "AudioWAV").mkdir(parents=True)
    (folder / "processedResults").mkdir()
    random = np.random.default_rng(0)
    for name in names:
        samples = random.integers(-9999, 9999, size=random.integers(4000, 8000))
        save_wav(folder / "AudioWAV" / f"{name}.wav", samples)
    if names is TINY:
        audio = folder / "AudioWAV"
        shutil.copy(audio / "1002_TIE_HAP_XX.wav", audio / "1002_TIE_NEU_XX.wav")
        save_wav(audio / "1002_MTI_SAD_XX.wav", np.zeros(16000))
    with open(folder / "VideoDemographics.csv", "w", newline="") as file:
        rows = [
            (1001, 51, "Male", "Caucasian", "Not Hispanic"),
            (1002, 21, "Female", "African American", "Not Hispanic"),
            (1040, 42, "Female", "Unknown", "Hispanic"),
        ]
        csv.writer(file).writerows([("ActorID", "Age", "Sex", "Race", "Ethnicity"), *rows])
    with open(folder / "processedResults" / "summaryTable.csv", "w", newline="") as file:
        rows = [(i, name, "A:D:N" if i == 0 else "N", "50") for i, name in enumerate(names)]
        csv.writer(file).writerows([("", "FileName", "VoiceVote", "VoiceLevel"), *rows])
    return folder


def small_corpus(tmp_path, monkeypatch):
    """A small corpus whose table is the one in use; returns its folder of WAV files."""
    checkout = make_checkout(tmp_path / "checkout")
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    build_crema_d_table.build_table(checkout)
    return checkout / "AudioWAV"


def many_clips(tmp_path, monkeypatch, count=100):
    """As `small_corpus`, of more clips."""
    names = [f"1001_{i:03}_ANG_XX" for i in range(count)]
    checkout = make_checkout(tmp_path / "many", names)
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "many-data"))
    build_crema_d_table.build_table(checkout)
    return checkout / "AudioWAV"


def held(folder):
    """What a folder holds, hidden files and folders included but for the lock."""
    return {
        p.name: sha256(p.read_bytes()) if p.is_file() else "folder"
        for p in folder.iterdir()
        if p.name != ".incoming.lock"
    }


def all_of(official):
    return held(official)


class Server(ThreadingHTTPServer):
    """Serves a folder below /AudioWAV/, misbehaving as told; `asked` counts requests by clip.

    missing, corrupt : names of clips answered with 404, with other bytes.
    cuts : how many more times a clip's body is cut in the middle.
    stalled : names of clips whose body pauses in the middle until `go` is set.
    pause : seconds that every body pauses in the middle.
    """

    daemon_threads = True

    def __init__(self, root):
        self.root, self.asked = root, Counter()
        self.missing, self.corrupt, self.stalled = set(), set(), set()
        self.cuts, self.go, self.broken = Counter(), threading.Event(), False
        self.pause = 0.0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/AudioWAV"

    def handle_error(self, request, client_address):
        """A client that was killed is no news."""


@contextmanager
def serving_audio(root):
    """A server of a folder until the block ends."""
    server = Server(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, Path(self.path).name
        clip = name.removesuffix(".wav")
        server.asked[clip] += 1
        path = server.root / name
        if server.broken or clip in server.missing or not path.is_file():
            self.send_error(503 if server.broken else 404)
            return
        data = path.read_bytes()
        if clip in server.corrupt:
            data = data[:-2] + b"\x00\x01"
        half = len(data) // 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:half])
        self.wfile.flush()
        if server.cuts[clip]:
            server.cuts[clip] -= 1
            return
        time.sleep(server.pause)
        if clip in server.stalled:
            server.go.wait(20)
        self.wfile.write(data[half:])

    def log_message(self, *args):
        pass
