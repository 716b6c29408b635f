"""What `persona predict` prints of many files: each row as it is ready; a bad file stops nothing.

Exit codes: 0, every file was answered; 1, one or more were not, each with its sentence; 130,
stopped by Ctrl-C, with what was ready until then printed; 141, the reader of the output went away.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from persona import __version__, audio
from persona.audio import folders as walk
from persona.audio.folders import readable
from persona.cli import labels as writers
from persona.cli import speakers as who
from persona.cli.options import CLOSED, complain, discard
from persona.cli.resuming import resuming
from persona.errors import AudioError, PersonaError, first, known
from persona.keeping import progress, store
from persona.model.answers import BY, Row, columns, csv_line, csv_row, json_text
from persona.model.answers import rows as rows_of
from persona.model.prediction import Prediction, highest
from persona.model.predictor import Predictor
from persona.people import kept
from persona.people.voice import Voice

STOPPED = 130

_BAR = {"disable": None, "leave": False}  # on a terminal only, and gone before the table


def predict(
    files: Sequence[str],
    *,
    model: str | None = None,
    revision: str | None = None,
    form: str = "table",
    at_least: float = 0.0,
    resume: str | os.PathLike[str] | None = None,
    by: str = "file",
    people: int | None = None,
    voice: str | None = None,
    same_speaker: bool = False,
    jobs: int | None = None,
    **labels: str | os.PathLike[str] | None,
) -> int:
    """Print what is predicted of files and of folders of files; returns the exit code.

    files : paths; "-" or /dev/stdin is a recording on standard input. A table, as of
        `corpora.Table`, stands for the files that it names, and for who speaks in them.
    model, revision : as of `Predictor.load`.
    form : "csv" and "jsonl" print each row as it is ready; "table" and "json" (a list), at the end.
    at_least : as of `Predictor.predict`.
    resume : a file of CSV or of JSON lines that is gone on with: what it answers is skipped, what
        failed or was changed since is answered again, and new rows are appended to it instead of
        printed. A second run on it waits until the first has ended; one with another model or
        other options is refused.
    by : a row for each "file", "person" or "turn".
    people, jobs : as of `Predictor.predict_many`.
    voice : the name of one that is kept, or a file that was exported, of who speaks in all files.
    same_speaker : one person speaks in all files, as of `Predictor.predict_many`'s speakers.
    labels : by the name of a form of `labels.WRITERS`, a folder for each file's labels.

    Sentences on bad files and on what was left out of folders go to standard error. Raises
    `PersonaError` where there is nothing to predict, no model, or an argument does not fit, or
    `resume` cannot be written.
    """
    known("form", form, FORMS)
    known("kind of row", by, BY)
    if resume and by != "file":
        raise PersonaError("--resume goes with --by file, where a file's row is whole or missing.")
    if resume and form not in _LINES:
        raise PersonaError("--resume goes with --csv or --jsonl, whose rows can be appended.")
    if not files:
        raise PersonaError("There is nothing to predict: name a file or a folder.")
    names, speakers = who.named(files)
    who.check(same_speaker, bool(speakers), voice, people, bool(resume))
    found = walk.find(names)
    for sentence in found.left_out:
        _complain(sentence)
    if same_speaker:
        speakers = dict.fromkeys(found.files, "one")
    predictor = Predictor.load(model, revision=revision)
    heard = kept.load(voice) if voice else None
    header = columns(predictor.emotions, by)
    places = {
        form: writers.paths(folder, found.files, writers.WRITERS[form][0])
        for form, folder in labels.items()
        if folder
    }

    def rows(names: Sequence[str]) -> Iterator[Row]:
        called = ["standard input" if n in walk.STANDARD_INPUT else readable(n) for n in names]
        answers = predictor.predict_many(
            _sources(names), names=called, jobs=jobs, at_least=at_least, people=people,
            voice=heard, speakers=[speakers.get(name) for name in names] if speakers else None,
        )  # fmt: skip
        return chain.from_iterable(
            rows_of(row, by) for row in _rows(names, found.bad, answers, places)
        )

    try:
        if resume:
            begun = _begun(predictor, at_least, people, heard, labels)
            with resuming(Path(resume), form, header, found.files, begun) as going:
                if going.changed:
                    _complain(
                        "Changed since they were answered, and answered again: "
                        f"{first([readable(name) for name in going.changed])}."
                    )
                begins, answered = not going.out.tell(), going.noted(rows(going.waiting))
                return _print(answered, form, going.out, header, begins)
        if sys.stdout is None:
            raise PersonaError("Standard output is closed: answers go there, or to --resume FILE.")
        return _print(rows(found.files), form, sys.stdout, header, begins=True)
    except BrokenPipeError:
        discard(sys.stdout)
        return CLOSED


def _begun(
    predictor: Predictor,
    at_least: float,
    people: int | None,
    voice: Voice | None,
    labels: Mapping[str, str | os.PathLike[str] | None],
) -> dict[str, Any]:
    """What decides the answers, by what people call it."""
    folders = {form: labels.get(form) for form in writers.WRITERS}
    return {
        "model": store.fingerprint(predictor.card),
        "version of persona": __version__,
        "--at-least": at_least,
        "--people": people,
        "--voice": voice and store.fingerprint(voice.offset.tolist()),
        **{f"--{form}": folder and os.path.abspath(folder) for form, folder in folders.items()},
    }


def _sources(names: Sequence[str]) -> Iterator[audio.Source]:
    for name in names:
        if name not in walk.STANDARD_INPUT:
            yield name
            continue
        try:
            yield sys.stdin.buffer.read(int(audio.limit()) + 1)
        except (OSError, ValueError, AttributeError) as error:
            why = getattr(error, "strerror", None) or "it is closed"
            raise PersonaError(
                f"Standard input cannot be read ({why}): give a recording to it."
            ) from error


def _rows(
    names: Sequence[str],
    bad: dict[str, str],
    answers: Iterable[Prediction | AudioError],
    places: dict[str, dict[str, Path]],
) -> Iterator[Row]:
    for name, sentence in bad.items():
        yield {"file": readable(name), "error": sentence}
    with progress.bar(answers, "predicting", total=len(names), unit="file", **_BAR) as bar:
        for name, predicted in zip(names, bar, strict=True):
            if isinstance(predicted, AudioError):
                yield {"file": readable(name), "error": str(predicted)}
                continue
            try:
                for form, files in places.items():
                    text = writers.WRITERS[form][1](predicted, readable(files[name].stem))
                    store.write_bytes(files[name], text.encode())
            finally:  # an answer stands, whatever else cannot be written
                yield {"file": readable(name), **predicted.to_dict()}


def _print(rows: Iterator[Row], form: str, out: TextIO, header: Sequence[str], begins: bool) -> int:
    """Print rows and complain of bad ones; returns the exit code.

    header : columns of a CSV; written where the output begins.
    """
    line, whole = _LINES.get(form), _WHOLE.get(form)
    kept: list[Row] = []
    failed = stopped = False
    if begins and form == "csv":
        _write(csv_line(header), out)
    try:
        for row in rows:
            if line:
                _write(line(row, header), out)
            else:
                kept.append(row)
            if "error" in row:
                failed = True
                _complain(row["error"])
    except KeyboardInterrupt:
        stopped = True
    except Exception:
        if whole and kept:
            _write(whole(kept), out)
        raise
    if whole:
        _write(whole(kept), out)
    return STOPPED if stopped else int(failed)


def _json_line(row: Row, _: Sequence[str]) -> str:
    return json.dumps(row) + "\n"


def _table(rows: list[Row]) -> str:
    answered = [row for row in rows if "error" not in row]
    if not answered:
        return ""
    shown = {title: show for title, (key, show) in _SHOWN.items() if key in answered[0]}
    lines = [tuple(shown), *(tuple(show(row) for show in shown.values()) for row in answered)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(map(str.ljust, line, widths)) for line in lines)
    return "".join(line.rstrip() + "\n" for line in padded)


def _interval(row: Row) -> str:
    return f"{row['age_low']:.0f} to {row['age_high']:.0f}"


# Title of a column of the table: the key of a row that has it, and what is shown.
_SHOWN: dict[str, tuple[str, Callable[[Row], str]]] = {
    "file": ("file", lambda row: row["file"]),
    "person": ("person", lambda row: str(row["person"])),
    "from": ("start", lambda row: f"{row['start']:.1f}"),
    "to": ("end", lambda row: f"{row['end']:.1f}"),
    "seconds": ("seconds", lambda row: f"{row['seconds']:.1f}"),
    "emotion": ("emotion", lambda row: "" if row["trust"] is None else highest(row["emotion"])),
    "gender": ("gender", lambda row: highest(row["gender"]) if row["gender"] else ""),
    "age": (
        "age",
        lambda row: "" if row["age"] is None else f"{row['age']:.0f} ({_interval(row)})",
    ),
    "notes": ("notes", lambda row: "; ".join(row["notes"])),
}

_LINES: dict[str, Callable[[Row, Sequence[str]], str]] = {"csv": csv_row, "jsonl": _json_line}
_WHOLE: dict[str, Callable[[list[Row]], str]] = {"json": json_text, "table": _table}
FORMS = (*_LINES, *_WHOLE)


def _write(text: str, out: TextIO) -> None:
    out.write(_encodable(text, out))
    out.flush()


def _encodable(text: str, out: TextIO) -> str:
    """The text without what the encoding of `out` has no characters for."""
    encoding = getattr(out, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _complain(sentence: str) -> None:
    complain(f"persona: {_encodable(sentence, sys.stderr)}")
