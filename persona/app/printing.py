"""What `persona predict` prints of many files: each row as it is ready; a bad file stops nothing.

Exit codes: 0, every file was answered; 1, one or more were not, each with its sentence; 130,
stopped by Ctrl-C, with what was ready until then printed; 141, the reader of the output went away.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from persona import audio, store
from persona.app import files as walk
from persona.app import textgrid as textgrids
from persona.app.files import readable
from persona.errors import AudioError, PersonaError, known
from persona.labels import EMOTIONS, GENDERS

FORMS = ("table", "csv", "jsonl", "json")

STOPPED, CLOSED = 130, 141

_QUALITY = ("level", "clipped", "snr", "bandwidth", "distance_percentile")
COLUMNS = (
    "file", "seconds", "speech_seconds", *EMOTIONS, *GENDERS, "age", "age_low", "age_high",
    *_QUALITY, "trust", "notes", "error",
)  # fmt: skip
"""Of the CSV; numbers have 4 decimals."""

Row = dict[str, Any]


def predict(
    files: Sequence[str],
    *,
    model: str | None = None,
    revision: str | None = None,
    form: str = "table",
    resume: str | os.PathLike[str] | None = None,
    textgrid: str | os.PathLike[str] | None = None,
) -> int:
    """Print what is predicted of files and of folders of files; returns the exit code.

    files : paths; "-" or /dev/stdin is a recording on standard input.
    model, revision : as of `Predictor.load`.
    form : "csv" and "jsonl" print each row as it is ready; "table" and "json" (a list), at the end.
    resume : a file of CSV or of JSON lines that is gone on with: what it answers is skipped, what
        failed is tried again, and new rows are appended to it instead of printed.
    textgrid : folder for a TextGrid of each file's timeline.

    Sentences on bad files and on what was left out of folders go to standard error. Raises
    `PersonaError` where there is nothing to predict, no model, or an argument does not fit.
    """
    from persona.app.predictor import Predictor

    _check(files, form, resume)
    found = walk.find(files)
    for sentence in found.left_out:
        _complain(sentence)
    done = _resumed(Path(resume), form) if resume else set()
    printed = _cell if form == "csv" else str
    waiting = [name for name in found.files if printed(readable(name)) not in done]
    grids = textgrids.Folder(textgrid, found.files) if textgrid else None
    predictor = Predictor.load(model, revision=revision) if waiting else None
    rows = _rows(waiting, found.bad, predictor, grids)
    try:
        if resume:
            with open(resume, "a", encoding="utf-8", newline="") as out:
                return _print(rows, form, out, header=not out.tell())
        return _print(rows, form, sys.stdout, header=True)
    except BrokenPipeError:
        # Python would complain once more when it flushes on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def _check(files: Sequence[str], form: str, resume: str | os.PathLike[str] | None) -> None:
    known("form", form, FORMS)
    if resume and form not in ("csv", "jsonl"):
        raise PersonaError("--resume goes with --csv or --jsonl, whose rows can be appended.")
    if not files:
        raise PersonaError("There is nothing to predict: name a file or a folder.")


def _rows(
    files: Sequence[str],
    bad: dict[str, str],
    predictor: Any,
    grids: "textgrids.Folder | None",
) -> Iterator[Row]:
    from tqdm import tqdm

    for name, sentence in bad.items():
        yield {"file": readable(name), "error": sentence}
    with tqdm(files, "predicting", unit="file", file=sys.stderr, disable=None, leave=False) as bar:
        for name in bar:
            try:
                source, called = _opened(name)
                predicted = predictor.predict(source, name=called)
                if grids:
                    grids.write(name, predicted)
                yield {"file": readable(name), **predicted.to_dict()}
            except (AudioError, OSError) as error:
                sentence = str(error)
                if isinstance(error, OSError):
                    why = error.strerror or type(error).__name__
                    sentence = f'"{readable(name)}" cannot be read ({why}): check the file.'
                yield {"file": readable(name), "error": sentence}


def _opened(name: str) -> tuple[audio.Source, str]:
    """What to read, and what messages call it: two files of one name are told apart."""
    if name not in walk.STANDARD_INPUT:
        return name, readable(name)
    limit = audio.limit()
    content = sys.stdin.buffer.read(int(limit) + 1)
    return content, "standard input"


def _print(rows: Iterator[Row], form: str, out: TextIO, header: bool) -> int:
    """Print rows and complain of bad ones; returns the exit code."""
    kept: list[Row] = []
    failed = stopped = False
    line = _lines(form, header)
    try:
        for row in rows:
            if "error" in row:
                failed = True
            if line:
                out.write(_encodable(line(row), out))
                out.flush()
            else:
                kept.append(row)
            if "error" in row:
                _complain(row["error"])
    except KeyboardInterrupt:
        stopped = True
    if not line:
        whole = _table(kept) if form == "table" else json_text(kept)
        out.write(_encodable(whole, out))
        out.flush()
    return STOPPED if stopped else int(failed)


def _lines(form: str, header: bool) -> Callable[[Row], str] | None:
    """What makes a row into lines of text, the first time with a header; None for those forms
    that need all rows. JSON is ASCII only: every name, and no terminal, can bear it.
    """
    if form == "jsonl":
        return lambda row: json.dumps(row) + "\n"
    if form != "csv":
        return None
    headers = [_csv(COLUMNS)] if header else []
    return lambda row: (headers.pop() if headers else "") + _csv(_cells(row))


def csv_text(rows: Sequence[Row]) -> str:
    """Rows as CSV: `COLUMNS`, then a line for each."""
    return _csv(COLUMNS) + "".join(_csv(_cells(row)) for row in rows)


def json_text(rows: Sequence[Row]) -> str:
    """Rows as a list in JSON, ASCII only."""
    return json.dumps(rows, indent=1) + "\n"


def _csv(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _cells(row: Row) -> list[str]:
    values = {**row.get("quality", {}), **row.get("emotion", {}), **row.get("gender", {}), **row}
    values["notes"] = "; ".join(row.get("notes", ()))
    return [_cell(values.get(column)) for column in COLUMNS]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    # A spreadsheet takes what begins like this for a formula, and runs it.
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t", "\r")) else str(value)


def _table(rows: list[Row]) -> str:
    answered = [row for row in rows if "error" not in row]
    if not answered:
        return ""
    lines = [("file", "seconds", "emotion", "gender", "age", "notes")]
    for row in answered:
        emotion, gender = (
            max(row[task].items(), key=lambda item: item[1]) for task in ("emotion", "gender")
        )
        lines.append(
            (
                row["file"],
                f"{row['seconds']:.1f}",
                f"{emotion[0]} {emotion[1]:.0%}",
                f"{gender[0]} {gender[1]:.0%}",
                f"{row['age']:.0f} ({row['age_low']:.0f} to {row['age_high']:.0f})",
                "; ".join(row["notes"]),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "".join(line.rstrip() + "\n" for line in padded)


def _resumed(file: Path, form: str) -> set[str]:
    """Files that `file` answers, as they are printed; what failed or was cut off is taken out."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return set()
    except (OSError, ValueError) as error:
        raise PersonaError(f"{file} cannot be gone on with ({error}): name another.") from error
    whole = text[: text.rfind("\n") + 1]
    kept, done = (_good_csv if form == "csv" else _good_jsonl)(whole, file)
    if kept != text:
        store.write_bytes(file, kept.encode())
    return done


def _good_csv(text: str, file: Path) -> tuple[str, set[str]]:
    rows = list(csv.reader(io.StringIO(text)))
    if rows and tuple(rows[0]) != COLUMNS:
        raise PersonaError(f"{file} has other columns than `persona predict --csv`: name another.")
    good = [row for row in rows[1:] if len(row) == len(COLUMNS) and not row[-1]]
    kept = "".join(_csv(row) for row in (rows[:1] + good))
    return kept, {row[0] for row in good}


def _good_jsonl(text: str, file: Path) -> tuple[str, set[str]]:
    lines = text.splitlines(keepends=True)
    try:
        rows = [json.loads(line) for line in lines]
        good = ["error" not in row for row in rows]
        done = {row["file"] for row, keep in zip(rows, good, strict=True) if keep}
    except (ValueError, KeyError, TypeError) as error:
        raise PersonaError(
            f"{file} was not made by `persona predict --jsonl`: name another."
        ) from error
    return "".join(line for line, keep in zip(lines, good, strict=True) if keep), done


def _encodable(text: str, out: TextIO) -> str:
    """The text without what the encoding of `out` has no characters for."""
    encoding = getattr(out, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _complain(sentence: str) -> None:
    print(_encodable(f"persona: {sentence}", sys.stderr), file=sys.stderr, flush=True)
