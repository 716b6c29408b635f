"""Groups of commands, a file each, and the options that they share."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import click

CLOSED = 141
"""Exit code where the reader of the output went away."""

SHOWN = 20
"""Skipped clips that are listed one by one."""


class _Out(click.Path):
    """A file or folder to be written, of which is found out beforehand whether it can be."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if there != path and not there.is_dir():
            self.fail(f"{path} cannot be made, as {there} is a file: name another.", param, ctx)
        if not os.access(there, os.W_OK):
            self.fail(f"{there} cannot be written to: name another place.", param, ctx)
        return path


PATH = click.Path(path_type=Path)
OUT_FILE = _Out(dir_okay=False, path_type=Path)
OUT_FOLDER = _Out(file_okay=False, path_type=Path)
FOUND = click.Path(exists=True, file_okay=False, path_type=Path)
FOLDER = click.option("--folder", type=PATH, metavar="DIR", help="Folder of the corpus's audio.")
JOBS = click.option("--jobs", type=click.IntRange(1), help="Workers (default: one per core).")
MODEL = click.option("--model", help="Folder, or name on the hub (default: the one that ships).")
REVISION = click.option("--revision", help="Branch, tag or commit on the hub.")


def named(representation: str) -> str:
    """The name of a representation or table; registers `module:Class`, of this folder too."""
    if ":" not in representation:
        return representation
    from persona import representations

    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return str(representations.class_of(representation).name)


def complain(sentence: str) -> None:
    """Print to standard error; where that is closed or full, nobody wants to read it."""
    try:
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        discard(sys.stderr)


def discard(stream: TextIO | None) -> None:
    """Let standard output or error lead nowhere: what could not be written would be tried again on
    the way out, which changes the exit code.
    """
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
