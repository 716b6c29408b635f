"""Answers as rows: the columns of a CSV, and JSON, alike for command, server, page and widget."""

import csv
import io
import json
from collections import ChainMap
from collections.abc import Sequence
from typing import Any

from persona.labels import EMOTIONS, GENDERS

_QUALITY = ("level", "clipped", "snr", "bandwidth")


BY = ("file", "person", "turn")
"""What a row may be of."""


def columns(emotions: Sequence[str] = EMOTIONS, by: str = "file") -> tuple[str, ...]:
    """Columns of the CSV for a model of these emotions; numbers have 4 decimals."""
    if by == "turn":
        return ("file", "person", "start", "end", "seconds", *emotions, "trust", "error")
    said = (*emotions, *GENDERS, "age", "age_low", "age_high")
    if by == "person":
        return ("file", "person", "seconds", "share", *said, "trust", "notes", "error")
    return ("file", "seconds", "speech_seconds", *said, *_QUALITY, "trust", "notes", "error")


Row = dict[str, Any]


def rows(row: Row, by: str) -> list[Row]:
    """The row of a file, or one of each of its people, or of each turn in order of time.

    People count from 1, who speaks most first.
    """
    if by == "file" or "error" in row:
        return [row]
    file = {"file": row["file"]}
    people = list(enumerate(row["people"], start=1))
    if by == "person":
        return [{**file, "person": n, **person, "notes": row["notes"]} for n, person in people]
    turns = [{**file, "person": n, **turn} for n, person in people for turn in person["turns"]]
    return sorted(turns, key=lambda turn: float(turn["start"]))


def json_text(rows: Sequence[Row]) -> str:
    """Rows as a list in JSON, ASCII only: every name, and no terminal, can bear it."""
    return json.dumps(rows, indent=1) + "\n"


def csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def csv_row(row: Row, header: Sequence[str]) -> str:
    parts = (row.get(part) or {} for part in ("quality", "emotion", "gender"))
    values = {**ChainMap(*parts), **row, "notes": "; ".join(row.get("notes", ()))}
    return csv_line([cell(values.get(column)) for column in header])


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    # A spreadsheet takes what begins like this for a formula, and runs it.
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t", "\r")) else str(value)
