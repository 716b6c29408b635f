"""Where in a recording somebody speaks.

Silero's network says where there is speech, on a grid of 32 ms and with a memory of what came
before; the levels of frames of 10 ms then say where that speech begins and ends, so that what
surrounds it does not shift its ends. What is kept, joined end to end, is the stream of speech.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as _sliding

from persona.audio.quality import FRAME, SILENT, STEP, Measures, Quality, levels_of
from persona.audio.reader import RATE
from persona.errors import AudioError, WeightsError
from persona.keeping import store

VERSION = 1  # raised whenever the same samples give other speech
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
    """Finds the speech of one recording in one pass: `Listener().pieces(reader.blocks(10.0))`."""

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
    runs = _joined(runs_of(active), GAP)
    runs = runs[runs[:, 1] - runs[:, 0] >= SHORTEST] + [-PAD, PAD]
    return np.where(runs >= len(level), len(clean), runs * FRAME).clip(0)


def _without_rumble(samples: np.ndarray) -> np.ndarray:
    """Samples less their moving average: an offset, also one that jumps, and wind are gone."""
    half = RUMBLE // 2
    total = np.cumsum(np.pad(samples, (half + 1, half), mode="edge"), dtype=np.float64)
    return samples - ((total[RUMBLE:] - total[:-RUMBLE]) / RUMBLE).astype(np.float32)


def _spoken(probability: np.ndarray, on: float, sure: float) -> np.ndarray:
    """Shape (k, 2): first and end of each run of the detector's frames that is speech."""
    runs = runs_of(probability > OFF)
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


def runs_of(mask: np.ndarray) -> np.ndarray:
    """Shape (k, 2): first index and end of each run of True."""
    edges = np.diff(np.concatenate(([False], mask, [False])).astype(np.int8))
    return np.column_stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)))


def _joined(runs: np.ndarray, gap: int) -> np.ndarray:
    """Runs, in order, with those joined that lie less than `gap` apart."""
    if not len(runs):
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= gap
    return np.column_stack((runs[np.r_[True, apart], 0], runs[np.r_[apart, True], 1]))
