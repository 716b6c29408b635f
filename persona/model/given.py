"""What a caller gives to a predictor, checked before anything is done with it."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, cast

from persona import audio
from persona.errors import PersonaError


def check(at_least: Any, max_seconds: Any, max_bytes: Any, people: Any) -> None:
    """Raise `PersonaError` for what is no number, no probability or no number of people."""
    for limit in (at_least, max_seconds, 0 if max_bytes is None else max_bytes):
        if not isinstance(limit, int | float):
            raise PersonaError(f"{limit!r} is no number: leave the argument out, or give one.")
    if not 0 <= at_least <= 1:
        raise PersonaError(f"{at_least} is no probability: give one from 0 to 1.")
    if people is not None and not (isinstance(people, int) and people >= 1):
        raise PersonaError(f"{people!r} is no number of people: give 1 or more, or none.")


def check_many(sources: Any, speakers: Any, jobs: Any) -> None:
    """Raise `PersonaError` for one recording or speaker in the place of several, or no number."""
    if isinstance(sources, str | bytes | os.PathLike):
        raise PersonaError(f"{sources!r:.80} is one recording: give a list, or ask predict.")
    if isinstance(speakers, str):
        raise PersonaError(f"{speakers!r} is one speaker: give a list, one for each recording.")
    if not (jobs is None or (isinstance(jobs, int) and jobs >= 0)):
        raise PersonaError(f"{jobs!r} is no number of recordings at once: give 1 or more, or none.")


def named(
    sources: Iterable[audio.Source], names: Iterable[str] | None
) -> Iterator[tuple[audio.Source, str | None]]:
    """Each recording with its name; raises `PersonaError` where they are not as many."""
    if names is None:
        yield from ((source, None) for source in sources)
        return
    missing, named = object(), iter(names)
    for source in sources:
        if (name := next(named, missing)) is missing:
            break
        yield source, cast(str, name)
    else:
        if next(named, missing) is missing:
            return
    raise PersonaError("There are more or fewer names than recordings: give one for each, or none.")
