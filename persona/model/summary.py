"""From what was heard of each person to what is answered of them, and of the recording."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from persona import calibration
from persona.audio import speech
from persona.audio.quality import Quality, unlike
from persona.labels import GENDERS, TASKS
from persona.model.heads import Answers
from persona.model.prediction import Person, Prediction, Timeline, Turn, named
from persona.people.diarisation import Said, Speaker

PAUSE = 2.0
"""Seconds of silence that end a turn."""

SURELY, HEARD, SHARE = 0.9, 0.7, 0.1
"""Probability of a gender from which it is surely heard, and the seconds and the share of speech
for which it is: where that holds of both, two people speak, even if too briefly to be told apart by
their voices alone. Of 40 pairs of a man and a woman who say a sentence each, 35 are found; of 60
actors who speak alone in several emotions none is taken for two, and of 595 readers one
(`tools/measure_people.py --brief`).
"""

_ONE = re.compile(r"only channel \d+ was heard")


@dataclass(frozen=True)
class Listened:
    """What was heard of a recording, or of several channels of it.

    seconds : of audio. speech : start and end of each segment, shape (k, 2).
    quality : of the speech; of several channels that of the first speaker's, but for its seconds.
    envelope : as of `Prediction`. speakers : who speaks most comes first.
    """

    seconds: float
    speech: np.ndarray
    quality: Quality
    notes: tuple[str, ...]
    envelope: np.ndarray
    speakers: Sequence[Speaker]

    @classmethod
    def together(cls, channels: Sequence["Listened"]) -> "Listened":
        """One recording whose channels are a person each."""
        if len(channels) == 1:
            return channels[0]
        order = sorted(channels, key=lambda one: -one.quality.seconds)
        heard = sum(one.quality.seconds for one in order)
        shortest = min(len(one.envelope) for one in order)
        envelopes = np.stack([one.envelope[:shortest] for one in order])
        notes = dict.fromkeys(note for one in channels for note in one.notes)
        return cls(
            max(one.seconds for one in order),
            _united(np.concatenate([one.speech for one in order])),
            replace(order[0].quality, seconds=heard),
            (*(note for note in notes if not _ONE.fullmatch(note)), "each channel is a person"),
            np.stack([envelopes[:, :, 0].min(axis=0), envelopes[:, :, 1].max(axis=0)], axis=1),
            [speaker for one in order for speaker in one.speakers],
        )


@dataclass(frozen=True)
class Summary:
    """Sums up windows by what a model's card holds.

    card : of the model. tasks : that it answers. emotions : classes of it.
    at_least : probability below which an emotion is not named.
    """

    card: dict[str, Any]
    tasks: Sequence[str]
    emotions: tuple[str, ...]
    at_least: float

    def prediction(self, heard: Listened) -> Prediction:
        people = self.people(heard.speakers, heard.quality.seconds)
        most = people[0]
        return Prediction(
            emotion=most.emotion,
            gender=most.gender,
            age=most.age,
            age_low=most.age_low,
            age_high=most.age_high,
            seconds=heard.seconds,
            speech_seconds=heard.quality.seconds,
            speech=heard.speech,
            notes=(*heard.notes, *self.notes(most, heard.quality, len(people))),
            timeline=self.timeline(heard.speakers),
            quality=heard.quality,
            trust=most.trust,
            envelope=heard.envelope,
            people=people,
        )

    def people(self, speakers: Sequence[Speaker], seconds: float) -> tuple[Person, ...]:
        """seconds : of all speech, of which windows leave out what lies beside pauses."""
        total = sum(_seconds(speaker.said) for speaker in speakers)
        turns = _turns(speakers)
        people = []
        for speaker in speakers:
            own = [said for whose, said in turns if whose is speaker]
            share = _seconds(speaker.said) / total
            people.append(self._person(speaker, own, share, seconds))
        return tuple(people)

    def timeline(self, speakers: Sequence[Speaker]) -> Timeline:
        """All windows in order of time, and whose they are."""
        said = [(one, number) for number, s in enumerate(speakers) for one in s.said]
        said.sort(key=lambda pair: pair[0].start)
        windows = [one for one, _ in said]
        answers = _answers(windows)
        emotion, gender, age = (
            part if task in self.tasks else None
            for task, part in zip(TASKS, answers[:3], strict=True)
        )
        return Timeline(
            np.array([one.start for one in windows]),
            np.array([one.end for one in windows]),
            _weights(windows),
            emotion,
            gender,
            age,
            self.emotions,
            np.array([number for _, number in said]),
        )

    def notes(self, person: Person, quality: Quality, people: int) -> list[str]:
        """What a user should know of the answer, which is that to `person`."""
        found = [*unlike(quality)]
        if people > 1:
            found.append(
                f"{people} people speak: this is who speaks most, {person.share:.0%} of it"
            )
        if person.trust is not None and person.emotion is None:
            found.append(f"no emotion has a probability of {100 * self.at_least:g} % or more")
        return found

    def _person(
        self, speaker: Speaker, turns: Sequence[list[Said]], share: float, speech: float
    ) -> Person:
        weights, answers = _weights(speaker.said), _answers(speaker.said)
        different = len(speaker.different)
        emotion, trust = self._emotion(speaker.said, different)
        seconds = share * speech
        scale = seconds / _seconds(speaker.said)
        age = low = high = None
        if "age" in self.tasks:
            age = float(np.average(answers.age, weights=weights))
            low, high = age_limits(self.card["age_interval"], age, seconds)
        gender = self._pooled("gender", answers.gender, weights, different)
        return Person(
            emotion=emotion,
            gender=named(GENDERS, gender) if "gender" in self.tasks else None,
            age=age,
            age_low=low,
            age_high=high,
            trust=trust,
            seconds=seconds,
            share=share,
            turns=tuple(self._turn(turn, different, scale) for turn in turns),
        )

    def _turn(self, said: list[Said], different: int, scale: float) -> Turn:
        windows = len({id(one.answers) for one in said})
        emotion, trust = self._emotion(said, min(different, windows))
        speech = tuple(piece for one in said for piece in one.pieces)
        return Turn(said[0].start, said[-1].end, scale * _seconds(said), speech, emotion, trust)

    def _emotion(
        self, said: Sequence[Said], different: int
    ) -> tuple[dict[str, float] | None, float | None]:
        """Probabilities, None where none is as high as was asked; and the highest."""
        if "emotion" not in self.tasks:
            return None, None
        pooled = self._pooled("emotion", _answers(said).emotion, _weights(said), different)
        trust = float(pooled.max())
        return named(self.emotions, pooled) if trust >= self.at_least else None, trust

    def _pooled(self, task: str, part: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
        """How much surer more speech makes, the card says; a model that was not asked, not."""
        sharpness = float(self.card["calibration"].get(task, {}).get("sharpness", 0.0))
        return calibration.pooled(part, weights, n**sharpness)


def _turns(speakers: Sequence[Speaker]) -> list[tuple[Speaker, list[Said]]]:
    """What each speaker says until another speaks or nobody does: windows, or parts of them."""
    said = [(s, replace(one, pieces=(piece,), weight=piece[1] - piece[0]))
            for s in speakers for one in s.said for piece in one.pieces]  # fmt: skip
    said.sort(key=lambda pair: pair[1].start)
    turns = [(said[0][0], [said[0][1]])]
    for (before, last), (speaker, one) in pairwise(said):
        if speaker is before and one.start - last.end < PAUSE:
            turns[-1][1].append(one)
        else:
            turns.append((speaker, [one]))
    return turns


def of_both_sexes(said: Sequence[Said]) -> bool:
    """Whether a woman and a man surely speak in these windows."""
    weights = _weights(said)
    seconds = weights @ (_answers(said).gender >= SURELY)
    return bool(seconds.min() >= max(HEARD, SHARE * weights.sum()))


def _united(segments: np.ndarray) -> np.ndarray:
    """Segments, shape (k, 2), of which those that meet are one."""
    united: list[list[float]] = []
    for start, end in sorted(segments.tolist()):
        if united and start <= united[-1][1]:
            united[-1][1] = max(united[-1][1], end)
        else:
            united.append([start, end])
    return np.array(united)


def _answers(said: Sequence[Said]) -> Answers:
    parts = zip(*(one.answers for one in said), strict=True)
    return Answers(*(np.concatenate(part) for part in parts))


def _weights(said: Sequence[Said]) -> np.ndarray:
    return np.array([one.weight for one in said])


def _seconds(said: Sequence[Said]) -> float:
    return float(sum(one.weight for one in said))


def age_limits(interval: dict[str, Any], age: float, seconds: float) -> tuple[float, float]:
    """Limits of the interval of a predicted age, in years; `interval` as a card holds it.

    Below `speech.LITTLE` seconds of speech it is wider by the square root of what is missing, as
    the mean of fewer frames is less certain.
    """
    wider = math.sqrt(max(1.0, speech.LITTLE / seconds))
    low, high = calibration.AgeInterval.of(interval).limits(age, wider)
    return max(0.0, float(low)), float(high)
