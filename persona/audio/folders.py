"""Which files `persona predict` was given: named, or in folders; and what was left out, and why."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from persona.audio.sources import EXTENSIONS

STANDARD_INPUT = ("-", "/dev/stdin")


@dataclass
class Found:
    """Files to predict, as they were named, folders sorted.

    bad : a sentence on what cannot be looked into, by its name.
    left_out : sentences on what folders hold besides, and why it was left out.
    """

    files: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def find(names: Iterable[str]) -> Found:
    """Look into folders, and keep what was named otherwise: reading it says what is wrong."""
    found = Found()
    for name in names:
        if name in STANDARD_INPUT or not os.path.isdir(name):
            found.files.append(name)
        else:
            _look_into(name, found)
    found.files = list(dict.fromkeys(found.files))
    return found


def _look_into(folder: str, found: Found) -> None:
    inside: list[str] = []
    left_out: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        name = os.fspath(error.filename)
        found.bad[name] = (
            f'The folder "{readable(name)}" cannot be read ({error.strerror}): check its '
            "permissions."
        )

    for at, folders, files in os.walk(folder, onerror=unreadable):
        folders.sort()
        left_out["links to folders"] += sum(os.path.islink(Path(at, name)) for name in folders)
        for name in sorted(files):
            file = os.path.join(at, name)
            if reason := _reason(file):
                left_out[reason] += 1
            else:
                inside.append(file)
    found.files += inside
    if counted := [f"{reason} ({count})" for reason, count in left_out.items() if count]:
        found.left_out.append(f'left out of "{readable(folder)}": {", ".join(counted)}.')
    if not inside and folder not in found.bad:
        found.bad[folder] = f'"{readable(folder)}" holds no audio: give a folder of recordings.'


def _reason(file: str) -> str:
    """Why a file in a folder is not taken, in the plural; empty where it is."""
    if os.path.basename(file).startswith("._"):
        return "._ files of macOS, which hold no sound"
    if Path(file).suffix.lower() not in EXTENSIONS:
        return "files whose names do not end as those of recordings"
    return "" if os.path.isfile(file) else "broken links, pipes or devices"


def readable(name: str) -> str:
    """A name with escapes for what a terminal or a text file cannot bear."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
