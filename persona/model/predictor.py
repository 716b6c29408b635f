"""Audio in, emotion, gender and age out: the same road as training, over a trained model."""

import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import nullcontext
from functools import partial
from itertools import repeat
from threading import Event, Lock
from typing import Any, cast

import numpy as np

from persona import audio, representations
from persona.audio import RATE, speech
from persona.audio.windows import Window, windowed
from persona.errors import AudioError, ModelError, PersonaError
from persona.keeping import parallel, store
from persona.labels import EMOTIONS
from persona.model import card as cards
from persona.model import enrolment, given, live
from persona.model import saved as models
from persona.model.heads import Heads
from persona.model.prediction import Prediction
from persona.model.saved import Model
from persona.model.summary import Listened, Summary, of_both_sexes
from persona.people import channels
from persona.people.diarisation import Diarisation, Heard, parts
from persona.people.voice import Voice
from persona.representations.campplus import CAMPPlus, joined

BLOCK = 10.0
"""Seconds of audio that are read at once."""

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
        ears = (cast(CAMPPlus, r) for r in self._representations if isinstance(r, CAMPPlus))
        self._ear = next(ears, CAMPPlus())
        safe = all(r.thread_safe for r in self._representations)
        self._threads = _WORKERS if safe else 1
        self._in_turn = nullcontext() if safe else Lock()

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
        people: int | None = None,
        voice: Voice | None = None,
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
        people : how many speak, by default as many as are found; 1 tells nobody apart.
        voice : the usual voice of the one person who speaks, see `enrolment.learn`: emotion is
            read against it.
        progress : called now and then with the share of the audio that was answered, 0 to 1.

        Raises
        ------
        AudioError : the audio cannot be used, or nobody speaks in it; the message says why.
        PersonaError : `at_least` is no probability, `people` no number of people, a limit no
            number, or `voice` was learnt by another model.
        """
        given.check(at_least, max_seconds, max_bytes, people)
        people = given.alone(people, voice, self.fingerprint)
        source = source if rate is None else (source, rate)
        opened = partial(
            audio.Reader, source, name=name, max_bytes=max_bytes, max_seconds=max_seconds
        )
        with opened() as reader:
            chosen = channels.heard(reader, people)
        heard = []
        for done, channel in enumerate(chosen):

            def follow(share: float, done: int = done) -> None:
                if progress:
                    progress((done + share) / len(chosen))

            with opened(channel=channel) as reader:
                alone = people if len(chosen) == 1 else 1
                heard.append(self._listen(reader, alone, voice, follow))
        return self._summary(at_least).prediction(Listened.together(heard))

    def stream(
        self,
        blocks: Iterable[Any],
        rate: float,
        *,
        at_least: float = 0.0,
        max_seconds: float = math.inf,
        people: int | None = None,
        voice: Voice | None = None,
    ) -> Generator[live.Event, None, None]:
        """Predict what is still being said: yield what is known after each half second of audio.

        The last event holds what `predict` answers to the same samples. What comes before it is
        provisional, and later events correct it. Memory does not grow with the audio.

        Parameters
        ----------
        blocks : arrays of shape (n,), one channel, end to end, each as it is recorded; floats of
            full scale +-1, or int16.
        rate : in Hz.
        at_least, max_seconds, people, voice : as of `predict`.

        Raises what `predict` does, some of it only at the end.
        """
        given.check(at_least, max_seconds, None, people)
        count = given.alone(people, voice, self.fingerprint)

        def listen(taken: Iterator[np.ndarray], each: Callable[[Heard], None]) -> Listened:
            with audio.Reader((taken, rate), max_seconds=max_seconds) as reader:
                return self._listen(reader, count, voice, each=each)

        hear = partial(self._hear, voice=voice)
        return live.events(blocks, rate, listen, hear, self._summary(at_least), count)

    def _summary(self, at_least: float) -> Summary:
        return Summary(self.card, tuple(self._tasks), self.emotions, at_least)

    def _listen(
        self,
        reader: audio.Reader,
        people: int | None,
        voice: Voice | None,
        progress: Callable[[float], None] = lambda share: None,
        each: Callable[[Heard], None] = lambda heard: None,
    ) -> Listened:
        """All that is heard in a recording, or in one channel of it; `each` window on the way."""
        found, hear = speech.Listener(), partial(self._hear, voice=voice)
        told_apart = Diarisation(hear, people, of_both_sexes if "gender" in self._tasks else None)
        windows = windowed(found.pieces(reader.blocks(BLOCK)))
        for heard in parallel.in_order(hear, windows, self._threads):
            told_apart.hear(heard)
            each(heard)
            if reader.seconds:
                progress(min(1.0, heard.window.end / reader.seconds))
        if found.quality is None:
            raise speech.no_speech(found.length, reader.name)
        progress(1.0)
        notes = (*reader.notes, *found.notes)
        return Listened(
            found.length, found.segments, found.quality, notes, reader.envelope,
            told_apart.speakers(),
        )  # fmt: skip

    def predict_many(
        self,
        sources: Iterable[audio.Source],
        *,
        names: Iterable[str] | None = None,
        jobs: int | None = None,
        at_least: float = 0.0,
        max_bytes: float | None = None,
        max_seconds: float = math.inf,
        people: int | None = None,
        voice: Voice | None = None,
        speakers: Iterable[str | None] | None = None,
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
        at_least, max_bytes, max_seconds, people, voice : as of `predict`.
        speakers : who speaks in each recording, in the same order, None where that is not known.
            Emotion is read against the voice that is learnt from all of a speaker's, see
            `enrolment.of_each`. They are heard before the first is answered.
        progress : called after each recording with how many were answered.

        Raises
        ------
        PersonaError : `at_least` is no probability, `people` or `jobs` no number, names or speakers
            are not as many as recordings, or `voice` and `speakers` do not go together.

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

        def answer(
            task: tuple[tuple[audio.Source, str | None], Voice | None],
        ) -> Prediction | AudioError:
            (source, name), against = task
            try:
                return self.predict(
                    source, name=name, at_least=at_least, max_bytes=max_bytes,
                    max_seconds=max_seconds, people=people, voice=against, progress=go_on,
                )  # fmt: skip
            except AudioError as error:
                return error

        given.check_many(sources, speakers, jobs)
        voices: Iterable[Voice | None] = repeat(voice)
        if speakers is not None:
            if voice:
                raise PersonaError("A voice is one person's: leave it or the speakers out.")
            sources = list(sources)
            voices = enrolment.of_each(self, sources, list(speakers))
        tasks = zip(given.named(sources, names), voices, strict=False)
        jobs = (jobs or os.cpu_count() or 1) if self._threads > 1 else 1
        answers = parallel.in_order(answer, tasks, jobs, stopped)
        for count, answered in enumerate(answers, start=1):
            if progress:
                progress(count)
            yield answered

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what makes embeddings and what reads them: a `Voice` is tied to it."""
        return store.fingerprint(
            {"ears": self.card["representations"], "heads": self.card["sha256"][cards.HEADS]}
        )

    def phrases(self, source: audio.Source) -> Iterator[np.ndarray]:
        """The embedding of each window of speech, shape (d,), in order; raises as `predict`."""
        found = speech.Listener()
        with audio.Reader(source) as reader:
            windows = windowed(found.pieces(reader.blocks(BLOCK)))
            for heard in parallel.in_order(self._hear, windows, self._threads):
                yield heard.embedding
        if found.quality is None:
            raise speech.no_speech(found.length, reader.name)

    def _hear(self, window: Window, voice: Voice | None = None) -> Heard:
        """Answers to a window, its embedding, and the voices of its parts."""
        with self._in_turn:
            if self._ear not in self._representations:
                _, frames = self._ear.heard(window.samples)
            vectors = []
            for representation in self._representations:
                if representation is self._ear:
                    vector, frames = self._ear.heard(window.samples)
                else:
                    vector = representation.embed([window.samples])[0]
                vectors.append(vector)
        embedding = np.ascontiguousarray(np.concatenate(vectors), np.float32)
        answers = self.heads.run(embedding[None])
        if voice:
            against = self.heads.run(embedding[None] - voice.offset)
            answers = answers._replace(emotion=against.emotion)
        return Heard(window, embedding, answers, self._ear.voices(frames, parts(window) / RATE))
