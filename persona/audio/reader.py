"""Any supported audio -> mono float32 at 16 kHz; what was assumed on the way, what is refused."""

import math
import os
import reprlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from persona.audio.decoding import File, unreadable
from persona.audio.downmix import SILENCE, Downmix
from persona.audio.resampling import RATE as RATE
from persona.audio.resampling import Resampler
from persona.audio.sources import EXTENSIONS as EXTENSIONS
from persona.audio.sources import opened
from persona.audio.waveform import (
    MAX_CHANNELS,
    Blocks,
    Waveform,
    bits_of_floats,
    scale_note,
    unclear_scale,
)
from persona.errors import AudioError

MAX_BYTES = 200_000_000
"""Largest file read, unless the environment says otherwise in PERSONA_MAX_MB."""

SHORTEST = 0.1
"""Seconds below which audio is refused."""

SHORT = 1.0
"""Seconds below which audio is read with a warning among its notes."""

LOUDEST = 1.01
"""Peak above which a note is made; lossy codecs overshoot full scale by less."""

ENVELOPE = 100
"""Points per second of `Reader.envelope`."""

RATES = (4_000, 384_000)
"""Lowest and highest sampling rate read, in Hz."""

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | tuple[Any, Any]


@dataclass(frozen=True)
class Audio:
    """A waveform ready for a representation.

    samples : float32, shape (n,), mono, 16 kHz, full scale +-1.
    notes : what was assumed, e.g. "resampled from 44100 Hz".
    """

    samples: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def read(
    source: Source,
    *,
    max_bytes: float | None = None,
    name: str | None = None,
    accept_silence: bool = False,
) -> Audio:
    """Read a whole file, its bytes, or a `(waveform, rate)` pair; arguments as for `Reader`."""
    with Reader(source, max_bytes=max_bytes, name=name, accept_silence=accept_silence) as reader:
        return reader.read()


class Reader:
    """Audio opened for one pass, whole or in pieces, in memory that does not grow with its length.

    Parameters
    ----------
    source : path, bytes, or `(waveform, rate)`.
        Files, addresses (s3://... by fsspec) and bytes: what FFmpeg decodes (WAV, MP3, FLAC, OGG,
        M4A, WebM, AMR, WMA ...), of videos the sound track. All of
        it is read, also where its header states less.
        waveform: shape (n,) or (n, channels), array, tensor or list, floats of full scale +-1 or
        8- to 32-bit integers, which are divided by the full scale of their type; rate in Hz.
        Floats and 32-bit integers of evidently another scale are brought to +-1, with a note.
        An iterator in its place gives blocks of one channel, as of `waveform.block`.
    max_bytes : largest file read, by default PERSONA_MAX_MB of the environment or 200 MB.
    max_seconds : longest audio read, whatever its header states; by default any length.
    name : what messages call the audio, by default the name of the file.
    accept_silence : note silence instead of refusing it (a corpus may hold a silent clip).
    channel : the only one that is heard, from 0; by default they are averaged.

    Attributes
    ----------
    channels : how many it has, at least at the beginning.
    seconds : length to expect, by which progress can be shown.
    name : what messages call the audio: the name of its file in quotes, or "The audio".

    Raises
    ------
    AudioError
        On opening: no such file, too large, not audio, an unsupported rate, shape or scale.
        While reading: NaN or infinite samples, longer than `max_seconds`. At the end: nothing
        there, under 0.1 s, silent.

    Example
    -------
    >>> with Reader("talk.mp3") as reader:
    ...     seconds = sum(len(samples) for samples in reader.blocks(10.0)) / RATE
    >>> round(seconds, 1), reader.notes
    (2.3, ())
    """

    def __init__(
        self,
        source: Source,
        *,
        max_bytes: float | None = None,
        max_seconds: float = math.inf,
        name: str | None = None,
        accept_silence: bool = False,
        channel: int | None = None,
    ) -> None:
        self._max_seconds, self._channel = max_seconds, channel
        if isinstance(source, str | os.PathLike) and not name:
            name = os.path.basename(os.fsdecode(source)) or os.fsdecode(source)
        # A name may hold line breaks or terminal codes.
        plain = "".join(c if c.isprintable() else "?" for c in name or "")
        self.name = f'"{plain}"' if plain else "The audio"
        self._accept_silence = accept_silence
        self._resources = ExitStack()
        try:
            self._input: File | Waveform | Blocks
            if isinstance(source, tuple) and source and isinstance(source[0], Iterator):
                self._input = Blocks(*source)
            elif isinstance(source, tuple):
                self._input = Waveform(source, self._error)
            else:
                file = opened(source, limit() if max_bytes is None else max_bytes, self._error)
                self._input = File(self._resources.enter_context(file), self._error)
                self._resources.callback(self._input.close)
            rate, channels = self._input.rate, self._input.channels
            self._notes = [*self._input.notes, *self._format(rate, channels)]
        except OSError as error:
            self._resources.close()
            raise self._error(unreadable(error)) from error
        except BaseException:
            self._resources.close()
            raise
        self._input.notes.clear()
        self.seconds: float = self._input.seconds
        self.channels: int = channels
        self._envelope = _Envelope()
        self._lowest, self._highest, self._found = math.inf, -math.inf, 0.0
        self._started = False

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed so far; complete once the last sample was read."""
        return tuple(self._notes)

    @property
    def envelope(self) -> np.ndarray:
        """Lowest and highest sample in each 10 ms read so far, float32 of shape (n, 2)."""
        return self._envelope.points()

    def read(self) -> Audio:
        """All of it at once."""
        samples = np.concatenate(list(self._resampled()))
        return Audio(samples, self.notes)

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield `(rate, float32 of shape (n, channels))` as recorded, unchecked."""
        return self._input.frames()

    def blocks(self, seconds: float) -> Iterator[np.ndarray]:
        """Yield float32 arrays of shape (seconds * 16000,) end to end; the last may be shorter."""
        size = round(seconds * RATE)
        if size < 1:
            raise ValueError(f"{seconds} s is not a length of audio.")
        pending: list[np.ndarray] = []
        for chunk in self._resampled():
            pending.append(chunk)
            if sum(map(len, pending)) >= size:
                joined = np.concatenate(pending)
                whole = len(joined) // size * size
                yield from np.split(joined[:whole], whole // size)
                pending = [joined[whole:]]
        if any(map(len, pending)):
            yield np.concatenate(pending)

    def _format(self, rate: Any, channels: int) -> Iterator[str]:
        """Notes on a format that can be read."""
        low, high = RATES
        if not (isinstance(rate, int | float) and low <= rate <= high):
            given = " ".join(reprlib.repr(rate).split())
            raise self._error(f"has a sampling rate of {given}: give one from {low} to {high} Hz")
        if not 1 <= channels <= MAX_CHANNELS:
            raise self._error(
                f"has {channels} channels: give one with 1 to {MAX_CHANNELS} channels"
            )
        if channels > 1:
            heard = self._channel
            yield _averaged(channels) if heard is None else f"only channel {heard + 1} was heard"
        if rate != RATE:
            yield f"resampled from {float(rate):.10g} Hz"

    def _resampled(self) -> Iterator[np.ndarray]:
        """Mono chunks at 16 kHz: the one road on which every sample leaves."""
        if self._started:
            raise ValueError("A Reader reads once: open another.")
        self._started = True
        form = self._input.rate, self._input.channels
        for new, chunks in groupby(self._input.frames(), lambda c: (c[0], c[1].shape[1])):
            if new != form:
                form = new
                list(self._format(*form))
                self._note_change(*form)
            yield from self._of_one_form(*form, (frames for _, frames in chunks))
        self._check_content()

    def _of_one_form(
        self, rate: float, channels: int, chunks: Iterator[np.ndarray]
    ) -> Iterator[np.ndarray]:
        start = self._found
        resampler = Resampler(rate)
        downmix = Downmix(rate, channels, self._input.floats, self._channel)
        for mono in downmix.mixed(chunks):
            self._found += len(mono) / rate
            self._check_samples(mono, downmix)
            self._note_downmix(downmix, start)
            yield self._noted(resampler.chunk(mono))
        yield self._noted(resampler.chunk(np.empty(0, np.float32), last=True))

    def _noted(self, samples: np.ndarray) -> np.ndarray:
        self._envelope.add(samples)
        return samples

    def _check_samples(self, mono: np.ndarray, downmix: Downmix) -> None:
        if round(self._found, 3) > self._max_seconds:  # a sum of floats
            raise self._error(
                f"is longer than the limit of {self._max_seconds:g} s: give a part of it"
            )
        low, high = float(mono.min()), float(mono.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise self._error("holds NaN or infinite samples: record or export it again")
        self._lowest, self._highest = min(self._lowest, low), max(self._highest, high)
        peak = downmix.unclear or (max(-low, high) if self._input.floats else 0)
        if bits_of_floats(peak) != 0:
            raise self._error(unclear_scale(peak))

    def _note_change(self, rate: float, channels: int) -> None:
        note = "changes its sampling rate or channels"
        if not any(earlier.startswith(note) for earlier in self._notes):
            self._notes.append(
                f"{note} at {self._found:.1f} s (to {float(rate):.10g} Hz, {channels} "
                f"{'channel' if channels == 1 else 'channels'})"
            )

    def _note_downmix(self, downmix: Downmix, start: float) -> None:
        """Note, once, what the downmix found out."""
        if downmix.bits and scale_note(downmix.bits) not in self._notes:
            self._notes.append(scale_note(downmix.bits))
        if downmix.channel is None or self._channel is not None:
            return
        note = f"channels cancel each other: channel {downmix.channel + 1} was used"
        if since := start + downmix.since:
            note += f" from {since:.1f} s on"
        else:
            averaged = _averaged(downmix.channels)
            self._notes = [earlier for earlier in self._notes if earlier != averaged]
        if note not in self._notes:
            self._notes.append(note)

    def _check_content(self) -> None:
        if self._found < SHORTEST:
            raise self._error(
                f"is only {1000 * self._found:.0f} ms long: give {SHORTEST} s or more, better 1 s"
            )
        if (self._highest - self._lowest) / 2 < SILENCE:
            if not self._accept_silence:
                raise self._error("is silent (nothing above -80 dB of full scale): record it again")
            self._notes.append("silent")
        self._notes += self._input.notes
        if self._found < SHORT:
            self._notes.append(f"only {self._found:.1f} s long: expect little")
        if (peak := max(-self._lowest, self._highest)) > LOUDEST:
            self._notes.append(f"peaks at {peak:.3g} times full scale")

    def _error(self, problem: str) -> AudioError:
        return AudioError(f"{self.name} {problem}.")


class _Envelope:
    """Lowest and highest sample of each 10 ms."""

    def __init__(self) -> None:
        self._done: list[np.ndarray] = []
        self._rest = np.empty(0, np.float32)

    def add(self, samples: np.ndarray) -> None:
        joined = np.concatenate((self._rest, samples))
        whole = len(joined) // (RATE // ENVELOPE) * (RATE // ENVELOPE)
        parts = joined[:whole].reshape(-1, RATE // ENVELOPE)
        self._done.append(np.stack((parts.min(axis=1), parts.max(axis=1)), axis=1))
        self._rest = joined[whole:]

    def points(self) -> np.ndarray:
        rest = self._rest
        last = [np.array([[rest.min(), rest.max()]], np.float32)] if len(rest) else []
        return np.concatenate((np.empty((0, 2), np.float32), *self._done, *last))


def limit() -> float:
    """Largest file read, in bytes: PERSONA_MAX_MB of the environment, else `MAX_BYTES`."""
    stated = os.environ.get("PERSONA_MAX_MB") or MAX_BYTES / 1e6
    try:
        limit = float(stated) * 1e6
    except ValueError:
        limit = math.nan
    if not limit > 0:
        raise AudioError(f"PERSONA_MAX_MB is {stated!r}: set it to a number of megabytes.")
    return limit


def _averaged(channels: int) -> str:
    return f"averaged {channels} channels"
