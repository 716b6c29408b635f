"""The card of a model: what it has to state, and the checks that it does."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from persona.errors import ModelError
from persona.labels import EMOTIONS, GENDERS
from persona.model.voices import PERCENTILES

FORMAT = 2
CARD, HEADS, WEIGHTS = "card.json", "heads.onnx", "model.safetensors"

Positive = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Words = Annotated[list[str], Meta(min_length=1)]
Sizes = Annotated[list[int], Meta(min_length=1)]
Years = Annotated[list[Positive], Meta(min_length=1)]


class _Network(Struct, forbid_unknown_fields=True):
    """Arguments of `network.Network`, and how many there are."""

    dimension: int
    architecture: str
    age_head: str
    hidden: Sizes
    dropout: Share
    input_dropout: Share
    age_dropout: Share
    networks: int
    parts: Annotated[list[Sizes], Meta(min_length=1)] | UnsetType = UNSET


class _Files(Struct, forbid_unknown_fields=True, rename={"heads": HEADS, "weights": WEIGHTS}):
    heads: str
    weights: str


class _Uses(Struct, forbid_unknown_fields=True):
    intended: Words
    refused: Words


class _Interval(Struct, forbid_unknown_fields=True):
    """A `calibration.AgeInterval`, and how it was found."""

    level: Share
    method: str
    ages: Years
    below: Years
    above: Years
    coverage: dict[str, Any]

    def __post_init__(self) -> None:
        if not len(self.ages) == len(self.below) == len(self.above) or not _rise(self.ages):
            raise ValueError("ages have to rise, and to be as many as below and above")


class _Tasks(Struct, forbid_unknown_fields=True):
    emotion: Words | UnsetType = UNSET
    gender: tuple[Literal["female"], Literal["male"]] | UnsetType = UNSET
    age: list[Any] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.emotion is self.gender is self.age is UNSET:
            raise ValueError("no task is named")
        if self.emotion is not UNSET and len(set(self.emotion)) < len(self.emotion):
            raise ValueError("emotion names a class twice")


class _Ageless(Struct, forbid_unknown_fields=True, kw_only=True):
    """Every key of a card; `dict` holds what people read. `trust` is kept empty: the probability of
    the emotion told right answers from wrong, numbers of the recording did not.
    """

    format: int
    name: str
    representations: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    speech: dict[str, Any]
    network: _Network
    sha256: _Files
    training: dict[str, Any]
    data: dict[str, Any]
    evaluation: dict[str, Any]
    calibration: dict[str, Any]
    age_interval: Any
    distances: Annotated[list[Positive], Meta(min_length=PERCENTILES, max_length=PERCENTILES)]
    trust: None
    limits: Words
    uses: _Uses
    software: dict[str, Any]
    tasks: _Tasks | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.distances != sorted(self.distances):
            raise ValueError("distances have to rise")


class _Card(_Ageless, kw_only=True):
    """The same of a model that answers age."""

    age_interval: _Interval


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
        card = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no model in {folder}, {CARD} is missing: make one with `persona train`."
        ) from error
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _no_card(file, error) from error
    version = card.get("format", FORMAT) if isinstance(card, dict) else FORMAT
    if version != FORMAT:
        raise ModelError(
            f"The model in {folder} has format {version!r:.40}, this version reads format "
            f"{FORMAT}: make it again with `persona train`."
        )
    check(card, file)
    return card


def check(card: Any, where: str | Path) -> None:
    """Raise `ModelError` naming the first key of a card that is missing, unknown or no such value.

    where : what the message calls the card.
    """
    named = card.get("tasks", ALL) if isinstance(card, dict) else ALL
    ageless = isinstance(named, dict) and "age" not in named
    try:
        msgspec.convert(card, _Ageless if ageless else _Card)
    except msgspec.ValidationError as error:
        raise _no_card(where, error) from error


def _no_card(where: str | Path, error: Exception) -> ModelError:
    problem = " ".join(str(error).split())[:200]  # keys of a stranger's file can hold anything
    return ModelError(
        f"{where} is not the card of a model ({problem}): get it again, or make a model with "
        "`persona train`."
    )


def _rise(numbers: list[float]) -> bool:
    return all(a < b for a, b in pairwise(numbers))
