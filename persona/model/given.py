"""What a caller gives to a predictor, checked before anything is done with it."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, cast

from persona import audio
from persona.errors import PersonaError
from persona.people.voice import Voice


def check(at_least: Any, max_seconds: Any, max_bytes: Any, people: Any) -> None:
    """Raise `PersonaError` for what is no number, no probability or no number of people."""
    for limit in (at_least, max_seconds, 0 if max_bytes is None else max_bytes):
        if not isinstance(limit, int | float):
            raise PersonaError(f"{limit!r} is no number: leave the argument out, or give one.")
    if not 0 <= at_least <= 1:
        raise PersonaError(f"{at_least} is no probability: give one from 0 to 1.")
    if people is not None and not (isinstance(people, int) and people >= 1):
        raise PersonaError(f"{people!r} is no number of people: give 1 or more, or none.")


def alone(people: int | None, voice: Any, made_for: str) -> int | None:
    """How many speak: one, where it is known who.

    made_for : what the voice has to be learnt by, as of `Predictor.fingerprint`.

    Raises `PersonaError` for a voice that is none, is another model's, or one of several people.
    """
    if voice is None:
        return people
    if not isinstance(voice, Voice):
        raise PersonaError(f"{voice!r} is no voice: kept.load reads one that is kept.")
    if voice.made_for != made_for:
        raise PersonaError("The voice was learnt by another model: learn it again.")
    if people not in (None, 1):
        raise PersonaError(
            "A voice is of the one person who speaks: cut the recording by who speaks, or "
            "leave the number of people or the voice out."
        )
    return 1


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
