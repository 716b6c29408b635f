"""Errors that are meant for a person: one sentence, what is wrong and what to do."""

from collections.abc import Iterable, Sequence


class PersonaError(Exception):
    """Anything the user can put right; its message is complete and needs no traceback."""


class AudioError(PersonaError):
    """An audio file or waveform that cannot be used."""


class CorpusError(PersonaError):
    """A missing, wrong or incomplete corpus."""


class FeatureError(PersonaError):
    """A missing feature table, or one made by other code or from another corpus."""


class WeightsError(PersonaError):
    """Pre-trained weights that are not on this machine and cannot be downloaded."""


class ModelError(PersonaError):
    """A trained model that is missing or does not fit."""


class StoreError(PersonaError):
    """A file of the project that is missing, damaged, or cannot be written."""


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Raise `PersonaError` listing what there is, where `name` is not of `names`."""
    names = tuple(names)
    if name not in names:
        raise PersonaError(f"There is no {what} {name!r}; choose from {', '.join(names)}.")


def listed(words: Sequence[str]) -> str:
    """a, b and c; "none" without any."""
    if len(words) < 2:
        return "".join(words) or "none"
    return f"{', '.join(words[:-1])} and {words[-1]}"


def first(words: Sequence[str], most: int = 5) -> str:
    """a, b and 3 more: the first of a list in a sentence, and how many follow."""
    more = [f"{len(words) - most:,} more"] if len(words) > most else []
    return listed([*words[:most], *more])
