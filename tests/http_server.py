"""`persona serve` in a process of its own that cannot write a byte to any file, and its clients."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import soundfile
from audio_samples import encode

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "data" / "examples" / "1018_IEO_HAP_HI.flac"
LISTENING = ROOT / "data" / "listening"

COUNTED = "COVERAGE_PROCESS_CONFIG" in os.environ  # the lines that it runs, into a file


class Server:
    """A running server: its process and its address."""

    def __init__(self, process: subprocess.Popen, url: str) -> None:
        self.process, self.url = process, url
        self.port = int(url.rsplit(":")[-1])

    def post(
        self, *contents: bytes, path: str = "/predict", timeout: float = 300
    ) -> httpx.Response:
        files = [("file", (f"{i}.flac", content)) for i, content in enumerate(contents)]
        return httpx.post(self.url + path, files=files, timeout=timeout)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=300)

    def sending(self, body: bytes, stated: int) -> socket.socket:
        """A connection over which `body` went, of a form of `stated` bytes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: %d\r\n\r\n" % stated + body
        )
        return connection

    def processor(self) -> float:
        """Seconds of a processor that it took so far."""
        times = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, kind: str = "VmRSS") -> float:
        """In MB; `VmHWM` is the most there was."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1000


def _no_file() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server on a free port until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "persona.cli", "serve", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=None if COUNTED else _no_file,
    )
    try:
        assert process.stdout
        yield Server(process, process.stdout.readline().split()[-1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(300)


def form(content: bytes) -> bytes:
    """A form with one file, its boundary "x"."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="talk.wav"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


def speech(seconds: float, container: str = "WAV") -> bytes:
    """One clip over and over."""
    samples, rate = soundfile.read(CLIP)
    return encode(np.resize(samples, round(seconds * rate)), rate, container)
