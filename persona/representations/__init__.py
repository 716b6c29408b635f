"""Representations: waveforms in, one vector of fixed size per clip out.

To add one, write a class as `Representation` describes and give it to `register`, or, as a part of
the package, put it into a file of its own, named like it, and add a line to the registry below. A
file of vectors (see `vectors`) serves wherever the name of a representation does.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from typing import Any, Literal, Protocol, TypeVar

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
"""Every representation of the package, in the order in which they are shown."""

_REGISTRY["vectors"] = "Vectors"
_OUTSIDE: dict[str, Any] = {}

_OFFERED = (
    "name", "title", "kind", "rate", "version", "libraries", "thread_safe", "needs_download",
    "embed", "provenance",
)  # fmt: skip

Class = TypeVar("Class", bound=type)


class Representation(Protocol):
    """What every representation offers.

    All are attributes of its class, but for `dimension` and `dtype` where they follow from its
    parameters.

    name : as in the registry, and of its module; that of its feature table.
    title : as it is shown.
    kind : what it was made for.
    dimension : length of a vector.
    rate : of the waveforms, in Hz: 16000.
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


def register(made_by: Class) -> Class:
    """Make a representation of one's own known by its `name`; also as a decorator of its class.

    made_by : a class as `Representation` describes, of a notebook or of any module.

    Raises `PersonaError` where it lacks something, or its name is another's or cannot be a
    table's.
    """
    from persona.audio import RATE

    if lacking := [part for part in _OFFERED if not hasattr(made_by, part)]:
        raise PersonaError(
            f"{made_by.__qualname__} is no representation, as it has no {lacking[0]}: see "
            "persona.representations.Representation."
        )
    given: Any = made_by
    if given.name in _REGISTRY or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", given.name):
        raise PersonaError(
            f"A representation of one's own cannot be called {given.name!r}: give it a name that "
            "is not taken, of letters, digits, '_' or '-'."
        )
    if given.rate != RATE:
        raise PersonaError(f"{given.name} asks for {given.rate} Hz, and audio has {RATE} Hz here.")
    _OUTSIDE[given.name] = made_by
    return made_by


def class_of(name: str | type) -> Any:
    """The class of representation `name`, for its attributes; nothing is loaded.

    name : as registered, or "module:Class", which registers it. A class is returned as it is.

    Raises `PersonaError` for an unknown name.
    """
    if isinstance(name, type):
        return name
    if ":" in name:
        return register(_imported(name))
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    known("representation", name, (*_REGISTRY, *_OUTSIDE))
    return getattr(import_module(f"{__name__}.{name}"), _REGISTRY[name])


def _imported(address: str) -> Any:
    module, _, name = address.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PersonaError(
            f"The representation {address} cannot be imported ({error}): name a class by "
            "module:Class, in a module that Python finds."
        ) from error


def load(name: str | type, **parameters: Any) -> Representation:
    """Make a representation ready to embed; `parameters` go to its class.

    name : as of `class_of`.

    Raises `PersonaError` for an unknown name, parameter or value, and `WeightsError` where
    weights cannot be had.
    """
    made_by = class_of(name)
    name = made_by.name
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


def provenance(loaded: Representation) -> dict[str, Any]:
    """What a table or a card states of a representation; of one from outside, its class too."""
    made_by = type(loaded)
    if _OUTSIDE.get(loaded.name) is not made_by:
        return loaded.provenance()
    return {**loaded.provenance(), "class": f"{made_by.__module__}:{made_by.__qualname__}"}


def from_elsewhere(provenance: dict[str, Any]) -> bool:
    """Whether vectors were made by a class from outside that is not registered here."""
    return "class" in provenance and provenance.get("representation") not in _OUTSIDE


def parameters(provenance: dict[str, Any]) -> dict[str, Any]:
    """Those of a representation's class that vectors of this `provenance` were made with."""
    accepted = signature(class_of(str(provenance.get("representation")))).parameters
    found = {key: value for key, value in provenance.items() if key in accepted}
    if re.fullmatch(r"[0-9a-f]{40}", str(provenance.get("commit"))):
        found["revision"] = provenance["commit"]
    return found


_INCIDENTAL = ("revision", "commit")  # the same weights may come by several ways


def restore(provenance: dict[str, Any]) -> Representation:
    """The representation that made vectors of this `provenance`; further keys are ignored.

    Weights whose SHA-256 the provenance states are checked before anything is loaded.

    Raises `PersonaError` where today's version, parameters or weights give other vectors, and
    whatever `load` raises.
    """
    name = str(provenance.get("representation"))
    if from_elsewhere(provenance):  # never imported by itself: a model may come from anybody
        raise PersonaError(
            f"Vectors of {name} were made by {provenance['class']}, which is no part of this "
            "package: if you trust that class, give it to persona.representations.register first."
        )
    restored = load(name, **parameters(provenance))
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
