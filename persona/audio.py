"""Any supported audio -> mono float32 at 16 kHz; what was assumed on the way, what is refused."""

import io
import math
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from persona.errors import AudioError

RATE = 16_000
"""Sampling rate in Hz of every waveform inside the package."""

MAX_BYTES = 200_000_000
"""Largest file read, unless the environment says otherwise in PERSONA_MAX_MB."""

SHORTEST = 0.1
"""Seconds below which audio is refused."""

SHORT = 1.0
"""Seconds below which audio is read with a warning among its notes."""

SILENCE = 1e-4
"""Half the peak-to-peak range below which audio is silence: -80 dB of full scale."""

LOUDEST = 1.01
"""Peak above which a note is made; lossy codecs overshoot full scale by less."""

MAX_CHANNELS = 64
RATES = (4_000, 384_000)

_CHUNK = 1 << 15
_UNKNOWN_LENGTH = 0x7FF00000  # writers to a pipe state a data chunk of about 2 or 4 GiB
_UNSUPPORTED: tuple[tuple[int, tuple[bytes, ...], str], ...] = (
    (4, (b"ftyp",), "MPEG-4 (M4A, MP4, MOV or 3GP)"),
    (0, (b"\x1aE\xdf\xa3",), "WebM or Matroska"),
    (0, (b"0&\xb2u\x8ef\xcf\x11",), "Windows Media (WMA or ASF)"),
    (0, (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9", b"ADIF"), "raw AAC"),
    (0, (b"#!AMR",), "AMR"),
    (8, (b"AVI ",), "AVI video"),
)
_CONVERT = "convert it to WAV or MP3 (ffmpeg -i INPUT OUTPUT.wav)"

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
        Files and bytes: whatever libsndfile decodes (WAV, MP3, FLAC, OGG, AIFF ...).
        waveform: shape (n,) or (n, channels), floats of full scale +-1 or 8- to 32-bit integers,
        which are divided by the full scale of their type; rate in Hz.
    max_bytes : largest file read, by default PERSONA_MAX_MB of the environment or 200 MB.
    name : what messages call the audio, by default the name of the file.
    accept_silence : note silence instead of refusing it (a corpus may hold a silent clip).

    Raises
    ------
    AudioError
        On opening: no such file, too large, not audio, an unsupported format, rate or shape.
        While reading: NaN or infinite samples. At the end: nothing there, under 0.1 s, silent.

    Example
    -------
    >>> with Reader("talk.mp3") as reader:
    ...     for start, samples in reader.windows(3.0, hop=1.0):
    ...         ...
    ...     print(reader.notes)
    """

    seconds: float
    """Length that the audio states; a file that ends early holds less."""

    def __init__(
        self,
        source: Source,
        *,
        max_bytes: float | None = None,
        name: str | None = None,
        accept_silence: bool = False,
    ) -> None:
        self._name = name
        self._accept_silence = accept_silence
        self._notes: list[str] = []
        self._resources = ExitStack()
        try:
            if isinstance(source, tuple):
                self._open_waveform(source)
            else:
                self._open_file(source, limit() if max_bytes is None else max_bytes)
            self._check_format()
        except BaseException:
            self._resources.close()
            raise
        self.seconds = self._length / self._rate
        self._finished = False

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed so far; complete once the last sample was read."""
        return tuple(self._notes)

    def read(self) -> Audio:
        """All of it at once."""
        samples = np.concatenate(list(self._resampled()))
        return Audio(samples, self.notes)

    def blocks(self, seconds: float) -> Iterator[np.ndarray]:
        """Yield float32 arrays of shape (seconds * 16000,) end to end; the last may be shorter."""
        size = _positive(seconds)
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

    def windows(self, seconds: float, hop: float) -> Iterator[tuple[float, np.ndarray]]:
        """Yield `(start in seconds, samples)` of overlapping windows that cover all of the audio.

        Windows start every `hop` seconds, 0 < hop <= seconds. When 0.1 s or more follow the last
        whole window, one more window ends with the audio. Audio shorter than one window is
        yielded as it is.
        """
        size, step = _positive(seconds), _positive(hop)
        if step > size:
            raise ValueError(f"A hop of {hop} s leaves gaps between windows of {seconds} s.")
        held, start, following = np.empty(0, np.float32), 0, 0
        for block in self.blocks(hop):
            held = np.concatenate((held, block))
            if start + len(held) >= following + size:
                held, start = held[following - start :], following
                yield start / RATE, held[:size].copy()
                following = start + step
        end = start + len(held)
        if following == 0:
            yield 0.0, held
        elif end - (start + size) >= SHORTEST * RATE:
            yield (end - size) / RATE, held[-size:]

    def _open_waveform(self, pair: tuple[Any, ...]) -> None:
        if len(pair) != 2:
            raise self._error("has to be a pair of (waveform, rate)")
        try:
            waveform = np.asarray(pair[0])
        except (ValueError, TypeError) as error:
            raise self._error("is not an array of numbers: give (waveform, rate)") from error
        kind, width = waveform.dtype.kind, waveform.dtype.itemsize
        if kind != "f" and not (kind in "iu" and width <= 4):
            raise self._error(
                f"has samples of type {waveform.dtype}: give floats of full scale +-1, "
                "or 8-, 16- or 32-bit integers"
            )
        if waveform.ndim not in (1, 2):
            raise self._error(f"has shape {waveform.shape}: give (n,) or (n, channels)")
        waveform = waveform[:, None] if waveform.ndim == 1 else waveform
        if waveform.shape[1] > MAX_CHANNELS:
            raise self._error(
                f"has shape {waveform.shape}, more than {MAX_CHANNELS} channels: "
                "give (n,) or (n, channels), transposed if channels come first"
            )
        if kind != "f":
            self._notes.append(f"scaled from {waveform.dtype}")
        self._rate, self._channels = pair[1], waveform.shape[1]
        self._length = self._promised = len(waveform)
        self._frames = _slices(waveform)

    def _open_file(self, source: Any, limit: float) -> None:
        import soundfile

        opened = self._resources.enter_context(self._binary(source))
        size = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        if size == 0:
            raise self._error("is empty (0 bytes): record or export it again")
        if size > limit:
            raise self._error(
                f"is {size / 1e6:.3g} MB, over the limit of {limit / 1e6:.3g} MB: shorten or "
                "compress it, or raise PERSONA_MAX_MB"
            )
        head = opened.read(16)
        opened.seek(0)
        for offset, magics, container in _UNSUPPORTED:
            if head[offset:].startswith(magics):
                raise self._error(f"is {container}, which cannot be read: {_CONVERT}")
        try:
            file = self._resources.enter_context(soundfile.SoundFile(opened))
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: *.raw, headerless
            raise self._error(
                "cannot be decoded, being damaged or no audio at all: give WAV, MP3, FLAC or OGG, "
                f"or {_CONVERT}"
            ) from error
        # Else soundfile seeks after every read, which in an MP3 lands beside the next sample.
        file.seekable = lambda: False
        self._rate, self._channels = file.samplerate, file.channels
        self._length, self._promised = file.frames, _promised_frames(file)
        self._frames = self._decoded(file)

    def _binary(self, source: Any) -> BinaryIO:
        if isinstance(source, bytes | bytearray | memoryview):
            return io.BytesIO(source)
        if not isinstance(source, str | os.PathLike):
            raise self._error(
                f"is of type {type(source).__name__}: give a path, bytes or (waveform, rate)"
            )
        path = os.fspath(source)
        self._name = self._name or os.path.basename(path) or path
        if os.path.isdir(path):
            raise self._error("is a folder: give a file in it")
        if not os.path.isfile(path):
            raise self._error("was not found: check the path")
        try:
            return open(path, "rb")
        except OSError as error:
            raise self._error(f"cannot be opened ({error.strerror}): check the file") from error

    def _check_format(self) -> None:
        low, high = RATES
        if not (isinstance(self._rate, int | float | np.number) and low <= self._rate <= high):
            raise self._error(
                f"has a sampling rate of {self._rate!r}: give one from {low} to {high} Hz"
            )
        if not 1 <= self._channels <= MAX_CHANNELS:
            raise self._error(
                f"has {self._channels} channels: give one with 1 to {MAX_CHANNELS} channels"
            )
        if self._channels > 1:
            self._notes.append(f"averaged {self._channels} channels")
        if self._rate != RATE:
            self._notes.append(f"resampled from {float(self._rate):.10g} Hz")

    def _decoded(self, file: Any) -> Iterator[np.ndarray]:
        import soundfile

        while True:
            try:
                frames = file.read(_CHUNK, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                return  # the break shows as fewer frames than promised
            if not len(frames):
                return
            yield frames

    def _resampled(self) -> Iterator[np.ndarray]:
        """Mono chunks at 16 kHz: the one road on which every sample leaves."""
        import soxr

        if self._finished:
            raise ValueError("A Reader reads once: open another.")
        resampler = soxr.ResampleStream(self._rate, RATE, 1) if self._rate != RATE else None
        weights = np.full(self._channels, 1 / self._channels, np.float32)
        lowest, highest, found = math.inf, -math.inf, 0
        for frames in self._frames:
            mono = frames[:, 0] if self._channels == 1 else frames @ weights
            low, high = float(mono.min()), float(mono.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                raise self._error("holds NaN or infinite samples: record or export it again")
            lowest, highest, found = min(lowest, low), max(highest, high), found + len(mono)
            yield resampler.resample_chunk(mono) if resampler else mono
        self._finished = True
        self._check_content(found, lowest, highest)
        if resampler:
            yield resampler.resample_chunk(np.empty(0, np.float32), last=True)

    def _check_content(self, found: int, lowest: float, highest: float) -> None:
        seconds, promised = found / self._rate, self._promised / self._rate
        if found == 0:
            state = "is damaged" if self._promised else "has a header only"
            raise self._error(f"{state}, no samples could be read: record or export it again")
        if seconds < SHORTEST:
            raise self._error(
                f"is only {1000 * seconds:.0f} ms long: give {SHORTEST} s or more, better 1 s"
            )
        if (highest - lowest) / 2 < SILENCE:
            if not self._accept_silence:
                raise self._error("is silent (nothing above -80 dB of full scale): record it again")
            self._notes.append("silent")
        if promised - seconds >= SHORTEST:
            self._notes.append(f"ends early: {seconds:.1f} s of {promised:.1f} s")
        if seconds < SHORT:
            self._notes.append(f"only {seconds:.1f} s long: expect little")
        if (peak := max(-lowest, highest)) > LOUDEST:
            self._notes.append(f"peaks at {peak:.3g} times full scale")

    def _error(self, problem: str) -> AudioError:
        subject = "The audio"
        if self._name:
            # A name may hold line breaks or terminal codes.
            subject = '"' + "".join(c if c.isprintable() else "?" for c in self._name) + '"'
        return AudioError(f"{subject} {problem}.")


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


def _positive(seconds: float) -> int:
    size = round(seconds * RATE)
    if size < 1:
        raise ValueError(f"{seconds} s is not a length of audio.")
    return size


def _slices(waveform: np.ndarray) -> Iterator[np.ndarray]:
    middle, scale = 0, 1
    if waveform.dtype.kind != "f":
        bits = 8 * waveform.dtype.itemsize
        scale = 1 << (bits - 1)
        middle = scale if waveform.dtype.kind == "u" else 0
    for start in range(0, len(waveform), _CHUNK):
        part = waveform[start : start + _CHUNK]
        with np.errstate(over="ignore", invalid="ignore"):
            if scale > 1:
                part = (part.astype(np.float64) - middle) / scale
            yield part.astype(np.float32)


def _promised_frames(file: Any) -> int:
    """Frames the header states: libsndfile corrects a WAV or AIFF cut short, and logs that."""
    cut = re.search(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", file.extra_info)
    if not cut:
        return int(file.frames)
    stated, actual = int(cut[1]), int(cut[2])
    if stated >= _UNKNOWN_LENGTH or not actual:
        return int(file.frames)
    return round(file.frames * stated / actual)
