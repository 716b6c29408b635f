"""The card of a model: what it has to state, and the checks that it does."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from persona.errors import ModelError
from persona.labels import EMOTIONS, GENDERS, TASKS
from persona.model.voices import PERCENTILES

FORMAT = 2
CARD, HEADS, WEIGHTS = "card.json", "heads.onnx", "model.safetensors"

_SCHEMA: dict[str, Any] = {
    "format": int,
    "name": str,
    "representations": [dict],
    "speech": dict,
    "network": {
        "dimension": int,
        "architecture": str,
        "age_head": str,
        "hidden": [int],
        "dropout": float,
        "input_dropout": float,
        "age_dropout": float,
        "networks": int,
    },
    "sha256": {HEADS: str, WEIGHTS: str},
    "training": dict,
    "data": dict,
    "evaluation": dict,
    "calibration": dict,
    "age_interval": dict,
    "distances": [float],
    "trust": type(None),
    "limits": [str],
    "uses": {"intended": [str], "refused": [str]},
    "software": dict,
}
"""Every key of a card and the type of its value; `dict` holds what people read. `trust` is kept
empty: the probability of the emotion told right answers from wrong, numbers of the recording did
not."""

_INTERVAL: dict[str, Any] = {
    "level": float,
    "method": str,
    "ages": [float],
    "below": [float],
    "above": [float],
    "coverage": dict,
}

ALL = {"emotion": list(EMOTIONS), "gender": list(GENDERS), "age": []}
"""Tasks and their classes of a card that names none."""


def tasks(card: dict[str, Any]) -> dict[str, list[str]]:
    """What a model answers: its tasks, each with its classes in the order of the heads."""
    return card.get("tasks", ALL)


def read(folder: Path) -> dict[str, Any]:
    """The card of the model in `folder`.

    Raises `ModelError` where there is none, or it states other things than a card does.
    """
    file = folder / CARD
    try:
        card = json.loads(file.read_bytes(), parse_constant=_no_number)
        version = card["format"]
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no model in {folder}, {CARD} is missing: make one with `persona train`."
        ) from error
    except KeyError:
        raise _no_card(file, "format is missing") from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _no_card(file, str(error)[:120]) from error
    if version != FORMAT:
        raise ModelError(
            f"The model in {folder} has format {version}, this version reads format {FORMAT}: "
            "make it again with `persona train`."
        )
    check(card, file)
    return card


def check(card: dict[str, Any], where: str | Path) -> None:
    """Raise `ModelError` naming the first key of a card that is missing, unknown or no such value.

    where : what the message calls the card.
    """
    schema = _SCHEMA | ({"tasks": dict} if "tasks" in card else {})
    if isinstance(network := card.get("network"), dict) and "parts" in network:
        schema = schema | {"network": {**_SCHEMA["network"], "parts": [[int]]}}
    if problem := _problem(card, schema, "") or _problem_of_tasks(tasks(card)) or _nonsense(card):
        raise _no_card(where, problem)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _no_card(where: str | Path, problem: str) -> ModelError:
    return ModelError(
        f"{where} is not the card of a model ({problem}): get it again, or make a model with "
        "`persona train`."
    )


def _problem(value: Any, wanted: Any, key: str) -> str:
    """What is wrong with a value, in a few words; empty where it is as wanted."""
    if isinstance(wanted, list):
        if not isinstance(value, list) or not value:
            return f"{key} has to be a list that is not empty"
        return next((p for v in value if (p := _problem(v, wanted[0], f"{key}[]"))), "")
    if isinstance(wanted, dict):
        return _problem_of_keys(value, wanted, key)
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number and math.isfinite(value) else f"{key} has to be a finite number"
    if not isinstance(value, wanted) or isinstance(value, bool):
        return f"{key} has to be of type {wanted.__name__}"
    return ""


def _problem_of_keys(value: Any, wanted: dict[str, Any], key: str) -> str:
    if not isinstance(value, dict):
        return f"{key or 'it'} has to be an object"
    prefix = f"{key}." if key else ""
    if missing := sorted(set(wanted) - set(value)):
        return f"{prefix}{missing[0]} is missing"
    if unknown := sorted(set(value) - set(wanted)):
        return f"{prefix}{unknown[0]} is unknown"
    problems = (_problem(value[name], wanted[name], prefix + name) for name in wanted)
    return next((problem for problem in problems if problem), "")


def _problem_of_tasks(named: dict[str, Any]) -> str:
    if not named or not set(named) <= set(TASKS):
        return f"tasks have to be among {', '.join(TASKS)}"
    for task, classes in named.items():
        if task != "age" and (problem := _problem(classes, [str], f"tasks.{task}")):
            return problem
    if named.get("gender", list(GENDERS)) != list(GENDERS):
        return f"tasks.gender has to be {', '.join(GENDERS)}"
    emotions = named.get("emotion", [])
    return "tasks.emotion names a class twice" if len(set(emotions)) < len(emotions) else ""


def _nonsense(card: dict[str, Any]) -> str:
    if "age" in tasks(card) and (problem := _interval_problem(card["age_interval"])):
        return problem
    if len(card["distances"]) != PERCENTILES or card["distances"] != sorted(card["distances"]):
        return f"distances have to be {PERCENTILES} numbers that rise"
    return ""


def _interval_problem(interval: dict[str, Any]) -> str:
    if problem := _problem(interval, _INTERVAL, "age_interval"):
        return problem
    ages, below, above = (interval[name] for name in ("ages", "below", "above"))
    if not len(ages) == len(below) == len(above) or any(a >= b for a, b in pairwise(ages)):
        return "age_interval.ages has to rise and be as long as below and above"
    if min(*below, *above) < 0:
        return "age_interval.below and above cannot be negative"
    return ""
