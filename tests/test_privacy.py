"""What is heard stays here: a prediction opens no connection and leaves no file."""

import os
import subprocess
import sys
from pathlib import Path

from toy_model import CLIP

ROOT = Path(__file__).resolve().parents[1]
WATCHED = """
import sys
reached = []
def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        reached.append((event, repr(arguments)))
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        reached.append((event, repr(arguments)))
sys.addaudithook(watch)
"""


def watched(script: str, tmp_path: Path) -> list[str]:
    """What the script printed; `reached` lists its connections and the files it writes.

    Of native code the list shows nothing: what that would keep lands in `tmp_path`, as its home.
    """
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
    }  # fmt: skip
    environment.pop("ORT_DISABLE_TELEMETRY", None)  # an earlier test of this process has set it
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_a_prediction_opens_no_connection_and_writes_no_file(tmp_path):
    script = (
        "from persona import Predictor\n"
        f"print(max(Predictor.load().predict({str(CLIP)!r}).gender.values()) > 0.5)\n"
        "print(reached)\n"
    )
    assert watched(script, tmp_path) == ["True", "[]"]
    assert not list(tmp_path.iterdir())


def test_a_connection_and_a_file_would_be_seen(tmp_path):
    script = (
        "import socket\n"
        "try: socket.create_connection(('127.0.0.1', 9), 1)\n"
        "except OSError: pass\n"
        "open('left', 'w').close()\n"
        "print(sorted({event for event, _ in reached}))\n"
    )
    (found,) = watched(script, tmp_path)
    assert "socket.connect" in found and "open" in found
