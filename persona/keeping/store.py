"""Where things are kept, and how: written whole or not at all, with what made them.

A table is a Parquet file whose metadata holds its provenance and a SHA-256 over its values, which
is checked when it is read. A file appears under its name only when it is complete: it is written
aside, synced to the disk and renamed.
"""

import hashlib
import json
import os
import platform
import secrets
import time
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from persona import __version__
from persona.errors import StoreError

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent
_UNFINISHED = ".unfinished"


def in_checkout() -> bool:
    """Whether the package runs from a checkout of its repository, not from an installed copy."""
    return (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "notebooks").is_dir()


def shipped() -> Path:
    """Folder of what the project ships: clip tables, feature tables, results, models.

    `PERSONA_DATA` if set, else `data/` of a checkout, else the copy inside an installed package.
    """
    if folder := os.environ.get("PERSONA_DATA"):
        return Path(folder)
    return _CHECKOUT / "data" if in_checkout() else _PACKAGE / "data"


def made() -> Path:
    """Folder of what a user makes, and may delete: never what ships.

    `PERSONA_BUILD` if set, else `build/` of a checkout, else the user's cache folder.
    """
    if folder := os.environ.get("PERSONA_BUILD"):
        return Path(folder)
    if in_checkout():
        return _CHECKOUT / "build"
    from platformdirs import user_cache_path

    return user_cache_path("persona-voice")


def find(*parts: str) -> Path:
    """The file a user made under this name, or else the one that ships (which need not exist)."""
    own = made().joinpath(*parts)
    return own if own.exists() else shipped().joinpath(*parts)


@contextmanager
def writing(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to; it takes the place of `file` when the block ends well.

    Who may read it is for the user's umask to say.

    Raises `StoreError` where the disk is full or the folder cannot be written to.
    """
    with _writable(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}-{secrets.token_hex(4)}{_UNFINISHED}")
        aside.touch(exist_ok=False)  # with the mode that the user's umask leaves
        try:
            yield aside
            with open(aside, "rb+") as opened:
                os.fsync(opened.fileno())
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def _writable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        moves = "set PERSONA_BUILD to" if file.is_relative_to(made()) else "name"
        raise StoreError(
            f"{file} cannot be written ({error.strerror or error}): make room there, or {moves} a "
            "folder that can be written to."
        ) from error


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; `StoreError` as of `writing`."""
    with writing(file) as aside:
        aside.write_bytes(content)


def write_json(file: Path, content: Any) -> None:
    """Write JSON, sorted by key, whole or not at all."""
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
    write_bytes(file, (text + "\n").encode())


def read_json(file: Path) -> Any:
    """Read JSON; `StoreError` where it is missing or broken."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{file} is missing: make it, or restore it from the project.") from error
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{file} cannot be read ({error}): remove it and make it again."
        ) from error


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and what made them.

    columns : arrays of shape (n,), or (n, width) for vectors, by name.
    provenance : plain JSON values.
    """

    columns: dict[str, np.ndarray]
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def write_table(file: Path, columns: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """Write a table whole or not at all; columns of shape (n, width) become fixed-size lists."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    arrays = {name: np.asarray(values) for name, values in columns.items()}
    metadata = {"persona": plain_json(provenance), "sha256": checksum(arrays)}
    table = pa.table({name: _to_arrow(a) for name, a in arrays.items()}, metadata=metadata)
    vectors = [name for name, a in arrays.items() if a.ndim == 2 and a.dtype.kind == "f"]
    floats = [f"{name}.list.element" for name in vectors]
    text = [name for name, a in arrays.items() if a.dtype.kind in "OUT"]
    with writing(file) as aside:
        parquet.write_table(
            table, aside, compression="zstd", compression_level=9,
            use_dictionary=text or False, use_byte_stream_split=floats or False,
        )  # fmt: skip


def read_table(file: Path) -> Table:
    """Read a table written by `write_table`.

    Raises `StoreError` where it is missing, is not such a table, or holds other values than were
    written (a flipped bit).
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(file)
        metadata = table.schema.metadata
        provenance = json.loads(metadata[b"persona"])
        columns = {name: _from_arrow(table[name]) for name in table.column_names}
        intact = metadata[b"sha256"].decode() == checksum(columns)
    except FileNotFoundError as error:
        raise StoreError(f"{file} is missing: make it, or restore it from the project.") from error
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{file} is not a table of this project, or is damaged: remove it and make it again."
        ) from error
    if not intact:
        raise StoreError(f"{file} holds other values than were written: make it again.")
    return Table(columns, provenance)


def read_provenance(file: Path) -> dict[str, Any]:
    """What made a table, read without its values; empty where there is no such table."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        found = json.loads(parquet.read_schema(file).metadata[b"persona"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _to_arrow(values: np.ndarray) -> Any:
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(values.tolist() if values.dtype.kind in "OUT" else values)
    if values.dtype == np.int8:  # Parquet spends four bytes on a small number, one on a byte
        content = pa.py_buffer(np.ascontiguousarray(values))
        width = pa.binary(values.shape[1])
        return pa.FixedSizeBinaryArray.from_buffers(width, len(values), [None, content])
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _from_arrow(column: Any) -> np.ndarray:
    import pyarrow as pa

    if column.null_count:
        raise ValueError("a value is missing")
    if pa.types.is_fixed_size_binary(column.type):
        content = b"".join(column.to_pylist())
        return np.frombuffer(content, np.int8).reshape(-1, column.type.byte_width)
    width = getattr(column.type, "list_size", None)
    if width is None:
        return column.to_numpy()
    values = column.combine_chunks().flatten()
    if values.null_count:
        raise ValueError("a value is missing")
    return values.to_numpy().reshape(-1, width)


def checksum(columns: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes and values of columns: equal columns have equal checksums."""
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(f"{name} {values.shape}\n".encode())
        if values.dtype.kind in "OUT":
            digest.update("\n".join(map(str, values)).encode())
        else:
            digest.update(f"{values.dtype}\n".encode())
            digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    return digest.hexdigest()


def sha256(file: Path) -> str:
    """SHA-256 of a file; `StoreError` where it cannot be read."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror}): check the file.") from error


def plain_json(content: Any) -> str:
    """Compact JSON with sorted keys: equal contents give equal text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(content: Any) -> str:
    """SHA-256 of the JSON of plain values."""
    return hashlib.sha256(plain_json(content).encode()).hexdigest()


_SETTLED = 2
"""Seconds after a change from which another one is sure to change what `state` says."""


def state(*files: Path) -> Hashable | None:
    """What tells files from what they were before and from others, without reading them.

    None where that cannot be told: one is missing, or has changed a moment ago and might change
    again within the file system's grain of time.
    """
    try:
        found = [file.stat() for file in files]
    except OSError:
        return None
    settled = time.time() - _SETTLED
    if any(settled < max(one.st_mtime, one.st_ctime) for one in found):
        return None
    return tuple(
        (one.st_dev, one.st_ino, one.st_mtime_ns, one.st_ctime_ns, one.st_size) for one in found
    )


@contextmanager
def lock(file: Path) -> Iterator[None]:
    """Two runs that make the same thing take turns: the second waits until the first has ended.

    The lock goes with its process, however that ends.
    """
    from filelock import FileLock

    taken = FileLock(file.with_name(f".{file.name}.lock"))
    with _writable(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        taken.acquire()
    try:
        yield
    finally:
        taken.release()


@cache
def code_version() -> str:
    """Version of this package, with the commit of its repository when it runs from a checkout."""
    import subprocess

    if not in_checkout():
        return __version__
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__}+{commit}"


def software(*packages: str) -> dict[str, str]:
    """Versions of this code, of Python and of the named packages, "not installed" where absent."""
    found = {"persona": code_version(), "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
