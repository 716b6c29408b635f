"""The loss: how the three are weighed, and what the age head says."""

from pathlib import Path
from typing import Any

from persona.ablations import SEEDS, Variant, run
from persona.training import Settings

REPRESENTATION = "mfcc"
PLAIN = "standardised age, plain sum"
WEIGHINGS: dict[str, dict[str, Any]] = {
    "age in years, plain sum": {"recipe": "literal"},
    PLAIN: {},
    "age in years, uncertainty weighting": {"recipe": "literal", "weighing": "uncertainty"},
    "standardised age, uncertainty weighting": {"weighing": "uncertainty"},
    "age in years, GradNorm": {"recipe": "literal", "weighing": "gradnorm"},
    "standardised age, GradNorm": {"weighing": "gradnorm"},
}
"""Units of age and ways of weighing; the first is the paper's."""

AGE_HEADS: dict[str, dict[str, Any]] = {
    "age as a distribution": {"age_head": "distribution"},
    "age as ranks": {"age_head": "ordinal"},
}
"""Age heads other than a number, under the plain sum."""


def variants(representation: str = REPRESENTATION) -> list[Variant]:
    """Every weighing and age head, for unseen speakers."""
    kinds = WEIGHINGS | AGE_HEADS
    return [Variant(name, representation, **changed) for name, changed in kinds.items()]


def study(representation: str = REPRESENTATION) -> str:
    """Name of the results table."""
    return "loss" if representation == REPRESENTATION else f"loss-{representation}"


def make(
    jobs: int | None = None,
    representation: str = REPRESENTATION,
    seeds: tuple[int, ...] = SEEDS,
    settings: Settings | None = None,
) -> Path:
    """Train what is missing, three minutes on two cores."""
    return run(study(representation), variants(representation), seeds, settings, jobs=jobs)
