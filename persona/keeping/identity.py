"""What a function does, as plain JSON: equal only where it does the same."""

import json
from functools import partial
from inspect import getsource
from types import FunctionType
from typing import Any

from persona.errors import PersonaError
from persona.keeping import store


def identified(value: Any) -> Any:
    """A function, or what one is given, as plain JSON: equal only if it does the same."""
    if isinstance(value, partial):
        given = {name: identified(given) for name, given in value.keywords.items()}
        return [identified(value.func), [identified(given) for given in value.args], given]
    try:
        if not isinstance(value, FunctionType):
            return json.loads(store.plain_json(value))
        around = [identified(cell.cell_contents) for cell in value.__closure__ or ()]
        version = getattr(value, "version", None)
        if version is None and not str(value.__module__).startswith("persona."):
            version = store.fingerprint(getsource(value))[:12]
    except (TypeError, ValueError, OSError) as error:
        raise PersonaError(
            f"{value!r} cannot be told from others in an experiment: give a function that a file "
            "or notebook defines, and to it plain values."
        ) from error
    return [f"{value.__qualname__} version {version or 1}", around]
