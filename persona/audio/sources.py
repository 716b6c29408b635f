"""What a caller names as a recording, opened for reading: a path, an address, or bytes."""

import io
import os
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from persona.errors import AudioError

EXTENSIONS = (
    ".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".flac",
    ".mp3", ".mp2", ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".aac", ".amr",
    ".ogg", ".oga", ".ogv", ".opus", ".webm", ".weba", ".mkv", ".mka", ".wma", ".wmv", ".asf",
    ".avi", ".sph", ".wv",
)  # fmt: skip
"""Endings of the names that a chooser or a walk through folders takes for sound files."""


def opened(source: Any, limit: float, fail: Callable[[str], AudioError]) -> BinaryIO:
    """A path or bytes, opened for reading; refuses what is missing, empty or over `limit` bytes."""
    file = _binary(source, fail)
    size = file.seek(0, os.SEEK_END)
    if 0 < size <= limit:
        return file
    file.close()
    if size == 0:
        raise fail("is empty (0 bytes): record or export it again")
    raise fail(
        f"is {size / 1e6:.3g} MB, over the limit of {limit / 1e6:.3g} MB: shorten or "
        "compress it, or raise PERSONA_MAX_MB"
    )


def _binary(source: Any, fail: Callable[[str], AudioError]) -> BinaryIO:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        raise fail(f"is of type {type(source).__name__}: give a path, bytes or (waveform, rate)")
    if isinstance(source, str) and "://" in source:
        return _remote(source, fail)
    if os.path.isdir(source):
        raise fail("is a folder: give a file in it")
    if not os.path.exists(source):
        raise fail("was not found: check the path")
    try:
        if not stat.S_ISREG(os.stat(source).st_mode):  # opening a pipe would wait for its writer
            raise fail("is a pipe or a device: save what comes out of it, give the file")
        return open(source, "rb")
    except OSError as error:
        raise fail(f"cannot be opened ({error.strerror}): check the file") from error


def _remote(address: str, fail: Callable[[str], AudioError]) -> BinaryIO:
    """A file at an address that the caller named (s3://, https:// ...), read as it is decoded."""
    try:
        import fsspec
    except ImportError as error:
        raise fail("is an address: pip install 'persona-voice[remote]' to read it") from error
    try:
        store, path = fsspec.core.url_to_fs(address)
        return cast(BinaryIO, store.open(path, "rb"))
    except FileNotFoundError as error:
        raise fail("was not found: check the address") from error
    except ImportError as error:
        raise fail(f"cannot be read ({error}): install what it names") from error
    except Exception as error:  # each kind of store has errors of its own
        problem = " ".join(str(error).split())[:200]
        raise fail(f"cannot be opened ({problem}): check the address and your rights") from error
