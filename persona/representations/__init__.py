"""Representations: waveforms in, one fixed-size float32 vector per clip out.

Every representation is a small class with

- `name`, `dimension`, `rate` (Hz) and `version` (raised whenever its values change),
- `embed(waveforms)`: a sequence of float32 arrays of shape (n,), mono, at `rate`, to a float32
  array of shape (len(waveforms), dimension); a clip's vector does not depend on its neighbours,
- `provenance()`: what has to be equal for two vectors to be comparable.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from typing import Any, Protocol

import numpy as np

from persona.errors import PersonaError

NAMES = ("mfcc", "wavlm", "xvector", "dvector", "egemaps")
"""Those compared throughout: the paper's three, then two that need no download beside MFCC."""

OFFLINE = ("mfcc", "dvector", "egemaps", "dvector_layers")
"""Representations that run without downloading weights."""


class Representation(Protocol):
    """What every representation offers; see the module's docstring."""

    name: str
    dimension: int
    rate: int
    version: int

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray: ...

    def provenance(self) -> dict[str, Any]: ...


_CLASSES = {
    "mfcc": "MFCC",
    "wavlm": "WavLM",
    "xvector": "XVector",
    "dvector": "DVector",
    "dvector_layers": "DVectorLayers",
    "egemaps": "EGeMAPS",
}


def _class(name: str) -> Any:
    if name not in _CLASSES:
        raise PersonaError(
            f"There is no representation {name!r}; choose from {', '.join(_CLASSES)}."
        )
    return getattr(import_module(f"persona.representations.{name}"), _CLASSES[name])


def load(name: str, **parameters: Any) -> Representation:
    """Make a representation ready to embed; `parameters` go to its class.

    Raises `PersonaError` for an unknown name and `WeightsError` where weights cannot be had.
    """
    made_by = _class(name)
    if unknown := set(parameters) - set(signature(made_by).parameters):
        raise PersonaError(f"{name} has no parameter {', '.join(sorted(unknown))}.")
    return made_by(**parameters)


_INCIDENTAL = ("revision", "commit", "transformers", "speechbrain")


def restore(provenance: dict[str, Any]) -> Representation:
    """The representation that made vectors of this `provenance`; further keys are ignored.

    Raises `PersonaError` where today's version, parameters or weights give other vectors, and
    whatever `load` raises.
    """
    name = provenance["representation"]
    accepted = signature(_class(name)).parameters
    parameters = {key: value for key, value in provenance.items() if key in accepted}
    if re.fullmatch(r"[0-9a-f]{40}", str(provenance.get("commit"))):
        parameters["revision"] = provenance["commit"]
    restored = load(name, **parameters)
    for key, value in restored.provenance().items():
        if key not in _INCIDENTAL and provenance.get(key) != value:
            raise PersonaError(
                f"Vectors of {name} were made with {key} {provenance.get(key)}, here it is "
                f"{value}: make the table or the model again."
            )
    return restored


def version(name: str) -> int:
    """Version of the values that representation `name` computes today (loads no weights)."""
    return _class(name).version
