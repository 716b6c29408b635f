"""Going on with a file of answers: only where the same model and options have begun it.

Beside `rows.csv` lies `.rows.csv.begun`: a line of JSON on what began it, then one for each
answered file, with its size and when it was last changed.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from persona.audio.folders import STANDARD_INPUT, readable
from persona.errors import PersonaError, listed
from persona.keeping import store
from persona.model.answers import Row, cell, csv_line

State = list[int] | None
"""Size in bytes and time of the last change, in nanoseconds, of a file; None where it is gone."""


@dataclass
class Resumed:
    """A file to append rows to.

    out : it, opened. waiting : files asked for that it does not answer as they are now.
    changed : those of them that it answered as they were before.
    """

    out: TextIO
    waiting: list[str]
    changed: list[str]
    _record: TextIO
    _states: dict[str, State]

    def noted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, each put on record when the next is asked for: then it is written."""
        for row in rows:
            yield row
            if "error" not in row:
                self._record.write(json.dumps([row["file"], self._states[row["file"]]]) + "\n")
                self._record.flush()


@contextmanager
def resuming(
    file: Path, form: str, header: Sequence[str], names: Sequence[str], begun: dict[str, Any]
) -> Iterator[Resumed]:
    """Go on with `file` of the form "csv", with the columns `header`, or "jsonl".

    What failed, was cut off, or answers a file that was changed since, is taken out of it.

    names : files asked for. begun : what decides the answers, by what people call it.

    Raises `PersonaError` where something else began it, or it cannot be read or written.
    """
    if set(names) & set(STANDARD_INPUT):
        raise PersonaError(
            "--resume knows recordings by the names of their files, and standard input has none: "
            "name files."
        )
    if file.exists() and not file.is_file():
        raise PersonaError(f"{file} is no file that rows can be appended to: name another.")
    printed = cell if form == "csv" else str
    states = {readable(name): _state(name) for name in names}
    with store.lock(file):
        record = file.with_name(f".{file.name}.begun")
        there = file.exists() and file.stat().st_size > 0
        recorded = _recorded(record, file, begun) if there else {}
        rows = _rows(file, form, header)
        waiting, changed = [], []
        for name in names:
            row = rows.get(printed(readable(name)))
            if row is None or recorded.get(readable(name)) != states[readable(name)]:
                waiting.append(name)
                if row is not None:
                    changed.append(name)
                    del rows[printed(readable(name))]
        text = "".join([*([csv_line(header)] if rows and form == "csv" else []), *rows.values()])
        if not file.exists() or text.encode() != file.read_bytes():
            store.write_bytes(file, text.encode())
        if not rows:
            store.write_bytes(record, (json.dumps(begun) + "\n").encode())
        try:
            with (
                open(file, "a", encoding="utf-8", newline="") as out,
                open(record, "a", encoding="utf-8") as noted,
            ):
                yield Resumed(out, waiting, changed, noted, states)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise PersonaError(
                f"{file} cannot be written ({error.strerror}): make room there, or name another. "
                "The same command goes on where it was."
            ) from error


def _rows(file: Path, form: str, columns: Sequence[str]) -> dict[str, str]:
    """Lines of `file` that answer, by the file that each answers, as it is printed."""
    try:
        text = file.read_text(encoding="utf-8-sig")  # a spreadsheet may have saved it
        lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)
        header = [csv_line(columns)] if form == "csv" and lines else []
        if lines[: len(header)] != header:
            raise ValueError("other columns")
        found = {_answered(line, form, len(columns)): line for line in lines[len(header) :]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PersonaError(
            f"{file} was not made by `persona predict --{form}`, or cannot be read: name another."
        ) from error
    found.pop("", None)
    return found


def _answered(line: str, form: str, cells_wanted: int) -> str:
    """The file that a line of CSV or of JSON lines answers; empty where it holds an error."""
    if form == "jsonl":
        row = json.loads(line)
        return "" if "error" in row else row["file"]
    (cells,) = csv.reader([line])
    return "" if len(cells) != cells_wanted or cells[-1] else cells[0]


def _recorded(record: Path, file: Path, begun: dict[str, Any]) -> dict[str, State]:
    """States that files had when they were answered, by their names."""
    try:
        first, *lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        before = dict(json.loads(first))
        found = dict(json.loads(line) for line in lines if line.endswith("\n"))
    except (OSError, ValueError, TypeError) as error:
        raise PersonaError(
            f"Nobody knows what began {file}, as {record.name} beside it is missing or damaged: "
            "name another file."
        ) from error
    if others := [name for name in {**before, **begun} if before.get(name) != begun.get(name)]:
        raise PersonaError(
            f"{file} was begun with another {listed(others)}, and rows of both would stand in one "
            "file: give the same as then, or name another file."
        )
    return found


def _state(name: str) -> State:
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]
