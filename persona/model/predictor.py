"""Audio in, emotion, gender and age out: the same road as training, over a trained model."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import repeat
from threading import Event
from typing import Any

import numpy as np

from persona import audio, calibration, representations
from persona.audio import speech
from persona.audio.quality import unlike
from persona.errors import AudioError, ModelError, PersonaError
from persona.keeping import parallel
from persona.labels import EMOTIONS, GENDERS, TASKS
from persona.model import card as cards
from persona.model import saved as models
from persona.model.heads import Answers, Heads
from persona.model.prediction import Prediction, Timeline, named
from persona.model.saved import Model

BLOCK = 10.0
"""Seconds of audio that are read at once."""

Span = tuple[float, float, float]
"""Start, end and weight of a window, see `speech.Window`."""

_WORKERS = 2


class Predictor:
    """A trained model and the representations that it listens through; make one with `load`.

    Example
    -------
    >>> prediction = Predictor.load().predict("talk.mp3")
    >>> max(prediction.gender, key=prediction.gender.get)
    'female'
    """

    card: dict[str, Any]
    """What the model is: data, training, evaluation, interval, limits and uses."""

    model: Model
    """The model itself, to be saved, shared or trained further."""

    heads: Heads
    """The graph that answers to embeddings."""

    emotions: tuple[str, ...]
    """Classes of emotion that the heads tell apart."""

    def __init__(self, model: Model) -> None:
        """Raises what `load` raises, but for a model that is not there."""
        if not isinstance(model, Model):
            raise ModelError(
                f"A {type(model).__name__} is no model: use Predictor.load({model!r})."
            )
        self.model, self.card = model, model.card
        if self.card["speech"] != speech.provenance():
            raise ModelError(
                "The model was trained with another detection of speech than this version has: "
                "make it again with `persona train`."
            )
        self._tasks = cards.tasks(self.card)
        self.emotions = tuple(self._tasks.get("emotion", EMOTIONS))
        self.heads = Heads(model.heads, model.emotions)
        try:
            self._representations = [
                representations.restore(made) for made in joined(self.card["representations"])
            ]
        except (TypeError, AttributeError) as error:
            raise ModelError(
                "The model's card states a representation by values of the wrong type: get the "
                "model again."
            ) from error
        size = sum(r.dimension for r in self._representations)
        if size != self.heads.dimension:
            raise ModelError(
                f"The model's representations give {size} numbers, its heads take "
                f"{self.heads.dimension}: get the model again."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as the bytes of its model, of which the sessions are made again."""
        return type(self), (self.model,)

    @classmethod
    def load(
        cls, model: str | os.PathLike[str] | None = None, *, revision: str | None = None
    ) -> "Predictor":
        """Load the model that ships, one from a folder, or one from the Hugging Face hub.

        Parameters
        ----------
        model : a folder, or a name on the hub such as "someone/persona"; default the one that
            ships.
        revision : branch, tag or commit on the hub.

        Raises
        ------
        ModelError : there is no such model, it is damaged, or it was trained on other speech or
            other vectors than this version of the package computes.
        WeightsError : weights of its representation are not here and cannot be downloaded.
        """
        return cls(models.load(model, revision))

    def predict(
        self,
        source: audio.Source,
        rate: float | None = None,
        *,
        name: str | None = None,
        at_least: float = 0.0,
        max_bytes: float | None = None,
        max_seconds: float = math.inf,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Predict one recording, of any length, in memory that does not grow with its audio.

        Parameters
        ----------
        source : path, bytes of a file, or `(waveform, rate)`; see `audio.Reader`.
        rate : in Hz, of a waveform that is given without it.
        name : what messages call the audio, by default the name of the file.
        at_least : name no emotion whose probability is lower than this, 0 to 1; see
            `Prediction.trust`.
        max_bytes : largest file read, by default PERSONA_MAX_MB of the environment or 200 MB.
        max_seconds : longest audio answered, by default any length.
        progress : called now and then with the share of the audio that was answered, 0 to 1.

        Raises
        ------
        AudioError : the audio cannot be used, or nobody speaks in it; the message says why.
        PersonaError : `at_least` is no probability, or a limit is no number.
        """
        for limit in (at_least, max_seconds, 0 if max_bytes is None else max_bytes):
            if not isinstance(limit, int | float):
                raise PersonaError(f"{limit!r} is no number: leave the argument out, or give one.")
        if not 0 <= at_least <= 1:
            raise PersonaError(f"{at_least} is no probability: give one from 0 to 1.")
        source = source if rate is None else (source, rate)
        found, windows, answers = speech.Listener(), [], []
        different = calibration.Different()
        with audio.Reader(
            source, name=name, max_bytes=max_bytes, max_seconds=max_seconds
        ) as reader:
            for span, answered, embedding in self._answer_all(found.windows(reader.blocks(BLOCK))):
                windows.append(span)
                answers.append(answered)
                different.hear(embedding)
                if progress and reader.seconds:
                    progress(min(1.0, span[1] / reader.seconds))
            notes, envelope = (*reader.notes, *found.notes), reader.envelope
        if not windows:
            raise speech.no_speech(found.length, reader.name)
        joined = Answers(*(np.concatenate(part) for part in zip(*answers, strict=True)))
        if progress:
            progress(1.0)
        return self._summary(found, windows, joined, len(different), notes, envelope, at_least)

    def predict_many(
        self,
        sources: Iterable[audio.Source],
        *,
        names: Iterable[str] | None = None,
        jobs: int | None = None,
        at_least: float = 0.0,
        max_bytes: float | None = None,
        max_seconds: float = math.inf,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Prediction | AudioError]:
        """Predict recordings, several at once; yield an answer to each, in their order.

        One that cannot be used stops nothing: its `AudioError` is yielded in its place. A few
        sources are taken ahead of what was yielded, so that there may be any number of them.

        Parameters
        ----------
        sources : as of `predict`.
        names : what messages call them, in the same order.
        jobs : recordings at once, by default one per core; one where a representation of the
            model cannot be used by several threads.
        at_least, max_bytes, max_seconds : as of `predict`.
        progress : called after each recording with how many were answered.

        Raises
        ------
        PersonaError : `at_least` is no probability.

        Example
        -------
        >>> predictor = Predictor.load()
        >>> [type(answer).__name__ for answer in predictor.predict_many(["talk.mp3", "none.mp3"])]
        ['Prediction', 'AudioError']
        """
        stopped = Event()

        def go_on(_: float) -> None:
            if stopped.is_set():
                raise CancelledError

        def answer(task: tuple[audio.Source, str | None]) -> Prediction | AudioError:
            source, name = task
            try:
                return self.predict(
                    source, name=name, at_least=at_least, max_bytes=max_bytes,
                    max_seconds=max_seconds, progress=go_on,
                )  # fmt: skip
            except AudioError as error:
                return error

        tasks = zip(sources, repeat(None) if names is None else names, strict=False)
        jobs = (jobs or os.cpu_count() or 1) if self._thread_safe() else 1
        answers = parallel.in_order(answer, tasks, jobs, stopped)
        for count, answered in enumerate(answers, start=1):
            if progress:
                progress(count)
            yield answered

    def _sharpness(self, task: str) -> float:
        """How much surer more speech makes; 0 of a model that was not asked."""
        return float(self.card["calibration"].get(task, {}).get("sharpness", 0.0))

    def _thread_safe(self) -> bool:
        return all(r.thread_safe for r in self._representations)

    def _answer_all(
        self, windows: Iterator[speech.Window]
    ) -> Iterator[tuple[Span, Answers, np.ndarray]]:
        """Windows, their answers and their embeddings, in order; a few are in memory at a time."""

        def answer(window: speech.Window) -> tuple[Span, Answers, np.ndarray]:
            return (window.start, window.end, window.weight), *self._answer(window.samples)

        return parallel.in_order(answer, windows, _WORKERS if self._thread_safe() else 1)

    def _answer(self, waveform: np.ndarray) -> tuple[Answers, np.ndarray]:
        vectors = np.hstack([r.embed([waveform]) for r in self._representations])
        vectors = np.ascontiguousarray(vectors, np.float32)
        return self.heads.run(vectors), vectors[0]

    def _summary(
        self,
        found: speech.Listener,
        windows: list[Span],
        answers: Answers,
        different: int,
        notes: tuple[str, ...],
        envelope: np.ndarray,
        at_least: float,
    ) -> Prediction:
        starts, ends, weights = np.array(windows).T
        age = np.average(answers.age, weights=weights)
        emotion, gender = (
            calibration.pooled(part, weights, different ** self._sharpness(task))
            for task, part in zip(TASKS, answers[:2], strict=False)
        )
        assert found.quality is not None
        quality = found.quality
        notes = (*notes, *unlike(quality))
        told = [task in self._tasks for task in TASKS]
        trust = float(emotion.max()) if told[0] else None
        if unsure := trust is not None and trust < at_least:
            notes = (*notes, f"no emotion has a probability of {100 * at_least:g} % or more")
        low = high = None
        if told[2]:
            low, high = age_limits(self.card["age_interval"], float(age), quality.seconds)
        emotions, genders, ages = (
            part if task in self._tasks else None
            for task, part in zip(TASKS, answers[:3], strict=True)
        )
        return Prediction(
            emotion=named(self.emotions, emotion) if told[0] and not unsure else None,
            gender=named(GENDERS, gender) if told[1] else None,
            age=float(age) if told[2] else None,
            age_low=low,
            age_high=high,
            seconds=found.length,
            speech_seconds=quality.seconds,
            speech=found.segments,
            notes=notes,
            timeline=Timeline(starts, ends, weights, emotions, genders, ages, self.emotions),
            quality=quality,
            trust=trust,
            envelope=envelope,
        )


def age_limits(interval: dict[str, Any], age: float, seconds: float) -> tuple[float, float]:
    """Limits of the interval of a predicted age, in years; `interval` as a card holds it.

    Below `speech.LITTLE` seconds of speech it is wider by the square root of what is missing, as
    the mean of fewer frames is less certain.
    """
    wider = math.sqrt(max(1.0, speech.LITTLE / seconds))
    low, high = calibration.AgeInterval.of(interval).limits(age, wider)
    return max(0.0, float(low)), float(high)


def joined(made_by: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Layers of CAM++ that follow each other as one representation: the network runs once."""
    found: list[dict[str, Any]] = []
    for made in made_by:
        last = found[-1] if found else {}
        same = {**last, "layer": made.get("layer")} == made
        if same and made.get("representation") == "campplus":
            found[-1] = {**made, "layer": f"{last['layer']}+{made['layer']}"}
        else:
            found.append(made)
    return found
