"""Recordings at addresses that the caller names, by fsspec; nobody else's are followed."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from persona import audio, cli
from persona.errors import AudioError

CLIP = Path(__file__).resolve().parents[1] / "data" / "examples" / "1018_IEO_HAP_HI.flac"


@pytest.fixture
def address() -> str:
    """In the memory of this process."""
    name = "memory://ein Ordner/gespräch.flac"
    with fsspec.open(name, "wb") as file:
        file.write(CLIP.read_bytes())
    return name


def test_an_address_is_heard_as_the_file_is(address):
    assert (audio.read(address).samples == audio.read(CLIP).samples).all()


def test_the_command_takes_addresses(address, capsys):
    assert cli.main(["predict", address, "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["file"] == address and max(row["emotion"], key=row["emotion"].get) == "happy"


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("memory://nothing.wav", "was not found: check the address"),
        ("nowhere://talk.wav", "cannot be opened .Protocol not known: nowhere."),
    ],
)
def test_what_cannot_be_had_is_one_sentence(name, sentence):
    with pytest.raises(AudioError, match=sentence) as refused:
        audio.read(name)
    assert "\n" not in str(refused.value)


def test_a_file_that_names_an_address_is_not_followed(tmp_path):
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/talk.wav"
        for text in (f"#EXTM3U\n{url}\n", url):
            with pytest.raises(AudioError):
                audio.read(text.encode())
        server.shutdown()
    assert asked == []
