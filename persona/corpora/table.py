"""A corpus of one's own: a table that names audio files and who speaks in them.

CSV, or Parquet, or JSON lines: of the latter two because `metadata.csv`, `.jsonl` or `.parquet` is
what Hugging Face's `datasets` keeps beside the files of an `audiofolder`, in one table that says
all. An audformat database has its labels in several tables and a header; its own library joins
them, and writes a CSV that is read here.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from persona.corpora.base import LABELS, Corpus
from persona.errors import CorpusError
from persona.keeping import store
from persona.labels import GENDERS

if TYPE_CHECKING:
    from pandas import DataFrame

OLDEST = 130

_NOUGHT = re.compile(r"(0 days)?[ 0:.]*")
"""A start that is the file's own, as audformat and others write it."""


class Table(Corpus):
    """Clips listed in a table.

    folder : of the files, by default the table's own.
    path : CSV (commas, UTF-8, its first line names the columns), Parquet or JSON lines with

        - file, or file_name : audio file, relative to the folder; it is also the clip's name
        - speaker : any name; equal names are one person
        - emotion : any classes, kept as they are; gender : female or male; age : years.
          Each may be absent, or empty where it is not known.

        Further columns are kept; from a CSV they are text. A row is a whole file: one that `start`
        or `end` make a part of it is refused.

    Raises `CorpusError` naming the first row that cannot be used.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (".csv", ".jsonl", ".parquet")

    def __init__(self, path: Path | str, folder: Path | str | None = None) -> None:
        self.path = Path(path)
        self.folder = self.path.parent if folder is None else Path(folder)
        self.name, self.title = key(self.path), self.path.name
        self._table = _checked(_read(self.path), self.path)

    def clips(self) -> "DataFrame":
        return self._table.copy()

    def state(self, audio: bool = False) -> Hashable | None:
        return store.state(self.path, *(map(self.file, self._table["clip"]) if audio else ()))

    def file(self, clip: str) -> Path:
        if (file := self.folder / clip).is_file():
            return file
        raise CorpusError(
            f"{file}, which {self.path} names, is missing: put it there, or remove its row."
        )


def is_table(corpus: Path | str) -> bool:
    """Whether a corpus is a table of one's own clips, and not one that has a name."""
    return Path(corpus).suffix.lower() in Table.SUFFIXES


def key(corpus: Path | str) -> str:
    """What files that belong to a corpus are called by: its name, or that of its table and a hash
    of where the table lies.
    """
    path = Path(corpus)
    if not is_table(path):
        return str(corpus)
    where = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    return f"{path.stem}-{where[:8]}"


def _read(path: Path) -> "DataFrame":
    import pandas

    try:
        if path.suffix.lower() == ".parquet":
            table = pandas.read_parquet(path)
            return table.reset_index() if "file" in table.index.names else table
        if path.suffix.lower() == ".jsonl":
            lines = path.read_text("utf-8-sig").splitlines()
            return pandas.DataFrame([json.loads(line) for line in lines if line], dtype=object)
        return pandas.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
        )
    except FileNotFoundError as error:
        raise CorpusError(f"There is no table of clips {path}: check the path.") from error
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{path} cannot be read as a table ({error}): save it as CSV (UTF-8), JSON lines or "
            "Parquet."
        ) from error


def _checked(table: "DataFrame", path: Path) -> "DataFrame":
    import pandas

    if "file" not in table:
        table = table.rename(columns={"file_name": "file"})
    for needed in ("file", "speaker"):
        if needed not in table:
            raise CorpusError(
                f"{path} has no column {needed!r} among {', '.join(map(str, table.columns))}: "
                "name one so."
            )
    if "clip" in table:
        raise CorpusError(f"{path} has a column 'clip', which is made of 'file': rename it.")
    for taken in ("original", "audible", "condition"):
        if taken in table:
            raise CorpusError(
                f"{path} has a column {taken!r}, which only tables of degraded copies have: "
                "rename it."
            )
    if table.empty:
        raise CorpusError(f"{path} lists no clips: add a row for each audio file.")
    rows: list[dict[str, Any]] = []
    row_of: dict[str, int] = {}
    for number, row in enumerate(table.to_dict("records"), start=1):
        try:
            rows.append(_labels(row))
            first = row_of.setdefault(os.path.normpath(rows[-1]["clip"]), number)
            if first != number:
                raise ValueError(f"names the file {rows[-1]['clip']} as row {first} does: keep one")
        except ValueError as error:
            raise CorpusError(f"Row {number} of {path} {error}.") from error
    others = table.drop(columns=["file", *LABELS], errors="ignore")
    labels = pandas.DataFrame(rows, index=table.index, columns=["clip", *LABELS])
    return labels.join(others).sort_values("clip", ignore_index=True)


def _labels(row: dict[Any, Any]) -> dict[str, Any]:
    """Name and labels of a row; `ValueError` where one cannot be used."""
    clip, speaker = _text(row["file"]), _text(row["speaker"])
    if not clip:
        raise ValueError("names no file: fill it in, or remove the row")
    if not speaker:
        raise ValueError(f"({clip}) names no speaker: fill it in, or remove the row")
    start, end = _text(row.get("start")), _text(row.get("end"))
    if end or not _NOUGHT.fullmatch(start or ""):
        raise ValueError(
            f"is a part of {clip} (start {start}, end {end}), and only whole files are read: cut "
            "it into a file of its own, or remove both columns where they mean the whole"
        )
    gender, age = _text(row.get("gender")), _text(row.get("age"))
    if gender and gender not in GENDERS:
        raise ValueError(f"({clip}) has the gender {gender!r}: write {', '.join(GENDERS)} or none")
    try:
        years = float(age) if age else math.nan
    except ValueError:
        years = math.inf
    if age and not 0 < years <= OLDEST:
        raise ValueError(f"({clip}) has the age {age!r}: write years as a number, or none")
    emotion = _text(row.get("emotion"))
    return {"clip": clip, "speaker": speaker, "gender": gender, "age": years, "emotion": emotion}


def _text(value: Any) -> str | None:
    """What a cell says, None where it is empty."""
    return None if value is None or value != value else str(value).strip() or None
