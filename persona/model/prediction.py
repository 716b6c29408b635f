"""What is predicted of a recording: as a whole, over time, and how good it was to listen to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from persona.audio.quality import Quality
from persona.labels import EMOTIONS, GENDERS

POINTS = 400
"""Of a waveform that is drawn."""

SCHEMA = 2
"""Of `Prediction.to_dict`: raised when a key goes or changes its meaning. 1 knew no people."""


class _Compared:
    """Equal where all fields are, arrays value by value."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = ((value, vars(other)[name]) for name, value in vars(self).items())
        return all(
            np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two
            for one, two in pairs
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Timeline(_Compared):
    """What was predicted of each of n windows, which hold speech only; the last may reach back.

    starts, ends : of a window's first and last speech, seconds of the recording, shape (n,).
    weights : seconds of speech that each adds to those before, shape (n,).
    emotion : probabilities, shape (n, C), in the order of `emotions`.
    gender : probabilities, shape (n, 2), in the order of `labels.GENDERS`.
    age : years, shape (n,).
    emotions : names of the C classes.
    person : whose it is, as a number from 0 in `Prediction.people`, shape (n,); None, one's alone.

    What the model was not trained to answer is None.
    """

    starts: np.ndarray
    ends: np.ndarray
    weights: np.ndarray
    emotion: np.ndarray | None
    gender: np.ndarray | None
    age: np.ndarray | None
    emotions: tuple[str, ...] = EMOTIONS
    person: np.ndarray | None = None


@dataclass(frozen=True)
class Turn:
    """What one person says until another speaks, or nobody does for a while.

    start, end : seconds of the recording. seconds : of speech in it.
    speech : start and end of each piece of it.
    emotion, trust : as of `Prediction`, of this turn.
    """

    start: float
    end: float
    seconds: float
    speech: tuple[tuple[float, float], ...]
    emotion: dict[str, float] | None
    trust: float | None


@dataclass(frozen=True)
class Person:
    """One of those who speak in a recording.

    emotion, gender, age, age_low, age_high, trust : as of `Prediction`, over all of their turns.
    seconds : that they speak. share : of all speech, 0 to 1.
    turns : in order of time.
    """

    emotion: dict[str, float] | None
    gender: dict[str, float] | None
    age: float | None
    age_low: float | None
    age_high: float | None
    trust: float | None
    seconds: float
    share: float
    turns: tuple[Turn, ...]


@dataclass(frozen=True, eq=False)
class Prediction(_Compared):
    """What was predicted of one recording; None, what the model was not trained to answer.

    Where several people speak, `emotion`, `gender`, `age`, its limits and `trust` are those of who
    speaks most, `people[0]`.

    emotion, gender : probability of each class; they sum to 1. `emotion` is None where none of
        its probabilities is as high as the caller asked.
    age : years, with the limits of its interval; `age_low` is never below 0. What share of
        unseen speakers' ages lies in such intervals, the model's card says.
    seconds : length of the recording.
    speech_seconds : of speech in it, the only thing that was listened to.
    speech : shape (k, 2), start and end of each segment of speech in seconds.
    notes : what was assumed, e.g. "resampled from 44100 Hz".
    timeline : the same answers over time, all of them. Of the whole, age is their mean by
        seconds; emotion and gender are their mean log probability, the surer the more different
        speech was heard: `calibration.pooled`.
    quality : what the speech of the recording is like.
    trust : probability of the likeliest emotion, 0 to 1. It is calibrated on actors of CREMA-D
        whom the networks had not heard (the card's `calibration`). On degraded and foreign
        recordings it was measured to tell right answers from wrong ones; how many are right it does
        not say there.
    envelope : shape (m, 2), lowest and highest sample of every 10 ms.
    people : everyone who speaks, who speaks most first.
    """

    emotion: dict[str, float] | None
    gender: dict[str, float] | None
    age: float | None
    age_low: float | None
    age_high: float | None
    seconds: float
    speech_seconds: float
    speech: np.ndarray
    notes: tuple[str, ...]
    timeline: Timeline
    quality: Quality
    trust: float | None
    envelope: np.ndarray
    people: tuple[Person, ...]

    def spans(self) -> list[tuple[float, float, int]]:
        """Start and end, in seconds, of all speech, cut where a window ends; and which window
        answers for it. Between the spans nobody speaks.
        """
        line = self.timeline
        since = np.append(line.starts[0], line.ends[:-1])
        cut = [
            (max(a, start), min(b, end), window)
            for window, (start, end) in enumerate(zip(since, line.ends, strict=True))
            for a, b in self.speech
        ]
        return [(float(a), float(b), window) for a, b, window in cut if b > a]

    def outline(self) -> np.ndarray:
        """The envelope at `POINTS` points at most, shape (p, 2)."""
        points = self.envelope
        edges = np.linspace(0, len(points), min(POINTS, len(points)), endpoint=False).astype(int)
        low, high = np.minimum.reduceat(points, edges), np.maximum.reduceat(points, edges)
        return np.stack([low[:, 0], high[:, 1]], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, for JSON; all but the envelope. People count
        from 1.
        """
        line = self.timeline
        windows = [
            {
                "start": float(line.starts[i]),
                "end": float(line.ends[i]),
                "speech_seconds": float(line.weights[i]),
                "emotion": None if line.emotion is None else named(line.emotions, line.emotion[i]),
                "gender": None if line.gender is None else named(GENDERS, line.gender[i]),
                "age": None if line.age is None else float(line.age[i]),
                "person": 1 if line.person is None else 1 + int(line.person[i]),
            }
            for i in range(len(line.starts))
        ]
        shown = {
            "schema": SCHEMA,
            **vars(self),
            "notes": list(self.notes),
            "quality": asdict(self.quality),
            "speech": self.speech.tolist(),
            "timeline": windows,
            "people": [asdict(person) for person in self.people],
        }
        del shown["envelope"]
        return shown


def highest(probabilities: dict[str, float] | None) -> str:
    """The likeliest class and its probability, "happy 73%"; "not named" where there are none."""
    if probabilities is None:
        return "not named"
    name = max(probabilities, key=probabilities.__getitem__)
    return f"{name} {probabilities[name]:.0%}"


def named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Values by their names, as plain floats."""
    return {name: float(value) for name, value in zip(names, values, strict=True)}
