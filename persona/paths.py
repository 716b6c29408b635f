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
