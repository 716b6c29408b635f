"""Answers as rows: the columns of a CSV, and JSON, alike for command, server, page and widget."""

import csv
import io
import json
from collections import ChainMap
from collections.abc import Sequence
from typing import Any

from persona.labels import EMOTIONS, GENDERS

_QUALITY = ("level", "clipped", "snr", "bandwidth")


def columns(emotions: Sequence[str] = EMOTIONS) -> tuple[str, ...]:
    """Columns of the CSV for a model of these emotions; numbers have 4 decimals."""
    return (
        "file", "seconds", "speech_seconds", *emotions, *GENDERS, "age", "age_low", "age_high",
        *_QUALITY, "trust", "notes", "error",
    )  # fmt: skip


Row = dict[str, Any]


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
