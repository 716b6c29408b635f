"""Which channels of a recording to hear: of a call, each is a person; one without speech, none."""

from collections.abc import Iterator

import numpy as np

from persona.audio import Reader, speech
from persona.audio.resampling import Resampler

LISTENED = 120.0
"""Seconds at the beginning that decide."""

SWING = 5.0
"""Deviation, in dB, of the difference between two channels' levels over time, from which they are
not one scene. What is panned, or nearer to one microphone, differs by much the same throughout."""

LOUD = 35.0
"""dB below the loudest tenth of a second in which levels are compared."""

LITTLE = 0.05
"""Share of the other channel's speech below which a channel holds none."""

TOGETHER = 0.3
"""Share of the lesser channel's speech at whose time the other has speech too, from which both are
taken to hear the same people."""


def heard(reader: Reader, people: int | None = None) -> list[int | None]:
    """Channels that hold a person each, the one that holds all speech, or None for the average.

    reader : just opened; it is read from. people : how many speak, where that is known.
    """
    if reader.channels != 2:
        return [None]
    rate, frames = _beginning(reader.frames())
    if not len(frames) or not _apart(frames, rate):
        return [None]
    found = [speech.only(_resampled(channel, rate)).segments for channel in frames.T]
    lines = [_line(segments, len(frames) / rate) for segments in found]
    one, two = (int(line.sum()) for line in lines)
    if min(one, two) <= LITTLE * max(one, two):
        return [int(two > one)] if max(one, two) else [None]
    together = int((lines[0] & lines[1]).sum())
    return [0, 1] if together < TOGETHER * min(one, two) and people in (None, 2) else [None]


def _beginning(chunks: Iterator[tuple[float, np.ndarray]]) -> tuple[float, np.ndarray]:
    """Rate and frames, shape (n, 2), of the first `LISTENED` seconds, as far as they are alike."""
    kept: list[np.ndarray] = []
    rate, length = 0.0, 0
    for now, frames in chunks:
        if frames.shape[1] != 2 or (kept and now != rate):
            break
        rate = now
        kept.append(frames)
        length += len(frames)
        if length >= LISTENED * rate:
            break
    return rate, np.concatenate(kept) if kept else np.empty((0, 2), np.float32)


def _apart(frames: np.ndarray, rate: float) -> bool:
    """Whether the levels of two channels go their own ways."""
    size = round(rate / 10)
    count = len(frames) // size
    if count < 10 or not np.isfinite(frames).all():
        return False
    power = frames[: count * size].reshape(count, size, 2).var(axis=1, dtype=np.float64)
    if not power.max() > 0:
        return False
    level = 10 * np.log10(power + 1e-7 * power.max())
    loud = level.max(axis=1) > level.max() - LOUD
    return bool(np.diff(level[loud], axis=1).std() > SWING)


def _resampled(channel: np.ndarray, rate: float) -> np.ndarray:
    return Resampler(rate).chunk(np.ascontiguousarray(channel), last=True)


def _line(segments: np.ndarray, seconds: float) -> np.ndarray:
    """Whether somebody speaks in each tenth of a second."""
    line = np.zeros(int(10 * seconds) + 1, bool)
    for start, end in segments:
        line[int(10 * start) : int(10 * end) + 1] = True
    return line
