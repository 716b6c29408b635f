"""Where in a recording somebody speaks, and the windows of speech that a network hears.

Silero's network says where there is speech, on a grid of 32 ms and with a memory of what came
before; the levels of frames of 10 ms then say where that speech begins and ends, so that what
surrounds it does not shift its ends. What is kept, joined end to end, is the stream of speech.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as _sliding

from persona.audio.quality import FRAME, SILENT, STEP, Measures, Quality, levels_of
from persona.audio.reader import RATE
from persona.errors import AudioError, WeightsError
from persona.keeping import store

VERSION = 1  # raised whenever the same samples give other speech
PHRASE = 1.2  # seconds of speech after which a pause ends a window
LONGEST = 3.2  # seconds of a window; a longer one is cut where it is quiet
NEAR = 0.25  # of such a part's length: how far from an even cut the quietest place is sought
CALM = 31  # frames whose mean level tells where it is quiet
EDGE = 25  # frames of the room's sound that are left out, at most, beside a pause
LITTLE = 1.0  # seconds of speech below which a note is made
STRETCH = 120  # longest stretch in seconds that is searched at once: so memory stays flat

_DETECTOR = "silero-vad 6.2.3"
FILE = ("models", "silero", "silero_vad_16k_sequence.onnx")
_SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"

# Samples before a frame that Silero's network also sees, and frames in one call of it.
CONTEXT, CALL = 64, 512
LEAD = 8  # frames of silence before the first: else the network misses speech at the very start
LOUD = -10.0  # dBFS to which the loudest quarter of a second is brought for the network
RUMBLE = 161  # samples: what swings slower than this (100 Hz) is no voice, and misleads it
# A run of frames above is speech if what exceeds the first of a pair sums to the second.
OFF = 0.35
SURE = (0.5, 2.0), (0.35, 1.0)  # four certain frames; where that finds nothing, a few likely ones

# Frames of 10 ms are the unit of these numbers.
REACH = 15  # a segment's ends are sought up to this far from what the network found
RANGE = 30.0  # dB below a segment's loud frames (their 95th percentile) in which speech lies
STEADY = 2.0  # dB between quiet and loud frames of a segment: less is a hum
GAP = 40  # a shorter pause is kept
SHORTEST = 10  # less is no speech
PAD = 10  # kept on either side of a segment
QUIET = 2560  # samples: digital silence that is kept, whole steps of both grids


@dataclass(frozen=True)
class Speech:
    """All that is spoken in a clip.

    samples : float32, shape (n,), 16 kHz: the segments end to end, the mean of each removed.
    segments : shape (k, 2), start and end of each in seconds of the clip; k is 0 without speech.
    quality : None without speech.
    notes : e.g. "only 0.6 s of speech: expect little".
    """

    samples: np.ndarray
    segments: np.ndarray
    quality: Quality | None
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


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


def only(samples: np.ndarray) -> Speech:
    """The speech of a clip: float32 of shape (n,), 16 kHz, in memory.

    Without speech `samples` and `segments` are empty: refuse with `no_speech`. Raises
    `WeightsError` where the detector's file is missing or damaged.
    """
    listener = Listener()
    pieces = [piece for _, piece in listener.pieces([samples])]
    joined = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    return Speech(joined, listener.segments, listener.quality, listener.notes)


def no_speech(seconds: float, name: str = "The audio") -> AudioError:
    """The error to raise where `seconds` of audio hold no speech."""
    return AudioError(
        f"{name}: no speech was found in {seconds:.1f} s: give a recording in which somebody "
        "speaks, close to the microphone and louder than what surrounds them."
    )


class Listener:
    """Finds the speech of one recording in one pass: `Listener().windows(reader.blocks(10.0))`."""

    def __init__(self) -> None:
        self.length = 0.0  # seconds of audio so far
        self._segments: list[tuple[int, int]] = []
        self._measures = Measures()

    @property
    def segments(self) -> np.ndarray:
        """Shape (k, 2): start and end of each segment so far, in seconds of the recording."""
        return np.array(self._segments, float).reshape(-1, 2) / RATE

    @property
    def quality(self) -> Quality | None:
        """Of the speech so far; None without speech."""
        return self._measures.quality() if self._segments else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the speech so far."""
        seconds = self._measures.count / RATE
        little = 0 < seconds < LITTLE
        return (f"only {seconds:.1f} s of speech: expect little",) if little else ()

    def pieces(self, blocks: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield `(first sample in the recording, samples)` of each segment, in order.

        blocks : float32 arrays of shape (n,), 16 kHz, end to end, as of `audio.Reader.blocks`.
        """
        offset = 0
        for stretch in _stretches(blocks):
            self.length = (offset + len(stretch)) / RATE
            first, last = _between_silence(stretch)
            sound, origin = stretch[first:last], offset + first
            clean = _without_rumble(sound)
            level = levels_of(clean)
            segments = _segments(clean, level)
            self._segments += [(origin + start, origin + end) for start, end in segments.tolist()]
            self._measures.add(sound, level, segments)
            for start, end in segments:
                piece = sound[start:end]
                yield origin + int(start), piece - piece.mean()
            offset += len(stretch)

    def windows(self, blocks: Iterable[np.ndarray]) -> Iterator[Window]:
        """Yield the speech in windows, in order; `blocks` as for `pieces`.

        A pause ends a window that holds `PHRASE` seconds of speech, and the room's sound at either
        side of a pause is left out. What is left at the end, if it is less, belongs to the window
        before it. A window of more than `LONGEST` seconds is cut into even parts, each cut moved
        to the quietest place near it.
        """
        for phrase in _phrases(self.pieces(blocks)):
            yield from _parts(phrase)


Pieces = list[tuple[int, np.ndarray]]


def _phrases(pieces: Iterator[tuple[int, np.ndarray]]) -> Iterator[Pieces]:
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
    lulls = _runs(~_heard(samples))
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


def provenance() -> dict[str, Any]:
    """What decides which samples are speech: for the provenance of a feature table."""
    return {"speech": VERSION, "detector": _DETECTOR, "detector_sha256": _SHA256}


def _stretches(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks joined; above the longest stretch, cut at the quietest place in its last tenth."""
    longest, held, length = STRETCH * RATE, [], 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length > longest:
            joined = np.concatenate(held)
            while len(joined) > longest:
                first = longest - longest // 10
                around = _sliding(levels_of(joined[first:longest]), 31).mean(axis=1)
                cut = first + (int(around.argmin()) + 15) * FRAME
                yield joined[:cut]
                joined = joined[cut:]
            held, length = [joined], len(joined)
    if length:
        yield np.concatenate(held)


def _between_silence(samples: np.ndarray) -> tuple[int, int]:
    """First sample and end of a recording less the digital silence around it, but for `QUIET`.

    The detector remembers what it heard, so that silence before speech would shift where it begins.
    """
    changes = np.flatnonzero(np.diff(samples))
    if not len(changes):
        return 0, len(samples)
    first, last = int(changes[0]) + 1, int(changes[-1]) + 1
    return max(0, first - QUIET), min(len(samples), last + QUIET)


def _segments(clean: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Shape (k, 2): first sample and end of each segment of speech; `level` is that of `clean`."""
    nothing = np.empty((0, 2), np.int64)
    if len(level) < SHORTEST:
        return nothing
    loudest = np.median(_sliding(level, min(25, len(level))), axis=1).max()
    if loudest < SILENT:
        return nothing
    probability = _probabilities(clean * np.float32(10 ** ((LOUD - loudest) / 20)))
    found = next((f for sure in SURE if len(f := _spoken(probability, *sure))), nothing)
    found = (found * (STEP / FRAME) + [-REACH, REACH]).round().astype(int)
    active = np.zeros(len(level), bool)
    # A click of under 20 ms is not how loud a frame is.
    steady = np.median(_sliding(np.pad(level, 2, mode="edge"), 5), axis=1)
    for start, end in _joined(found.clip(0, len(level)), 1):
        quiet, loud = np.percentile(steady[start:end], [5, 95])
        active[start:end] = (steady[start:end] > loud - RANGE) & (loud - quiet > STEADY)
    runs = _joined(_runs(active), GAP)
    runs = runs[runs[:, 1] - runs[:, 0] >= SHORTEST] + [-PAD, PAD]
    return np.where(runs >= len(level), len(clean), runs * FRAME).clip(0)


def _without_rumble(samples: np.ndarray) -> np.ndarray:
    """Samples less their moving average: an offset, also one that jumps, and wind are gone."""
    half = RUMBLE // 2
    total = np.cumsum(np.pad(samples, (half + 1, half), mode="edge"), dtype=np.float64)
    return samples - ((total[RUMBLE:] - total[:-RUMBLE]) / RUMBLE).astype(np.float32)


def _spoken(probability: np.ndarray, on: float, sure: float) -> np.ndarray:
    """Shape (k, 2): first and end of each run of the detector's frames that is speech."""
    runs = _runs(probability > OFF)
    above = np.concatenate(([0], np.cumsum(np.maximum(probability - on, 0))))
    return runs[above[runs[:, 1]] - above[runs[:, 0]] >= sure]


def _probabilities(samples: np.ndarray) -> np.ndarray:
    """Silero's probability of speech in each 512 samples, the last padded with zeros."""
    network = _network()
    count = -(-len(samples) // STEP) + LEAD
    lead = CONTEXT + LEAD * STEP
    padded = np.pad(samples, (lead, CONTEXT + count * STEP - lead - len(samples)))
    frames = _sliding(padded, CONTEXT + STEP)[::STEP]
    hidden = cell = np.zeros((1, 1, 128), np.float32)
    found = []
    for start in range(0, count, CALL):
        inputs = {"input": frames[start : start + CALL], "h": hidden, "c": cell}
        probability, hidden, cell = network.run(None, inputs)
        found.append(probability)
    return np.concatenate(found)[LEAD:]


@cache
def _network() -> Any:
    file = store.shipped().joinpath(*FILE)
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise WeightsError(
            f"{file}, which finds speech, is {'damaged' if content else 'missing'}: restore it "
            "from the project, or install the package again."
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # it warns of weights that the graph does not use
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _runs(mask: np.ndarray) -> np.ndarray:
    """Shape (k, 2): first index and end of each run of True."""
    edges = np.diff(np.concatenate(([False], mask, [False])).astype(np.int8))
    return np.column_stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)))


def _joined(runs: np.ndarray, gap: int) -> np.ndarray:
    """Runs, in order, with those joined that lie less than `gap` apart."""
    if not len(runs):
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= gap
    return np.column_stack((runs[np.r_[True, apart], 0], runs[np.r_[apart, True], 1]))
