"""Representations: waveforms in, one vector of fixed size per clip out.

To add one, write a class as `Representation` describes in a file of its own, named like it, and
add a line to the registry below.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from typing import Any, Literal, Protocol

import numpy as np

from persona.errors import PersonaError, known

_REGISTRY = {
    "mfcc": "MFCC",
    "egemaps": "EGeMAPS",
    "dvector": "DVector",
    "campplus": "CAMPPlus",
    "whisper": "Whisper",
    "wavlm": "WavLM",
    "xvector": "XVector",
}

NAMES = tuple(_REGISTRY)
"""Every representation, in the order in which they are shown."""


class Representation(Protocol):
    """What every representation offers.

    All are attributes of its class, but for `dimension` and `dtype` where they follow from its
    parameters.

    name : as in the registry, and of its module.
    title : as it is shown.
    kind : what it was made for.
    dimension : length of a vector.
    rate : of the waveforms, in Hz.
    version : raised whenever the values change.
    libraries : packages whose versions belong to the provenance of a feature table.
    thread_safe : whether several threads may call `embed` of one instance at once.
    needs_download : whether weights have to be had that neither this package nor a library holds.
    dtype : in which a table keeps vectors; "int8" for whole numbers from -128 to 127.
    """

    name: str
    title: str
    kind: Literal["acoustic features", "speaker recognition", "general speech"]
    dimension: int
    rate: int
    version: int
    libraries: tuple[str, ...]
    thread_safe: bool
    needs_download: bool
    dtype: Literal["float32", "float16", "int8"]

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors, float32 of shape (len(waveforms), dimension).

        waveforms : float32 arrays of shape (n,), mono, at `rate`, in -1 to 1. A clip's vector
            does not depend on its neighbours; `AudioError` for a clip that is too short.
        """
        ...

    def provenance(self) -> dict[str, Any]:
        """What has to be equal for two vectors to be comparable, in plain JSON values: the
        `representation`, its `version`, its parameters, the hashes of its weights.
        """
        ...


def class_of(name: str) -> Any:
    """The class of representation `name`, for its attributes; nothing is loaded.

    Raises `PersonaError` for an unknown name.
    """
    known("representation", name, _REGISTRY)
    return getattr(import_module(f"{__name__}.{name}"), _REGISTRY[name])


def load(name: str, **parameters: Any) -> Representation:
    """Make a representation ready to embed; `parameters` go to its class.

    Raises `PersonaError` for an unknown name, parameter or value, and `WeightsError` where
    weights cannot be had.
    """
    made_by = class_of(name)
    accepted = signature(made_by).parameters
    if unknown := set(parameters) - set(accepted):
        raise PersonaError(f"{name} has no parameter {', '.join(sorted(unknown))}.")
    for key, value in parameters.items():
        default = accepted[key].default
        if default is not None and type(value) is not type(default):
            raise PersonaError(
                f"The parameter {key} of {name} cannot be {value!r}: "
                f"give a value like its default, {default!r}."
            )
    return made_by(**parameters)


_INCIDENTAL = ("revision", "commit")  # the same weights may come by several ways


def restore(provenance: dict[str, Any]) -> Representation:
    """The representation that made vectors of this `provenance`; further keys are ignored.

    Weights whose SHA-256 the provenance states are checked before anything is loaded.

    Raises `PersonaError` where today's version, parameters or weights give other vectors, and
    whatever `load` raises.
    """
    name = str(provenance.get("representation"))
    accepted = signature(class_of(name)).parameters
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


def chosen_layers(name: str, layer: str, layers: Sequence[str]) -> list[str]:
    """Layers that the parameter `layer` of representation `name` names, joined by "+".

    Raises `PersonaError` for one that is not among `layers`, or is named twice.
    """
    chosen = layer.split("+")
    if set(chosen) - set(layers) or len(set(chosen)) < len(chosen):
        raise PersonaError(
            f"{name} has no layer {layer!r}: choose from {', '.join(layers)}, several joined by +."
        )
    return chosen
