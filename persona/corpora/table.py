"""A corpus of one's own: a table that names audio files and who speaks in them.

CSV, or Parquet, or JSON: of the latter two because `metadata.csv`, `.jsonl` or `.parquet` is what
Hugging Face's `datasets` keeps beside the files of an `audiofolder`, in one table that says all;
its Parquet may hold the audio itself. An audformat database has its labels in several tables and a
header; its own library joins them, and writes a CSV that is read here.
"""

import hashlib
import math
import os
import re
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from persona import audio
from persona.corpora import tabular
from persona.corpora.base import LABELS, Corpus
from persona.errors import CorpusError
from persona.keeping import store
from persona.labels import GENDERS

if TYPE_CHECKING:
    from pandas import DataFrame

OLDEST = 130

_NOUGHT = re.compile(r"(0 days)?[ 0:.]*")
"""A start that is the file's own, as audformat and others write it."""

_UNKNOWN = frozenset((
    "", "na", "nan", "none", "null", "nil", "unknown", "unk", "undefined", "unspecified", "missing",
    "blank", "notknown", "notavailable", "notapplicable", "unlabelled", "unlabeled", "anonymous",
    "xxx",
))  # fmt: skip
"""What people write into a cell where nothing is known, as letters alone; as a class it would be
learnt."""

_ERROR = re.compile(r"#(n/a|[a-z0/]+[!?])")
"""What a spreadsheet writes into a cell that it could not work out."""

_KNOWN = ("file", "file_name", "start", "end", *LABELS)


class Table(Corpus):
    """Clips listed in a table.

    folder : of the files, by default the table's own.
    path : CSV (UTF-8, its first line names the columns; commas, semicolons or tabs), JSON (an
        array of objects, or one a line) or Parquet with

        - file, or file_name : audio file, relative to the folder; it is also the clip's name.
          Parquet may have a column of bytes instead, the recordings themselves: they are put into
          a folder among what the user made
        - speaker : any name; equal names are one person
        - emotion : any classes, kept as they are; gender : female or male; age : years.
          Each may be absent, or empty where it is not known.

        Capitals in these names do not count. Further columns are kept; from a CSV they are text. A
        row is a whole file: one that `start` or `end` make a part of it is refused.
    meant : emotions that are classes or handled by a label map although they read as "not known",
        such as "none"; others of the kind are refused.

    Raises `CorpusError` naming the first row that cannot be used.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".json", ".jsonl", ".parquet")

    def __init__(
        self,
        path: Path | str,
        folder: Path | str | None = None,
        meant: Collection[str] = (),
    ) -> None:
        self.path = Path(path)
        self.name, self.title = key(self.path), self.path.name
        table, unpacked = tabular.read(self.path)
        self.folder = unpacked or (self.path.parent if folder is None else Path(folder))
        self._table = _checked(table, self.path, frozenset(meant))

    def clips(self) -> "DataFrame":
        return self._table.copy()

    def state(self, audio: bool = False) -> Hashable | None:
        return store.state(self.path, *(map(self.file, self._table["clip"]) if audio else ()))

    def file(self, clip: str) -> Path:
        if (file := self.folder / clip).is_file():
            return file
        raise CorpusError(
            f"{file}, which {self.path} names, is missing: put it there, or remove its row."
            f"{self.hint(clip)}"
        )

    def hint(self, clip: str) -> str:
        """A sentence, after a space, on what the name of a missing file looks like; or nothing."""
        file = self.folder / clip
        if re.match(r"\w\w+:", clip):
            return f" {clip} is an address: write a path on this machine."
        if clip.startswith("~"):
            return " ~ stands for no folder in a table: write the whole path."
        if "\\" in clip or re.match(r"[A-Za-z]:", clip):
            return " Write paths with /, as they are on this machine, from the table's folder on."
        if not file.parent.is_dir():
            return f" There is no folder {file.parent}: --folder names the one that paths start at."
        endings = [e for ending in audio.EXTENSIONS for e in (ending, ending.upper())]
        stems = (file.name, file.stem)
        names = (file.name.lower(), *(stem + e for stem in stems for e in endings))
        there = next((name for name in names if file.with_name(name).is_file()), None)
        return f" {there} is there: write the name as the file has it." if there else ""


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


def _checked(table: "DataFrame", path: Path, meant: frozenset[str]) -> "DataFrame":
    import pandas

    spelt = {name: tabular.folded(name) for name in table.columns}
    table = table.rename(columns={name: low for name, low in spelt.items() if low in _KNOWN})
    if twice := table.columns[table.columns.duplicated()].tolist():
        raise CorpusError(f"{path} has two columns {twice[0]!r}: keep one.")
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
            rows.append(_labels(row, meant))
            first = row_of.setdefault(os.path.normpath(rows[-1]["clip"]), number)
            if first != number:
                raise ValueError(f"names the file {rows[-1]['clip']} as row {first} does: keep one")
        except ValueError as error:
            raise CorpusError(f"Row {number} of {path} {error}.") from error
    others = table.drop(columns=["file", *LABELS], errors="ignore")
    labels = pandas.DataFrame(rows, index=table.index, columns=["clip", *LABELS])
    return labels.join(others).sort_values("clip", ignore_index=True)


def _labels(row: dict[Any, Any], meant: frozenset[str]) -> dict[str, Any]:
    """Name and labels of a row; `ValueError` where one cannot be used."""
    clip, speaker = _text(row["file"]), _text(row["speaker"])
    if not clip:
        raise ValueError("names no file: fill it in, or remove the row")
    if not speaker:
        raise ValueError(f"({clip}) names no speaker: fill it in, or remove the row")
    if _not_known(speaker):
        raise ValueError(
            f"({clip}) has the speaker {speaker!r}, which reads as one that is not known, and "
            "would make one person of many: fill the name in, or remove the row"
        )
    start, end = _text(row.get("start")), _text(row.get("end"))
    if end or not _NOUGHT.fullmatch(start or ""):
        raise ValueError(
            f"is a part of {clip} (start {start}, end {end}), and only whole files are read: cut "
            "it into a file of its own, or remove both columns where they mean the whole"
        )
    gender, age = _text(row.get("gender")), _text(row.get("age"))
    if gender and gender.lower() not in GENDERS:
        raise ValueError(
            f"({clip}) has the gender {gender!r}: write {' or '.join(GENDERS)}, or leave it empty"
        )
    try:
        years = float(age.replace(",", ".")) if age else math.nan
    except ValueError:
        years = math.inf
    if age and not 0 < years <= OLDEST:
        raise ValueError(
            f"({clip}) has the age {age!r}: write years as a number (45 for the forties), or leave "
            "it empty"
        )
    emotion = _text(row.get("emotion"))
    if emotion and emotion not in meant and _not_known(emotion):
        raise ValueError(
            f"({clip}) has the emotion {emotion!r}, which reads as one that is not known: leave "
            "the cell empty, or name it in the label map (--map) of an evaluation"
        )
    return {
        "clip": clip,
        "speaker": speaker,
        "gender": gender.lower() if gender else None,
        "age": years,
        "emotion": emotion,
    }


def _not_known(word: str) -> bool:
    plain = word.casefold()
    return re.sub(r"[\s<>()\[\].?/_\u2013\u2014-]", "", plain) in _UNKNOWN or bool(
        _ERROR.fullmatch(plain)
    )


def _text(value: Any) -> str | None:
    """What a cell says, None where it is empty; `ValueError` where it holds several things."""
    if isinstance(value, dict | list | tuple | bytes) or getattr(value, "ndim", False):
        raise ValueError(f"holds a {type(value).__name__} where a word or a number belongs")
    return None if value is None or value != value else str(value).strip() or None
