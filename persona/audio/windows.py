"""The windows of speech that a network hears: phrases, and parts of long ones."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as _sliding

from persona.audio.quality import FRAME, levels_of
from persona.audio.reader import RATE
from persona.audio.speech import GAP, PAD, RANGE, runs_of

PHRASE = 1.2  # seconds of speech after which a pause ends a window
LONGEST = 3.2  # seconds of a window; a longer one is cut where it is quiet
NEAR = 0.25  # of such a part's length: how far from an even cut the quietest place is sought
CALM = 31  # frames whose mean level tells where it is quiet
EDGE = 25  # frames of the room's sound that are left out, at most, beside a pause


@dataclass(frozen=True)
class Window:
    """A phrase: speech between pauses, or a part of it.

    samples : float32, shape (n,), 16 kHz, speech only.
    pieces : shape (k, 2), first sample and end of each piece of speech in it, of the recording.
    """

    samples: np.ndarray
    pieces: np.ndarray

    @property
    def start(self) -> float:
        """Of its first speech, in seconds of the recording."""
        return float(self.pieces[0, 0]) / RATE

    @property
    def end(self) -> float:
        return float(self.pieces[-1, 1]) / RATE

    @property
    def edges(self) -> np.ndarray:
        """Where in `samples` the pieces begin, and their end, shape (k + 1,)."""
        return np.append(0, np.cumsum(self.pieces[:, 1] - self.pieces[:, 0]))

    def part(self, first: int, last: int) -> "Window":
        """Its samples from `first` to before `last`."""
        begin = self.edges[:-1]
        inside = np.clip([[first], [last]], begin, self.edges[1:]) - begin + self.pieces[:, 0]
        return Window(self.samples[first:last], inside.T[inside[1] > inside[0]])

    @property
    def weight(self) -> float:
        """Seconds of speech in it."""
        return len(self.samples) / RATE


def windowed(pieces: Iterable[tuple[int, np.ndarray]]) -> Iterator[Window]:
    """Yield speech in windows, in order; `pieces` as of `speech.Listener.pieces`.

    A pause ends a window that holds `PHRASE` seconds of speech, and the room's sound at either
    side of a pause is left out. What is left at the end, if it is less, belongs to the window
    before it. A window of more than `LONGEST` seconds is cut into even parts, each cut moved
    to the quietest place near it.
    """
    for phrase in _phrases(pieces):
        yield from _parts(phrase)


Pieces = list[tuple[int, np.ndarray]]


def _phrases(pieces: Iterable[tuple[int, np.ndarray]]) -> Iterator[Pieces]:
    """Pieces joined until they hold a phrase."""
    whole: Pieces = []
    held: Pieces = []
    for piece in _without_room(part for one in pieces for part in _at_lulls(*one)):
        held.append(piece)
        if sum(len(samples) for _, samples in held) >= PHRASE * RATE:
            if whole:
                yield whole
            whole, held = held, []
    if whole or held:
        yield whole + held


def _without_room(pieces: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces without the room's sound that a pause leaves at either side of it."""
    before = None
    for start, samples in pieces:
        if before:
            yield before[0], before[1][: len(before[1]) - _faint(before[1][::-1])]
            skipped = _faint(samples)
            start, samples = start + skipped, samples[skipped:]
        before = start, samples
    if before:
        yield before


def _at_lulls(start: int, samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """A piece, cut where for `GAP` or longer it is far below its speech: a pause in a loud room."""
    lulls = runs_of(~_heard(samples))
    inside = (lulls[:, 0] > 0) & (lulls[:, 1] < len(samples) // FRAME)
    long = lulls[:, 1] - lulls[:, 0] >= GAP
    first = 0
    for begin, end in FRAME * (lulls[inside & long] + [PAD, -PAD]):
        yield start + first, samples[first:begin]
        first = int(end)
    yield start + first, samples[first:]


def _faint(samples: np.ndarray) -> int:
    """Samples at the begin of a piece that are far below its speech: at most `EDGE` and a half."""
    heard = _heard(samples)
    return FRAME * min(EDGE, len(heard) // 2, int(heard.argmax()))


def _heard(samples: np.ndarray) -> np.ndarray:
    """Whether each frame of a piece is nearer to its loud frames than to its faint ones."""
    levels = levels_of(samples)
    low, high = np.percentile(levels, [10, 95])
    return np.asarray(levels >= max(high - RANGE, (low + high) / 2))


def _parts(phrase: Pieces) -> Iterator[Window]:
    """Windows of a phrase: it, or parts of it."""
    samples = np.concatenate([piece for _, piece in phrase])
    whole = Window(samples, np.array([(start, start + len(piece)) for start, piece in phrase]))
    for first, last in pairwise([0, *_cuts(samples), len(samples)]):
        yield whole.part(first, last)


def _cuts(samples: np.ndarray) -> list[int]:
    """Where a phrase is cut so that no part is much longer than `LONGEST`."""
    count = math.ceil(len(samples) / (LONGEST * RATE))
    step = len(samples) / count
    reach, cuts = int(NEAR * step), []
    for number in range(1, count):
        first = int(number * step) - reach
        around = _sliding(levels_of(samples[first : first + 2 * reach]), CALM).mean(axis=1)
        cuts.append(first + (int(around.argmin()) + CALM // 2) * FRAME)
    return cuts
