"""What a layout is made of: names of files, tables of labels, one word for one thing."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persona.errors import CorpusError

AUDIO = {".aac", ".aiff", ".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wav"}
"""Endings of audio files, in small letters."""

EMOTIONS = {
    "angry": "anger", "fearful": "fear", "happiness": "happy", "joy": "happy",
    "neutrality": "neutral", "ps": "surprise", "sadness": "sad", "surprised": "surprise",
}  # fmt: skip
"""Words of corpora by the class of `labels.EMOTIONS` that they mean; others stay as they are."""

GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}

Row = dict[str, Any]
Columns = Mapping[str, str | tuple[str, Mapping[str, Any]]]
"""Columns of a clip's row, each by what of the corpus it is read from, as it is or by its meaning;
what has no meaning is empty. `emotion` and `gender` are brought to this project's words."""


@dataclass(frozen=True)
class Named:
    """A corpus whose labels are in the names of its files.

    holds : a path in its folder. pattern : of the end of a file's path without extension; `columns`
    are read from its groups. Of two files of one speaker and name the first: archives in use hold
    whole corpora twice.
    """

    holds: str
    pattern: str
    columns: Columns

    def clips(self, folder: Path) -> Iterator[Row]:
        seen = set()
        for file in audio(folder):
            path = file.relative_to(folder).with_suffix("").as_posix()
            match = re.fullmatch(f"(?:.*/)?{self.pattern}", path)
            if match:
                row = _row(match.groupdict(), self.columns)
                if (row["speaker"], file.stem) not in seen:
                    seen.add((row["speaker"], file.stem))
                    yield {"file": file, **row}


@dataclass(frozen=True)
class Listed:
    """A corpus whose labels are in a table.

    holds : paths in its folder. tables : where the table may lie, tab-separated if a .tsv. audio :
    folder of the files, which may lie elsewhere too. columns : read from the table's, `file` is the
    name of a file. people : column of the table, another table, and the column there that is the
    same; its columns are joined. quoted : whether quotation marks enclose cells.

    Clips of an unknown speaker are left out, as they cannot be kept out of a test, and so are those
    without any label.
    """

    holds: str
    tables: tuple[str, ...]
    audio: str
    columns: Columns
    people: tuple[str, str, str] | None = None
    quoted: bool = True

    def clips(self, folder: Path) -> Iterator[Row]:
        paths = [folder / table for table in self.tables]
        table = next((path for path in paths if path.exists()), paths[0])
        of, others, called = self.people or ("", "", "")
        people = {row[called]: row for row in rows(folder / others)} if of else {}
        by_name = {file.name: file for file in audio(folder)}
        for cells in rows(table, "\t" if table.suffix == ".tsv" else ",", self.quoted):
            row = _row({**people.get(cells.get(of, ""), {}), **cells}, self.columns)
            known = row["speaker"].lower() not in ("", "unknown")
            if known and any(row.get(task) for task in ("emotion", "gender", "age")):
                file = folder / self.audio / row["file"]
                yield {**row, "file": file if file.is_file() else by_name.get(file.name, file)}


@dataclass(frozen=True)
class Coded:
    """A corpus that takes more than that: `clips` yields its rows, each with `file` (a path),
    `speaker`, and what is known of `emotion`, `gender`, `age` and more. No audio is read.
    """

    holds: str
    clips: Callable[[Path], Iterator[Row]]


def _row(cells: Mapping[str, str], columns: Columns) -> Row:
    row = {}
    for name, source in columns.items():
        column, meanings = source if isinstance(source, tuple) else (source, None)
        value = cells[column]
        row[name] = value if meanings is None else meanings.get(value, "")
    words: dict[str, Callable[[str], str]] = {"emotion": emotion, "gender": gender}
    return row | {name: words[name](row[name]) for name in words.keys() & row}


def audio(folder: Path) -> list[Path]:
    """Audio files anywhere below a folder, sorted, without hidden ones."""
    found = folder.rglob("*")
    return sorted(p for p in found if p.suffix.lower() in AUDIO and not p.name.startswith("."))


def rows(file: Path, delimiter: str = ",", quoted: bool = True) -> Iterator[dict[str, str]]:
    """Rows of a table of labels (UTF-8) by its header, cells without spaces around them.

    Raises `CorpusError` where there is none.
    """
    try:
        with open(file, newline="", encoding="utf-8-sig") as opened:
            table = csv.DictReader(
                opened, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            )
            for row in table:
                yield {str(k).strip(): str(v or "").strip() for k, v in row.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{file} cannot be read, which holds the corpus's labels.") from error


def emotion(word: str) -> str:
    """A corpus's word for an emotion as this project has it."""
    return EMOTIONS.get(word.lower(), word.lower())


def gender(word: str) -> str:
    """`female` or `male`, as a corpus writes them ("F", "male_masculine"); empty for another."""
    return GENDERS.get(word.lower().split("_")[0], "")
