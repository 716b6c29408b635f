"""Where the project's data lives."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data() -> Path:
    """Folder of corpus tables, feature tables, predictions and models.

    `PERSONA_DATA` if set, else the copy inside an installed package, else `data/` of a checkout.
    """
    if folder := os.environ.get("PERSONA_DATA"):
        return Path(folder)
    packaged = _PACKAGE / "data"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "data"


def build() -> Path:
    """Folder of what is made and may be deleted: `PERSONA_BUILD`, else `build/` of a checkout.

    Outside a checkout it is `build/` of the current folder.
    """
    if folder := os.environ.get("PERSONA_BUILD"):
        return Path(folder)
    root = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").exists() else Path.cwd()
    return root / "build"
