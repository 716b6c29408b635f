"""Numbers of any type, scale and layout -> float32 frames of full scale +-1."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from persona.errors import AudioError

MAX_CHANNELS = 64

_CHUNK = 1 << 15
_LOUDEST_FLOATS = 10
_QUIETEST_INTEGERS = 256
_BITS = (16, 24, 32)


def scaled(samples: np.ndarray) -> np.ndarray:
    """Float32 of full scale +-1: integers are divided by the full scale of their type.

    Unsigned integers are centred on the middle of their range, as in a WAV. Floats are kept.
    """
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "u":
            samples = samples.astype(np.float64) - (1 << (bits - 1))
        floats = samples.astype(np.float32)
    return floats if kind == "f" else floats * np.float32(2.0 ** (1 - bits))


def frame_array(frame: Any) -> np.ndarray:
    """What a frame of PyAV holds: shape (channels, n), or (1, n * channels)."""
    import av

    # PyAV has no 64-bit integers, and crashes by the planes of eight channels or more.
    if frame.format.name == "s64" or (frame.format.is_planar and frame.layout.nb_channels > 7):
        (frame,) = av.AudioResampler("dbl", frame.layout, frame.sample_rate).resample(frame)
    array: np.ndarray = frame.to_ndarray()
    return array


def interleaved(parts: list[np.ndarray], channels: int) -> np.ndarray:
    joined = np.concatenate(parts, axis=1)
    planar = len(joined) == channels
    return scaled(np.ascontiguousarray(joined.T) if planar else joined.reshape(-1, channels))


def bits_of_floats(peak: float) -> int | None:
    """Bits of the integers at whose scale floats with this peak are; 0 for full scale +-1.

    Up to 10 they are taken for full scale +-1, driven too far. From 256 on they are integers
    of 16 (up to 65,536), 24 or 32 bits that were turned into floats without being divided.
    None for anything else.
    """
    if peak <= _LOUDEST_FLOATS:
        return 0
    if peak < _QUIETEST_INTEGERS:
        return None
    return next((bits for bits in _BITS if peak <= 1 << bits), None)


def scale_note(bits: int) -> str:
    return f"scaled from the range of {bits}-bit integers"


def unclear_scale(peak: float) -> str:
    return (
        f"has samples up to {peak:.4g}, which is neither full scale +-1 nor that of integers: "
        "divide them by their full scale"
    )


class Waveform:
    """A pair of (waveform, rate), with the attributes of `decoding.File`.

    waveform : shape (n,), (n, channels) or, where that is evident, (channels, n); an array, a list
    or what has `detach` and `cpu`, as tensors have. rate : in Hz; may come first.
    """

    floats = False  # of uncertain scale: the whole of it was looked at

    def __init__(self, pair: tuple[Any, ...], fail: Callable[[str], AudioError]) -> None:
        if len(pair) != 2:
            raise fail("has to be a pair of (waveform, rate)")
        waveform, rate = pair
        self.notes: list[str] = []
        if _is_number(waveform) and not _is_number(rate) and hasattr(rate, "__len__"):
            waveform, rate = rate, waveform
            self.notes.append("taken as (rate, waveform)")
        self.rate = rate.item() if hasattr(rate, "item") and _is_number(rate) else rate
        self._samples = self._arranged(_array(waveform, fail), fail)
        self.channels = self._samples.shape[1]
        self._divisor = self._scale(fail)
        self.seconds = len(self._samples) / self.rate if _is_number(rate) and self.rate else 0.0

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield `(rate, float32 of shape (n, channels))`; full scale is +-1."""
        for start in range(0, len(self._samples), _CHUNK):
            part = self._samples[start : start + _CHUNK]
            divided = part / self._divisor if self._divisor else part
            yield self.rate, scaled(divided)

    def _arranged(self, array: np.ndarray, fail: Callable[[str], AudioError]) -> np.ndarray:
        if array.ndim not in (1, 2):
            raise fail(f"has shape {array.shape}: give (n,) or (n, channels)")
        if not array.size:
            raise fail(f"has no samples, its shape being {array.shape}: give some")
        array = array[:, None] if array.ndim == 1 else array
        if array.shape[0] <= MAX_CHANNELS < array.shape[1]:
            self.notes.append("channels came first")
            array = array.T
        if array.shape[1] > MAX_CHANNELS:
            raise fail(
                f"has shape {array.shape}, more than {MAX_CHANNELS} channels: "
                "give (n,) or (n, channels)"
            )
        return array

    def _scale(self, fail: Callable[[str], AudioError]) -> float:
        """What to divide by beforehand; 0 where the type tells it. Makes a note."""
        kind, width = self._samples.dtype.kind, self._samples.dtype.itemsize
        peak = max(-float(self._samples.min()), float(self._samples.max()))
        bits: int | None = 0
        if kind == "f" and np.isfinite(peak):
            bits = bits_of_floats(peak)
        elif kind == "i" and width >= 4 and peak:
            bits = next((bits for bits in (16, 32) if peak <= 1 << (bits - 1)), None)
            bits = 0 if bits == 8 * width else bits
        if bits is None:
            raise fail(unclear_scale(peak))
        if bits:
            self.notes.append(scale_note(bits))
        elif kind != "f":
            self.notes.append(f"scaled from {self._samples.dtype}")
        return float(1 << (bits - 1)) if bits else 0.0


class Blocks:
    """Samples of one channel as they come, with the attributes of `Waveform`, and its answers.

    blocks : as `block` gives them. rate : in Hz.
    """

    floats, channels, seconds = False, 1, 0.0

    def __init__(self, blocks: Iterator[np.ndarray], rate: float) -> None:
        self.rate = rate
        first = next(blocks, np.empty(0, np.float32))
        self._blocks = chain([first], blocks)
        self.notes = [] if first.dtype.kind == "f" else [f"scaled from {first.dtype}"]

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """As of `Waveform`, chunk by chunk: equal samples then give equal digits."""
        for part in cut(self._blocks, _CHUNK):
            yield self.rate, scaled(part[:, None])


def cut(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of `size`; the last may be shorter."""
    held: list[np.ndarray] = []
    for one in blocks:
        held.append(one)
        while sum(map(len, held)) >= size:
            joined = np.concatenate(held)
            yield joined[:size]
            held = [joined[size:]]
    if any(map(len, held)):
        yield np.concatenate(held)


def block(samples: Any, before: np.ndarray | None = None) -> np.ndarray:
    """A block of a stream, checked: floats of full scale +-1, or integers of 8 or 16 bits.

    samples : shape (n,). before : the block before it, which has to be of the same type.

    Raises `AudioError` where it is something else.
    """

    def fail(problem: str) -> AudioError:
        return AudioError(f"The stream {problem}.")

    array = _array(samples, fail)
    like = array.dtype if before is None else before.dtype
    wide = array.dtype.kind != "f" and array.dtype.itemsize > 2
    if array.ndim != 1 or array.dtype != like or wide:
        raise fail(
            f"holds a block of shape {array.shape} and type {array.dtype}: give blocks of one "
            "channel, shape (n,), all of floats of full scale +-1 or all of int16"
        )
    peak = float(np.abs(array).max()) if array.size and array.dtype.kind == "f" else 0.0
    if not math.isfinite(peak):
        raise fail("holds NaN or infinite samples: record it again")
    if bits_of_floats(peak) != 0:
        raise fail(unclear_scale(peak))
    return array


def _is_number(value: Any) -> bool:
    """Also one in an array or tensor, as loaders of batches give it."""
    return isinstance(value, int | float) or math.prod(getattr(value, "shape", (0,))) == 1


def _array(waveform: Any, fail: Callable[[str], AudioError]) -> np.ndarray:
    if np.ma.is_masked(waveform):
        raise fail("has masked samples: fill them, with zeros for instance")
    try:
        if hasattr(waveform, "detach"):
            waveform = waveform.detach().cpu()
            waveform = waveform.float() if "bfloat16" in str(waveform.dtype) else waveform
        array = np.asarray(waveform)
    except (ValueError, TypeError, RuntimeError) as error:
        raise fail("is not an array of numbers: give (waveform, rate)") from error
    kind, width = array.dtype.kind, array.dtype.itemsize
    if array.size and kind not in "fi" and not (kind == "u" and width <= 4):
        raise fail(
            f"has samples of type {array.dtype}: give floats of full scale +-1, "
            "or 8-, 16- or 32-bit integers"
        )
    return array
