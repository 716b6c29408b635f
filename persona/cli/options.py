"""Groups of commands, a file each, and the options that they share."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

SHOWN = 20
"""Skipped clips that are listed one by one."""

PATH = click.Path(path_type=Path)
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
    """Print to standard error; where that is closed, nobody wants to read it."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
