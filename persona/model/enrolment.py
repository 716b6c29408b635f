"""A person's usual voice, learnt from their recordings by a model that will be asked about them."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from persona import audio
from persona.errors import AudioError, ModelError, PersonaError
from persona.people import voice
from persona.people.different import Different
from persona.people.voice import Voice

if TYPE_CHECKING:
    from persona.model.predictor import Predictor

ENOUGH = 200
"""Different phrases after which no more are heard."""

PLAIN = "neutral"
"""The emotion of plain speech."""

FEWEST = 3
"""Recordings of a speaker from which a voice is learnt that the same are read against. On CREMA-D's
unseen speakers two gained nothing (-0.4 points [-2.3, +1.4]), three +1.5 [-0.3, +3.3], five +5.2
[+3.1, +7.4]; to leave out the one that is read brought no more.
"""


def learn(
    predictor: "Predictor",
    sources: Iterable[audio.Source],
    *,
    plain: bool = False,
    skipped: Callable[[audio.Source, AudioError], None] | None = None,
) -> Voice:
    """The usual voice of who speaks in recordings.

    Parameters
    ----------
    predictor : of a model that answers emotion.
    sources : as of `Predictor.predict`; nobody else is to speak in them.
    plain : every phrase is known to be plain speech. Otherwise the mix of emotions is estimated.
    skipped : called with a source that cannot be used, and why.

    Raises `AudioError` where none can be used, `ModelError` for a model that cannot learn voices.
    """
    usual, names = predictor.heads.usual(), predictor.emotions
    if usual is None:
        raise ModelError(
            "This model does not say what voices are usually like: make it again with "
            "`persona train`."
        )
    if plain and PLAIN not in names:
        raise PersonaError(f"This model has no emotion called {PLAIN}: learn without plain.")
    phrases, last = _different(predictor, sources, skipped)
    if not len(phrases):
        raise last or AudioError("There is no recording to learn a voice from: name one or more.")
    offset = voice.learn(
        phrases, usual, lambda x: predictor.heads.run(x).emotion,
        names.index(PLAIN) if plain else None,
    )  # fmt: skip
    return Voice(offset, len(phrases), plain, predictor.fingerprint)


def of_each(
    predictor: "Predictor", sources: Sequence[audio.Source], speakers: Sequence[str | None]
) -> list[Voice | None]:
    """The usual voice of who speaks in each recording, learnt from all of theirs: `FEWEST` or more,
    else None. What is always there is taken for the voice, so that a person's recordings should
    hold several feelings.

    speakers : of each recording, None where that is not known.

    Raises `PersonaError` where recordings and speakers are not as many, `ModelError` for a model
    that cannot learn voices.
    """
    if len(sources) != len(speakers):
        raise PersonaError(
            f"{len(sources)} recordings and {len(speakers)} speakers are given: name one speaker, "
            "or none, for each."
        )
    own: dict[str, list[audio.Source]] = {}
    for source, speaker in zip(sources, speakers, strict=True):
        if speaker:
            own.setdefault(speaker, []).append(source)
    voices = {}
    for speaker, heard in own.items():
        if len(heard) >= FEWEST:
            with suppress(AudioError):  # each of them says why, when it is answered
                voices[speaker] = learn(predictor, heard)
    return [voices.get(speaker) if speaker else None for speaker in speakers]


def _different(
    predictor: "Predictor",
    sources: Iterable[audio.Source],
    skipped: Callable[[audio.Source, AudioError], None] | None,
) -> tuple[np.ndarray, AudioError | None]:
    """Embeddings of different phrases, shape (n, d), and why the last source was skipped."""
    different = Different(most=ENOUGH)
    found: list[np.ndarray] = []
    last = None
    for source in sources:
        try:
            for embedding in predictor.phrases(source):
                if different.hear(embedding):
                    found.append(embedding)
        except AudioError as error:
            last = error
            if skipped:
                skipped(source, error)
    return np.array(found), last
