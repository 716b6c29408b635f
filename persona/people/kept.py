"""Voices that were learnt, in the user's data folder: theirs to read and to delete."""

import io
import os
import re
import secrets
import zipfile
from pathlib import Path

import numpy as np

from persona.errors import PersonaError, StoreError
from persona.people.voice import Voice

_NAME = re.compile(r"\w[\w .-]{0,63}")
_FILE = ".voice"


def folder() -> Path:
    """`PERSONA_VOICES` of the environment, or a folder in the user's data folder."""
    if given := os.environ.get("PERSONA_VOICES"):
        return Path(given)
    from platformdirs import user_data_path

    return user_data_path("persona-voice") / "voices"


def names() -> list[str]:
    """Of all voices that are kept."""
    return sorted(file.stem for file in folder().glob(f"*{_FILE}"))


def keep(name: str, voice: Voice) -> Path:
    """Write a voice whole or not at all, for its owner's eyes only.

    Raises `PersonaError` for a name that is no name of a file, `StoreError` where the folder cannot
    be written to.
    """
    file = _file(name)
    content = io.BytesIO()
    np.savez(
        content,
        offset=voice.offset,
        phrases=np.array(voice.phrases),
        plain=np.array(voice.plain),
        made_for=np.array(voice.made_for),
    )
    try:
        _write(file, content.getvalue())
    except OSError as error:
        raise StoreError(
            f"The voice cannot be kept in {file.parent} ({error.strerror or error}): set "
            "PERSONA_VOICES to a folder that can be written to."
        ) from error
    return file


def export(name: str, file: Path) -> None:
    """Copy a voice to a file, for its owner's eyes only, which `load` reads elsewhere.

    Raises `PersonaError` where there is none of this name, or the file does not end as voices do,
    `StoreError` where it cannot be written.
    """
    load(name)
    if file.suffix != _FILE:
        raise PersonaError(
            f"{file.name} does not end in {_FILE}, by which it is known: name it so."
        )
    try:
        _write(file, _there(name).read_bytes())
    except OSError as error:
        raise StoreError(
            f"{file} cannot be written ({error.strerror or error}): name another place."
        ) from error


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner alone."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = file.with_name(f".{secrets.token_hex(4)}")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def load(name: str) -> Voice:
    """A voice that was kept, or one exported to a file.

    Raises `PersonaError` where there is none of this name, `StoreError` where it is damaged.
    """
    return _read(Path(name) if name.endswith(_FILE) else _there(name))


def load_from(where: Path, name: str) -> Voice:
    """A voice of this name in a folder; raises as `load`, but tells nobody who else is known."""
    file = _file(name, where)
    if not file.is_file():
        raise PersonaError(f"There is no voice {name!r} here.")
    return _read(file)


def _read(file: Path) -> Voice:
    try:
        with np.load(file, allow_pickle=False) as held:
            offset, phrases, plain, made_for = (held[field] for field in Voice.__annotations__)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"{file} is no voice, or is damaged: learn it again.") from error
    if offset.ndim != 1 or offset.dtype != np.float32 or not np.isfinite(offset).all():
        raise StoreError(f"{file} is no voice, or is damaged: learn it again.")
    return Voice(offset, int(phrases), bool(plain), str(made_for))


def forget(name: str) -> None:
    """Delete a voice for good; `PersonaError` where there is none of this name."""
    _there(name).unlink()


def _there(name: str) -> Path:
    file = _file(name)
    if not file.is_file():
        known = ", ".join(names()) or "none yet"
        raise PersonaError(
            f"There is no voice {name!r} (known: {known}): learn it with `persona voice learn`."
        )
    return file


def _file(name: str, where: Path | None = None) -> Path:
    if not _NAME.fullmatch(name):
        raise PersonaError(f"{name!r} cannot be a voice's name: use letters, digits and blanks.")
    return (where or folder()) / f"{name}{_FILE}"
