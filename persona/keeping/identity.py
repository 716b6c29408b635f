"""What a function does, as plain JSON: equal only where it does the same.

A function is its source, the values that it is given or defined around, and the globals that its
code reads, followed from function to function. In a notebook run by papermill, the parameters are
such globals. This package's own functions are their name and version, and those of libraries their
name and the library's version, whose sources are not followed.
"""

import dis
import json
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial, reduce
from importlib import import_module, metadata
from inspect import findsource, getsource
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from persona.errors import PersonaError
from persona.keeping import store

_INSTALLED = tuple({Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")})


def identified(value: Any) -> Any:
    """A function, or what one is given, as plain JSON: equal only if it does the same.

    Plain values and dataclasses go by value, arrays, tensors and frames by checksum, modules by
    name and version. Raises `PersonaError` for what cannot be known.
    """
    try:
        return _identified(value, ())
    except RecursionError as error:
        raise _unknown(value) from error


def _unknown(value: Any, name: str = "") -> PersonaError:
    read = f"{name}, which a function reads, holds {value!r:.200}, which" if name else repr(value)
    return PersonaError(
        f"{read} cannot be told from others in an experiment: give a function that a file or "
        "notebook defines, and to it plain values, arrays or frames."
    )


def _identified(value: Any, within: tuple[Any, ...], name: str = "") -> Any:
    """within : functions and classes that are being described, which may name themselves."""
    if isinstance(value, FunctionType):
        return _function(value, within)
    if isinstance(value, type):
        return _class(value, within)
    if isinstance(value, ModuleType):
        return _module(value.__name__)
    if isinstance(value, partial):
        given = {name: _identified(given, within, name) for name, given in value.keywords.items()}
        return [
            _identified(value.func, within),
            [_identified(given, within) for given in value.args],
            given,
        ]
    try:
        return json.loads(store.plain_json(value))
    except (TypeError, ValueError):
        return _compound(value, within, name)


def _compound(value: Any, within: tuple[Any, ...], name: str) -> Any:
    """A value that is no plain JSON."""
    if isinstance(value, float | np.generic):  # not finite, or a number of NumPy's
        return repr(value)
    if isinstance(value, list | tuple):
        return [_identified(one, within, name) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((_identified(one, within, name) for one in value), key=store.plain_json)
    if isinstance(value, Mapping):
        return [[_identified(part, within, name) for part in pair] for pair in value.items()]
    if is_dataclass(value):
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        found = {key: _identified(one, within, key) for key, one in own.items()}
        return [_identified(type(value), within), found]
    if (columns := _columns(value)) is not None:
        texts = {key: c.tolist() for key, c in columns.items() if c.dtype == object}
        numbers = {key: c for key, c in columns.items() if key not in texts}
        plain = _identified(texts, within, name)
        return [type(value).__name__, *columns, store.checksum(numbers), store.fingerprint(plain)]
    if (of := getattr(value, "__module__", None)) and (version := _version(of)):
        path = getattr(value, "__qualname__", "").split(".")
        if reduce(lambda at, part: getattr(at, part, None), path, sys.modules.get(of)) is value:
            return [".".join([of, *path]), version]
    raise _unknown(value, name)


def _columns(value: Any) -> dict[str, np.ndarray] | None:
    """Arrays that hold all of an array, a tensor, or a frame, series or index of pandas."""
    if isinstance(value, np.ndarray):
        return {"": value}
    if (torch := sys.modules.get("torch")) and isinstance(value, torch.Tensor):
        return {"": value.detach().cpu().numpy()}
    if not (pandas := sys.modules.get("pandas")):
        return None
    if isinstance(value, pandas.Index):
        return {repr(value.names): value.to_numpy()}
    if isinstance(value, pandas.Series):
        value = value.to_frame()
    if isinstance(value, pandas.DataFrame):
        columns = {f"{i} {n!r}": value.iloc[:, i].to_numpy() for i, n in enumerate(value)}
        return {"index": value.index.to_numpy(), **columns}
    return None


def _function(function: FunctionType, within: tuple[Any, ...]) -> Any:
    module, name = str(function.__module__), _named(function.__module__, function.__qualname__)
    version, library = getattr(function, "version", None), _version(module)
    if module.split(".")[0] == "persona":
        version = version or 1
    elif library and "<" not in name:
        return [name, library]
    if function in within:
        return [name, len(within) - within.index(function)]
    inner = (*within, function)
    around = [_identified(cell.cell_contents, inner) for cell in function.__closure__ or ()]
    if version is not None:
        return [f"{name} version {version}", around]
    defaults = [function.__defaults__, function.__kwdefaults__]
    return [
        f"{name} source {_source(function)}",
        around,
        [_identified(one, inner) for one in defaults],
        _read_by(function, inner),
    ]


def _named(module: str, name: str) -> str:
    """A name with its module's; of this package, whose files may move, by itself."""
    return name if module.split(".")[0] == "persona" else f"{module}.{name}".lstrip(".")


def _source(function: FunctionType) -> str:
    """Twelve digits that stand for a function's text."""
    code = function.__code__  # a decorated function's text is that of the function in it
    try:
        text = _lambda(code) if function.__name__ == "<lambda>" else getsource(code)
    except (TypeError, ValueError, OSError) as error:
        raise _unknown(function) from error
    return store.fingerprint(text)[:12]


def _lambda(code: CodeType) -> list[Any]:
    """Arguments and body of a lambda: others may stand on its lines."""
    lines = [line.encode() for line in findsource(code)[0]]
    places = [p for p in code.co_positions() if None not in p and p[3]]
    first: Any = min((line, column) for line, _, column, _ in places)
    last: Any = max((line, column) for _, line, _, column in places)
    whole = b"".join(lines[first[0] - 1 : last[0]])
    body = whole[first[1] : len(whole) - len(lines[last[0] - 1]) + last[1]]
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [list(arguments), code.co_flags, body.decode()]


def _read_by(function: FunctionType, within: tuple[Any, ...]) -> dict[str, Any]:
    """What a function reads of globals and modules that it imports, by name."""
    found: dict[str, Any] = {}
    for opname, name in sorted(set(_looked_up(function.__code__))):
        if opname == "IMPORT_NAME":
            found[f"import {name}"] = _module(name)
        elif name in function.__globals__:
            found[name] = _identified(function.__globals__[name], within, name)
    return found


def _looked_up(code: CodeType) -> Iterator[tuple[str, str]]:
    """Kind and name of what code, and the code nested in it, looks up outside of it."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"):
            yield step.opname, step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _looked_up(constant)


def _class(kind: type, within: tuple[Any, ...]) -> Any:
    """A class of a library by its name, another by its bases, methods and plain values."""
    name, library = _named(kind.__module__, kind.__qualname__), _version(kind.__module__)
    if library or kind in within:
        return ["class", name, library or len(within) - within.index(kind)]
    inner, own = (*within, kind), {}  # a dataclass's generated methods follow from its fields
    for key, value in vars(kind).items():
        method = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(method, FunctionType):
            if key != "__repr__" and method.__code__.co_filename != "<string>":
                own[key] = _function(method, inner)
        elif not key.startswith("__"):
            own[key] = _identified(value, inner, f"{name}.{key}")
    return ["class", name, [_class(base, inner) for base in kind.__bases__], own]


def _module(name: str) -> Any:
    """A module by its library's version, or by its text where it is no library's."""
    if version := _version(name):
        path, _, last = name.rpartition(".")
        return ["module", _named(path, last), version]
    try:
        file = import_module(name).__file__
    except (ImportError, ValueError) as error:
        raise _unknown(name) from error
    return ["module", name, store.sha256(Path(file))[:12] if file else "namespace"]


def _version(module: str) -> str:
    """Version of the library that a module belongs to; empty for a module of one's own.

    As much of it as says what the library does: "2" of 2.4.1, "0.3" of 0.3.9. Results that ship
    would be lost to everyone who has another release, were it all of it.
    """
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return str(sys.version_info.major)
    found = sys.modules.get(top)
    where = Path(getattr(found, "__file__", None) or "")
    installed = any(where.is_relative_to(folder) for folder in _INSTALLED)
    if top != "persona" and (top == "__main__" or not installed):
        return ""
    version = getattr(found, "__version__", None)
    try:
        parts = (version or metadata.version(top)).split(".")
    except metadata.PackageNotFoundError:
        return "unknown"
    return ".".join(parts[: 2 if parts[0] == "0" else 1])
