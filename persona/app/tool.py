"""`persona mcp`: the model as a tool of assistants that speak the Model Context Protocol.

Over standard input and output, to the program that started it. A recording is a file of this
machine that the caller names; no address is followed, and nothing is kept.
"""

from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from persona import __version__
from persona.audio.folders import readable
from persona.errors import PersonaError
from persona.model import answers
from persona.model.answers import Row
from persona.model.predictor import Predictor

_NUMBER = Annotated[int | None, Field(description="How many speak, by default as are found.")]
_FILE = Annotated[str, Field(description="Path of a sound file on this machine.")]


def server(predictor: Predictor) -> MCPServer:
    """The tool `predict` over a predictor, for any transport of the library."""
    limits = " ".join(predictor.card["limits"])
    made = MCPServer("persona", version=__version__, instructions=limits, log_level="WARNING")

    @made.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    def predict(file: _FILE, people: _NUMBER = None) -> list[dict[str, Any]]:
        """Emotion, gender and age of each person who speaks in a recording, who speaks most first:
        probabilities, years, and when they speak in seconds.
        """
        try:  # as a Path, an address is the name of a file that is not there
            predicted = predictor.predict(Path(file), people=people)
        except PersonaError as error:
            raise ToolError(str(error)) from None
        row: Row = {"file": readable(file), **predicted.to_dict()}
        return answers.rows(row, "person")

    return made
