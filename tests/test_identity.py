"""Functions of experiments are told apart by all that decides what they do."""

import dataclasses
import linecache
import math
import sys
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from persona.errors import PersonaError
from persona.folds import split
from persona.keeping.identity import identified
from persona.training import Settings


def notebook(source: str, name: str = "__main__", **parameters: Any) -> dict[str, Any]:
    """Names that a cell defines, its source known as it is in a notebook."""
    file = f"<cell {name} {hash(source)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    found = {"__name__": name, "np": np, "pd": pd, "math": math, **parameters}
    exec(compile(source, file, "exec"), found)
    return found


def told(source: str, **parameters: Any) -> Any:
    return identified(notebook(source, **parameters)["chosen"])


READS = {
    "itself": "def chosen(clips):\n    return clips[clips['age'] > smallest]\n",
    "in a lambda": "chosen = lambda x: x > smallest\n",
    "in a nested function": (
        "def chosen(x):\n    def inner(y):\n        return y > smallest\n    return inner(x)\n"
    ),
    "in a comprehension": "def chosen(x):\n    return [y for y in x if y > smallest]\n",
    "in a lambda of a comprehension": (
        "def chosen(x):\n    return [(lambda: y > smallest)() for y in x]\n"
    ),
    "through a function": (
        "def least(): return smallest\ndef chosen(x):\n    return x > least()\n"
    ),
    "through functions that call each other": (
        "def chosen(x): return other(x - 1)\n"
        "def other(x): return chosen(x) if x > smallest else x\n"
    ),
    "through a class": (
        "class Least:\n    def get(self):\n        return smallest\n"
        "def chosen(x):\n    return x > Least().get()\n"
    ),
    "as a default": "def chosen(x, least=smallest):\n    return x > least\n",
    "by keyword": "def chosen(x, *, least=smallest):\n    return x > least\n",
    "around it": (
        "def around(least):\n    return lambda x: x > least\nchosen = around(smallest)\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", READS.values(), ids=READS)
def test_a_global_that_a_function_reads_is_part_of_it(source):
    assert told(source, smallest=10) == told(source, smallest=10)
    assert told(source, smallest=10) != told(source, smallest=1000)


@dataclasses.dataclass
class Limits:
    least: float
    names: tuple[str, ...] = ("a",)


VALUES = {
    "numbers": (1, 2),
    "numbers that are not finite": (math.inf, math.nan),
    "text": ("a", "b"),
    "lists": ([1, 2], [2, 1]),
    "sets": ({1, 2}, {1, 3}),
    "keys that are no text": ({(1, 2): 3}, {(1, 2): 4}),
    "dataclasses": (Limits(1), Limits(2)),
    "settings": (Settings(epochs=1), Settings(epochs=2)),
    "arrays": (np.arange(3), np.array([0, 1, 3])),
    "types of arrays": (np.arange(3), np.arange(3.0)),
    "shapes of arrays": (np.zeros((2, 3)), np.zeros((3, 2))),
    "objects in arrays": (np.array(["a", None], object), np.array(["b", None], object)),
    "scalars": (np.float32(1), np.float32(2)),
    "tensors": (torch.zeros(2), torch.ones(2)),
    "frames": (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
    "text in frames": (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": ["y", None]})),
    "names of columns": (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    "rows of frames": (pd.DataFrame({"a": [1]}, [0]), pd.DataFrame({"a": [1]}, [1])),
    "series": (pd.Series([1.0, 2.0]), pd.Series([1.0, 3.0])),
    "modules": (math, np),
    "functions of libraries": (math.sqrt, math.exp),
    "classes of libraries": (dict, list),
    "functions of this package": (split, identified),
    "partials": (partial(split, seed=1), partial(split, seed=2)),
}


@pytest.mark.parametrize("pair", VALUES.values(), ids=VALUES)
def test_values_that_differ_are_told_apart(pair):
    first, second = (told("def chosen(x): return read(x)\n", read=value) for value in pair)
    assert first != second
    assert told("def chosen(x): return read(x)\n", read=pair[0]) == first


def test_a_name_that_is_an_attribute_and_no_global_is_not_part_of_it():
    source = "def chosen(clips):\n    return clips.age\n"
    assert told(source, age=1) == told(source, age=2)


def test_a_local_of_a_global_name_is_not_part_of_it():
    source = "def chosen(age):\n    return [age for age in age]\n"
    assert told(source, age=1) == told(source, age=2)


def test_functions_of_one_name_in_two_modules_are_two():
    source = "def chosen(x): return x\n"
    found = [identified(notebook(source, name)["chosen"]) for name in ("one", "two")]
    assert found[0] != found[1]


def test_two_lambdas_on_one_line_are_two():
    found = notebook("pair = [lambda x: x + 1, lambda x: x + 2]\nsame = [lambda x: x + 1]\n")
    first, second = map(identified, found["pair"])
    assert first != second and identified(found["same"][0]) == first


def test_a_lambda_over_several_lines_is_all_of_its_text():
    source = "chosen = (lambda x: (\n    x\n    + 1))\n"
    assert told(source) != told(source.replace("1", "2"))


def test_what_decorates_a_function_is_part_of_it():
    source = (
        "from functools import wraps\n"
        "def twice(f):\n    @wraps(f)\n    def inner(x):\n        return 2 * f(x)\n"
        "    return inner\n"
        "@twice\ndef chosen(x): return x\n"
    )
    assert told(source) != told(source.replace("2 *", "3 *"))


def test_a_module_of_ones_own_is_its_text(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_steps.py").touch()
    import my_steps

    call = "my_steps.step(x)\n"
    for source in (f"def chosen(x): return {call}", f"def chosen(x):\n    import my_steps; {call}"):
        (tmp_path / "my_steps.py").write_text("def step(x): return x\n")
        before = told(source, my_steps=my_steps)
        (tmp_path / "my_steps.py").write_text("def step(x): return 2 * x\n")
        assert told(source, my_steps=my_steps) != before
    monkeypatch.delitem(sys.modules, "my_steps")


def test_another_release_of_a_library_is_another_function_where_it_may_do_otherwise(monkeypatch):
    source = "def chosen(x): return np.sqrt(x)\n"
    usual = told(source)
    major, minor, _ = np.__version__.split(".", 2)
    monkeypatch.setattr(np, "__version__", f"{major}.{int(minor) + 1}.0")
    assert told(source) == usual
    monkeypatch.setattr(np, "__version__", f"{int(major) + 1}.0.0")
    assert told(source) != usual


def test_a_function_of_this_package_is_known_by_its_name_and_version():
    assert identified(split) == ["split version 1", []]


class Loaded:
    """Anything that is no value."""

    def method(self, x):
        return x


@pytest.mark.parametrize(
    "value",
    [np.random.default_rng(0), Loaded(), Loaded().method, open, ModuleType("nowhere")],
    ids=["generator", "object", "method", "opened", "module"],
)
def test_a_global_that_cannot_be_known_is_refused_in_one_sentence(value):
    if value is open:
        value = open(linecache.__file__)  # noqa: SIM115
    with pytest.raises(PersonaError, match=r"cannot be told from others in an experiment: give a"):
        told("def chosen(x): return read(x)\n", read=value)
