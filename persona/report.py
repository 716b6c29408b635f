"""What `persona predict` says of many files: a table, JSON or CSV; one bad file stops nothing."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from persona.errors import AudioError, PersonaError

EXTENSIONS = (".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf")
"""Files of a folder that are taken for audio; a file that is named is always read."""


def predict(named: Sequence[str], *, model: str | None, revision: str | None, form: str) -> int:
    """Print what is heard in files and folders of files; 1 if any of them could not be read.

    form : "table", "json" (a list of objects) or "csv". Sentences on bad files go to stderr.
    Raises `PersonaError` if there is nothing to hear or no model.
    """
    from tqdm import tqdm

    from persona.predictor import Predictor

    files, failures = _files(named)
    predictor = Predictor.load(model, revision=revision) if files else None
    rows: list[dict[str, Any]] = []
    for file, sentence in failures.items():
        rows.append({"file": file, "error": sentence})
    with tqdm(files, "hearing", unit="file", file=sys.stderr, disable=None, leave=False) as bar:
        for file in bar:
            assert predictor
            try:
                rows.append({"file": file, **predictor.predict(file).to_dict()})
            except AudioError as error:
                rows.append({"file": file, "error": str(error)})
    bad = [row["error"] for row in rows if "error" in row]
    _PRINTERS[form](rows)
    for sentence in bad:
        print(f"persona: {sentence}", file=sys.stderr)
    return int(bool(bad))


def _files(named: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Files to hear, as they were named, folders sorted; and what is wrong with the rest."""
    files: list[str] = []
    failures: dict[str, str] = {}
    for name in named:
        if not os.path.isdir(name):
            files.append(name)  # if there is none, reading it says so
            continue
        inside = sorted(
            str(path) for path in Path(name).rglob("*") if path.suffix.lower() in EXTENSIONS
        )
        if not inside:
            failures[name] = f'"{shown(name)}" holds no audio: give a folder of WAV or MP3 files.'
        files += inside
    if not files and not failures:
        raise PersonaError("There is nothing to hear: name a file or a folder.")
    return list(dict.fromkeys(files)), failures


def shown(name: str) -> str:
    """A file name without what a terminal could take for a command."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _table(rows: list[dict[str, Any]]) -> None:
    heard = [row for row in rows if "error" not in row]
    if not heard:
        return
    cells = [("file", "seconds", "emotion", "gender", "age (80 %)", "notes")]
    for row in heard:
        emotion, gender = (max(row[task].items(), key=lambda item: item[1]) for task in
                           ("emotion", "gender"))  # fmt: skip
        cells.append(
            (
                shown(row["file"]),
                f"{row['seconds']:.1f}",
                f"{emotion[0]} {emotion[1]:.0%}",
                f"{gender[0]} {gender[1]:.0%}",
                f"{row['age']:.0f} ({row['age_low']:.0f} to {row['age_high']:.0f})",
                "; ".join(row["notes"]),
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())


def _json(rows: list[dict[str, Any]]) -> None:
    json.dump(rows, sys.stdout, indent=1)  # ASCII only: nothing in it can command a terminal
    print()


def _csv(rows: list[dict[str, Any]]) -> None:
    from persona.corpora import EMOTIONS, GENDERS

    columns = ["file", "seconds", *EMOTIONS, *GENDERS, "age", "age_low", "age_high", "notes",
               "error"]  # fmt: skip
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        flat = {**row, **row.get("emotion", {}), **row.get("gender", {})}
        flat = {key: f"{v:.4f}" if isinstance(v, float) else v for key, v in flat.items()}
        flat["notes"] = "; ".join(row.get("notes", ()))
        writer.writerow(flat | {"file": shown(row["file"])})


_PRINTERS = {"table": _table, "json": _json, "csv": _csv}
