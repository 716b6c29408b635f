"""The file of a table -> a frame of its cells: CSV of any delimiter, JSON, Parquet."""

import csv
import hashlib
import io
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.errors import CorpusError
from persona.keeping import store

if TYPE_CHECKING:
    from pandas import DataFrame

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_BATCH = 64
"""Recordings out of a Parquet file that are in memory at a time."""


def read(path: Path) -> tuple["DataFrame", Path | None]:
    """The cells of a table, its columns as they are spelt, and the folder of audio that it held.

    Raises `CorpusError` where it cannot be read, or a row of CSV is not as long as the header.
    """
    import pandas

    try:
        match path.suffix.lower():
            case ".parquet":
                return _parquet(path)
            case ".json" | ".jsonl":
                return pandas.DataFrame(_objects(path.read_text("utf-8-sig")), dtype=object), None
        return _csv(path), None
    except FileNotFoundError as error:
        raise CorpusError(f"There is no table of clips {path}: check the path.") from error
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, csv.Error) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise CorpusError(
            f"{path} cannot be read as a table ({why}): save it as CSV (UTF-8), JSON or Parquet."
        ) from error


def _csv(path: Path) -> "DataFrame":
    import pandas

    text = path.read_bytes().decode("utf-8-sig")
    first = text.split("\n", 1)[0]
    # A spreadsheet of a country with decimal commas saves semicolons under the same ending.
    delimiter = next(
        (d for d in DELIMITERS if "speaker" in map(folded, next(csv.reader([first], delimiter=d)))),
        "\t" if path.suffix.lower() == ".tsv" else ",",
    )
    # Strict, as a quote that is never closed would swallow the rows behind it.
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header, *rows = [row for row in lines if row] or [[]]
    if not header:
        raise ValueError("it is empty")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise CorpusError(
                f"Row {number} of {path} has {len(row)} cells, its header has {len(header)}: give "
                f"each row a cell for each column, and put one that holds a "
                f"{DELIMITERS[delimiter]} in quotes."
            )
    named = [i for i, name in enumerate(header) if name.strip()]  # the index of a frame has none
    return pandas.DataFrame(
        [[row[i] for i in named] for row in rows], columns=[header[i] for i in named], dtype=object
    )


def folded(name: Any) -> str:
    """A column's name as names are compared."""
    return str(name).strip().casefold()


def _objects(text: str) -> list[dict[str, Any]]:
    """Rows of an array of objects, or of one object a line."""
    if text.lstrip().startswith("["):
        rows = json.loads(text)
    else:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row is no object with names")
    return list(rows)


def _parquet(path: Path) -> tuple["DataFrame", Path | None]:
    from pyarrow import parquet

    schema = parquet.read_schema(path)
    audio = next((field.name for field in schema if _holds_bytes(field.type)), None)
    table = parquet.read_table(path, columns=[name for name in schema.names if name != audio])
    frame = table.to_pandas()
    if "file" in frame.index.names:
        frame = frame.reset_index()
    for name, classes in _class_labels(schema.metadata or {}).items():
        if name in frame:
            known = dict(enumerate(classes))
            frame[name] = frame[name].map(lambda code, known=known: known.get(code))
    if audio is None:
        return frame, None
    called = [name for name in ("file", "file_name") if name in frame]
    frame["file"], folder = _unpacked(path, audio, frame[called[0]].tolist() if called else [])
    return frame, folder


def _holds_bytes(kind: Any) -> bool:
    """Whether a column is binary, or a struct of `bytes` and `path` as `datasets` writes audio."""
    from pyarrow import types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _class_labels(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Names of the classes that `datasets` writes as numbers, by column."""
    described = json.loads(metadata.get(b"huggingface", b"{}"))
    features = described.get("info", {}).get("features", {})
    return {
        column: feature["names"]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _unpacked(path: Path, column: str, called: list[Any]) -> tuple[list[str], Path]:
    """Names of the recordings inside a Parquet file, a row each, and the folder they are put in.

    They are put there once for each state of the file.
    """
    from pyarrow import parquet

    state = path.stat()
    identity = f"{path.resolve()} {state.st_mtime_ns} {state.st_size}"
    where = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
    folder = store.made() / "unpacked" / f"{path.stem}-{where[:8]}"
    listed = folder / "files.json"
    if listed.is_file():
        return store.read_json(listed), folder
    file, names = parquet.ParquetFile(path), list[str]()
    paths = called or [
        cell.get("path") if isinstance(cell, dict) else None
        for part in file.iter_batches(_BATCH, columns=[column])
        for cell in part.column(0).to_pylist()
    ]
    stems = [re.split(r"[\\/]", str(name or ""))[-1].replace("\0", "") for name in paths]
    times = Counter(stems)
    for part in file.iter_batches(_BATCH, columns=[column]):
        for cell in part.column(0).to_pylist():
            number = len(names)
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            if content is None:
                raise CorpusError(
                    f"Row {number + 1} of {path} holds no audio in {column!r}: remove the row, or "
                    "name files in a column 'file'."
                )
            stem = stems[number]
            alone = times[stem] == 1 and stem not in ("", ".", "..", listed.name)
            names.append(stem if alone else f"{number + 1:06}{os.path.splitext(stem)[1]}")
            store.write_bytes(folder / names[-1], content)
    store.write_json(listed, names)
    return names, folder
