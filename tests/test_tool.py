"""The tool of assistants, asked by the official library's client."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")
import anyio
import fsspec
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CallToolResult

from persona import Predictor, app, cli
from persona.app import tool

ROOT = Path(__file__).resolve().parents[1]
CLIP = str(ROOT / "data" / "examples" / "1018_IEO_HAP_HI.flac")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load()


def awaited(function):
    """In a thread of its own: a browser of other tests keeps this one's event loop running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, function).result()


def asked(server, **given) -> CallToolResult:
    async def call() -> CallToolResult:
        async with Client(server) as client:
            return await client.call_tool("predict", given)

    return awaited(call)


def test_an_assistant_that_starts_the_command_gets_what_the_command_prints(capsys):
    assert cli.main(["predict", CLIP, "--json", "--by", "person"]) == 0
    printed = json.loads(capsys.readouterr().out)
    command = StdioServerParameters(command=sys.executable, args=["-m", "persona.cli", "mcp"])
    answer = asked(stdio_client(command), file=CLIP)
    assert answer.structured_content == {"result": printed}
    assert [json.loads(said.text) for said in answer.content] == printed


def test_the_tool_is_described_with_the_limits_of_the_model(predictor):
    async def described():
        async with Client(tool.server(predictor)) as client:
            return client.instructions, (await client.list_tools()).tools

    instructions, [one] = awaited(described)
    assert all(limit in instructions for limit in predictor.card["limits"])
    assert one.name == "predict" and one.annotations.read_only_hint
    assert one.input_schema["required"] == ["file"]
    assert all(field["description"] for field in one.input_schema["properties"].values())


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"file": "none.wav"}, '"none.wav" was not found: check the path.'),
        ({"file": str(ROOT / "data")}, '"data" is a folder: give a file in it.'),
        ({"file": CLIP, "people": 0}, "0 is no number of people"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(predictor, given, sentence):
    answer = asked(tool.server(predictor), **given)
    [said] = answer.content
    assert answer.is_error and sentence in said.text and "\n" not in said.text


def test_an_address_is_not_followed(predictor):
    address = "memory://talk.flac"
    with fsspec.open(address, "wb") as file:
        file.write(Path(CLIP).read_bytes())
    answer = asked(tool.server(predictor), file=address)
    assert answer.is_error and "was not found" in answer.content[0].text


def test_where_the_library_is_missing_the_command_names_the_extra(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, tool.__name__)
    monkeypatch.delattr(app, "tool")
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    assert cli.main(["mcp"]) == 1
    assert "pip install 'persona-voice[mcp]'" in capsys.readouterr().err
