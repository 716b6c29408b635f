"""The card of a model: what it has to state, and the checks that it does."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from persona.errors import ModelError

FORMAT = 2
CARD, HEADS, WEIGHTS = "card.json", "heads.onnx", "model.safetensors"

_LARGEST = 1_000_000  # bytes

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
    "age_interval": {
        "level": float,
        "method": str,
        "ages": [float],
        "below": [float],
        "above": [float],
        "coverage": dict,
    },
    "distances": [float],
    "trust": (
        None,
        {
            "numbers": [str],
            "mean": [float],
            "scale": [float],
            "weights": [float],
            "intercept": float,
            "of": str,
        },
    ),
    "limits": [str],
    "uses": {"intended": [str], "refused": [str]},
    "software": dict,
}
"""Every key of a card and the type of its value; `dict` holds what people read."""


def read(folder: Path) -> dict[str, Any]:
    """The card of the model in `folder`.

    Raises `ModelError` where there is none, or it states other things than a card does.
    """
    file = folder / CARD
    try:
        with open(file, "rb") as opened:
            content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError("too large")
        card = json.loads(content, parse_constant=_no_number)
        version = card["format"]
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no model in {folder}, {CARD} is missing: make one with `persona train`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{file} is not the card of a model ({_few(error)}): get it again, or make a model "
            "with `persona train`."
        ) from error
    if version != FORMAT:
        raise ModelError(
            f"The model in {folder} has format {version}, this version reads format {FORMAT}: "
            "make it again with `persona train`."
        )
    check(card, str(file))
    return card


def check(card: dict[str, Any], where: str) -> None:
    """Raise `ModelError` naming the first key of a card that is missing, unknown or no such value.

    where : what the message calls the card.
    """
    if problem := _problem(card, _SCHEMA, "") or _nonsense(card):
        raise ModelError(
            f"{where} is not the card of a model ({problem}): get it again, or make a model with "
            "`persona train`."
        )


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _few(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)[:120]


def _problem(value: Any, wanted: Any, key: str) -> str:
    """What is wrong with a value, in a few words; empty where it is as wanted."""
    if isinstance(wanted, tuple):
        return "" if value is None else _problem(value, wanted[1], key)
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


def _nonsense(card: dict[str, Any]) -> str:
    interval, trust = card["age_interval"], card["trust"] or {}
    lengths = {len(interval[name]) for name in ("ages", "below", "above")}
    if len(lengths) > 1 or not _rising(interval["ages"], strictly=True):
        return "age_interval.ages has to rise and be as long as below and above"
    if min(*interval["below"], *interval["above"]) < 0:
        return "age_interval.below and above cannot be negative"
    if not _rising(card["distances"]):
        return "distances have to rise"
    if len({len(value) for value in trust.values() if isinstance(value, list)}) > 1:
        return "trust has lists of different lengths"
    if trust and min(trust["scale"]) <= 0:
        return "trust.scale has to be positive"
    return ""


def _rising(values: list[float], strictly: bool = False) -> bool:
    return all(a < b or (a == b and not strictly) for a, b in pairwise(values))
