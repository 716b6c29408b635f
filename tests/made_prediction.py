"""A prediction that nobody computed, to be shown; and a name that is not to be interpreted."""

import numpy as np

from persona.audio.quality import Quality
from persona.labels import EMOTIONS
from persona.model.prediction import Person, Prediction, Timeline, Turn

ODD = """"it's" <img src=x onerror=alert(1)> & co.wav"""


def prediction(seconds: float = 2.0, notes: tuple[str, ...] = (), **changes) -> Prediction:
    """Somebody speaks in the first and the last quarter; of over 5 s, in two windows."""
    n = 1 if seconds <= 5 else 2
    emotion, gender = np.tile([0.1, 0.0, 0.2, 0.6, 0.0, 0.1], (n, 1)), np.tile([0.3, 0.7], (n, 1))
    speech = np.array([[0, seconds / 4], [3 * seconds / 4, seconds]])
    line = Timeline(
        speech[:n, 0], speech[-n:, 1], np.full(n, seconds / 2 / n), emotion, gender,
        np.linspace(41, 51, n),
    )  # fmt: skip
    fields = {
        "emotion": dict(zip(EMOTIONS, emotion[0], strict=True)),
        "gender": {"female": 0.3, "male": 0.7},
        "age": 41.0, "age_low": 24.0, "age_high": 58.0,
        "seconds": seconds, "speech_seconds": seconds / 2, "speech": speech, "notes": notes,
        "timeline": line, "quality": Quality(seconds / 2, -20.0, 0.01, 25.0, 3400.0, 0.0),
        "trust": 0.6, "envelope": np.tile([[-0.25, 0.5]], (round(100 * seconds), 1)),
    }  # fmt: skip
    return Prediction(**{"people": (person(fields | changes),)} | fields | changes)


def person(fields: dict, spans=(), share: float = 1.0) -> Person:
    """Who says all of it, or `share`, in turns of these starts and ends."""
    emotion, trust = fields["emotion"], fields["trust"]
    spans = spans or [(float(fields["speech"][0, 0]), float(fields["speech"][-1, 1]))]
    turns = tuple(
        Turn(start, end, end - start, ((start, end),), emotion, trust) for start, end in spans
    )
    said = {name: fields[name] for name in ("emotion", "gender", "age", "age_low", "age_high")}
    seconds = fields["speech_seconds"]
    return Person(**said, trust=trust, seconds=share * seconds, share=share, turns=turns)
