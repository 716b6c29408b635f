"""Answers while somebody still speaks, which become those of `Predictor.predict` at the end.

Every half second the speech since the last pause is heard: what is answered then is provisional, as
where speech begins and ends is only sure once more of it is known. Beside that the recording takes
the way of `predict`, two minutes at a time; what comes out there takes the place of what was
provisional, and is all that the last event is made of.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from queue import Full, Queue
from typing import Any

import numpy as np

from persona.audio import RATE, speech
from persona.audio.reader import RATES
from persona.audio.resampling import Resampler
from persona.audio.waveform import block, cut, scaled
from persona.audio.windows import Window, windowed
from persona.errors import AudioError
from persona.model.prediction import Person, Prediction, Turn
from persona.model.summary import PAUSE, Listened, Summary, of_both_sexes
from persona.people.diarisation import Diarisation, Heard

STEP = 0.5
"""Seconds of audio between events."""

LULL = 0.6
"""Seconds without speech after which a phrase is taken to have ended."""

KEPT = 1.0
"""Seconds without speech that are kept, as the next may begin in them."""

AHEAD = 64
"""Blocks that may wait to go the way of `predict`."""


@dataclass(frozen=True)
class Told:
    """A turn as it is told in an event.

    person : whose it is, as a number from 0 in `Event.people`.
    closed : a pause or another person ended it.
    corrected : it was told as closed before, otherwise.
    """

    turn: Turn
    person: int
    closed: bool
    corrected: bool


@dataclass(frozen=True)
class Event:
    """What is known at a moment of a stream.

    at : seconds of audio heard until then.
    speaking : whether somebody speaks at that moment.
    people : everyone heard, who speaks most first, as of `Prediction` but without turns.
    turns : those that are new, or other than they were told before.
    gone : starts of turns that were told before and are no more, as they were joined with others
        or begin elsewhere.
    prediction : None until the stream ends; then what `predict` answers to all of it.
    """

    at: float
    speaking: bool
    people: tuple[Person, ...]
    turns: tuple[Told, ...]
    gone: tuple[float, ...]
    prediction: Prediction | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; people count from 1, as of `Prediction.to_dict`."""
        people = [asdict(person) for person in self.people]
        for person in people:
            del person["turns"]
        turns = [
            {**asdict(told.turn), "person": 1 + told.person, "closed": told.closed,
             "corrected": told.corrected}
            for told in self.turns
        ]  # fmt: skip
        shown = {"at": self.at, "speaking": self.speaking, "people": people, "turns": turns}
        shown["gone"] = list(self.gone)
        return shown | ({"prediction": self.prediction.to_dict()} if self.prediction else {})


Listen = Callable[[Iterator[np.ndarray], Callable[[Heard], None]], Listened]


def events(
    blocks: Iterable[np.ndarray],
    rate: float,
    listen: Listen,
    hear: Callable[[Window], Heard],
    summary: Summary,
    people: int | None,
) -> Generator[Event, None, None]:
    """Yield what is known after each half second of audio, and at the end.

    listen : takes blocks the way of `predict`, and tells each window on the way.
    hear : a window. people : how many speak, where that is known.
    """
    low, high = RATES
    if not (isinstance(rate, int | float) and low <= rate <= high):
        raise AudioError(f"{rate!r} is no sampling rate: give one from {low} to {high} Hz.")
    sure: deque[Heard] = deque()
    waiting: Queue[np.ndarray | CancelledError | None] = Queue(AHEAD)
    resampler, live = Resampler(rate), _Live(hear, summary, people)
    pool = ThreadPoolExecutor(1, "sure")
    stopped = threading.Event()
    listened = pool.submit(listen, _taken(waiting, stopped), sure.append)
    try:
        for samples in cut(_checked(blocks), round(STEP * rate)):
            _put(waiting, samples, listened)
            live.hear(resampler.chunk(scaled(samples)), sure)
            yield live.event()
        _put(waiting, None, listened)
        yield live.ended(summary.prediction(listened.result()))
    finally:
        stopped.set()
        with suppress(Full):  # where it is full, nobody waits for more
            waiting.put_nowait(None)
        pool.shutdown()


def _checked(blocks: Iterable[Any]) -> Iterator[np.ndarray]:
    before = None
    for samples in blocks:
        yield (before := block(samples, before))


def _taken(waiting: Queue[Any], stopped: threading.Event) -> Iterator[np.ndarray]:
    while not stopped.is_set() and (samples := waiting.get()) is not None:
        yield samples
    if stopped.is_set():
        raise CancelledError


def _put(waiting: Queue[Any], samples: np.ndarray | None, listened: "Future[Listened]") -> None:
    """Wait for a place; raise what listening has ended with, as something is wrong."""
    while not listened.done():
        try:
            waiting.put(samples, timeout=STEP)
            return
        except Full:
            continue
    listened.result()


class _Live:
    """What was heard so far: windows that are sure, then those of which `event` tells early."""

    def __init__(
        self, hear: Callable[[Window], Heard], summary: Summary, people: int | None
    ) -> None:
        self._hear, self._summary = hear, summary
        asked = of_both_sexes if "gender" in summary.tasks else None
        self._sure = Diarisation(self._part, people, asked)
        self._early: list[Heard] = []  # of phrases that have ended
        self._open: Heard | None = None  # of one that has not
        self._tail, self._origin = np.empty(0, np.float32), 0  # sound since the last that has
        self._told: dict[float, Told] = {}
        self._people: tuple[Person, ...] = ()
        self._changes: tuple[tuple[Told, ...], tuple[float, ...]] = (), ()

        self._parts: dict[tuple[int, int], Heard] = {}

    def _part(self, window: Window) -> Heard:
        """A part of a window, which is asked for again while those around it are provisional."""
        key = int(window.pieces[0, 0]), len(window.samples)
        if key not in self._parts:
            if len(self._parts) == AHEAD:
                self._parts.clear()
            self._parts[key] = self._hear(window)
        return self._parts[key]

    @property
    def _end(self) -> int:
        return self._origin + len(self._tail)

    def hear(self, samples: np.ndarray, sure: deque[Heard]) -> None:
        """samples : the next, at 16 kHz. sure : windows that are certain now; they are taken."""
        self._tail = np.concatenate((self._tail, samples))
        changed = bool(sure) | self._listen()
        while sure:
            heard = sure.popleft()
            self._sure.hear(heard)
            end = int(heard.window.pieces[-1, 1])
            self._early = [one for one in self._early if one.window.pieces.mean() > end]
        told = self._so_far() if changed else self._aged()
        self._changes = self._compared(told)
        self._told = told

    def event(self, prediction: Prediction | None = None) -> Event:
        speaking = self._open is not None and prediction is None
        return Event(self._end / RATE, speaking, self._people, *self._changes, prediction)

    def ended(self, prediction: Prediction) -> Event:
        """The last event, whose people and turns are those of the prediction."""
        told = self._of(prediction.people, closed=True)
        self._changes, self._told = self._compared(told), told
        return self.event(prediction)

    def _listen(self) -> bool:
        """Hear what the tail holds; whether that is other than before."""
        found = windowed(speech.Listener().pieces([self._tail]))
        windows = [replace(one, pieces=one.pieces + self._origin) for one in found]
        if not windows:
            self._keep(self._end - round(KEPT * RATE))
            ended, self._open = self._open, None
            return ended is not None
        before, *_, last = [self._open, *windows]
        done = self._end - last.pieces[-1, 1] >= LULL * RATE
        heard = [self._again(window, before) for window in windows]
        self._open = None if done else heard.pop()
        self._early += heard
        if heard:
            self._keep(int(heard[-1].window.pieces[-1, 1]))
        return bool(heard) or self._open is not before

    def _again(self, window: Window, before: Heard | None) -> Heard:
        """A window heard, by the network only if it is not the same as before."""
        same = before and np.array_equal(before.window.pieces, window.pieces)
        return before if before and same else self._hear(window)

    def _keep(self, first: int) -> None:
        """Let go of the sound before a sample."""
        first = max(first, self._origin)
        self._tail, self._origin = self._tail[first - self._origin :], first

    def _so_far(self) -> dict[float, Told]:
        early = [*self._early, *([self._open] if self._open else [])]
        speakers = self._sure.with_these(early)
        if not any(speaker.said for speaker in speakers):
            self._people = ()
            return {}
        seconds = sum(one.weight for speaker in speakers for one in speaker.said)
        return self._of(self._summary.people(speakers, seconds))

    def _of(self, people: tuple[Person, ...], closed: bool = False) -> dict[float, Told]:
        self._people = tuple(replace(person, turns=()) for person in people)
        turns = [(turn, number) for number, one in enumerate(people) for turn in one.turns]
        last = max((turn.start for turn, _ in turns), default=0.0)
        return {
            turn.start: Told(turn, number, closed or turn.start < last or self._over(turn), False)
            for turn, number in sorted(turns, key=lambda pair: pair[0].start)
        }

    def _aged(self) -> dict[float, Told]:
        """The turns told before, of which a pause may have ended the last."""
        return {
            start: replace(told, closed=told.closed or self._over(told.turn))
            for start, told in self._told.items()
        }

    def _over(self, turn: Turn) -> bool:
        return self._end / RATE - turn.end >= PAUSE

    def _compared(self, told: dict[float, Told]) -> tuple[tuple[Told, ...], tuple[float, ...]]:
        """What is to be told of turns after those that were told before."""
        changed = []
        for start, now in told.items():
            before = self._told.get(start)
            if before is None or replace(before, corrected=False) != replace(now, corrected=False):
                now = replace(now, corrected=before is not None and before.closed)
                changed.append(now)
        return tuple(changed), tuple(start for start in self._told if start not in told)
