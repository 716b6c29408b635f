"""Progress bars on standard error: silenced by one switch, and nothing fails for want of them.

logging.getLogger("persona").setLevel("WARNING")  # no bars
"""

import logging
import sys
from contextlib import suppress
from typing import Any


def bar(things: Any = None, title: str = "", **options: Any) -> Any:
    """A tqdm over `things`, or to be updated by hand where there are none; `options` are tqdm's.

    There is none where the logger "persona" is set above INFO, or standard error is closed.
    """
    from tqdm import tqdm

    errors = sys.stderr
    if errors is None or errors.closed or logging.getLogger("persona").level > logging.INFO:
        options["disable"] = True
    return tqdm(things, title, file=_Unfailing(errors), **options)


class _Unfailing:
    """Standard error, whose reader may have gone away."""

    def __init__(self, errors: Any) -> None:
        self._errors = errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._errors, name)

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._errors.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._errors.flush()
