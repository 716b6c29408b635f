"""Ways a recording gets worse: noise, a telephone, MP3, cuts and level; float32 (n,) at 16 kHz."""

import io
from collections.abc import Sequence

import numpy as np

from persona import audio
from persona.audio import RATE

BAND = (300, 3400)
"""Telephone band in Hz."""


def with_noise(waveform: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add `noise`, shape (n,), at a signal-to-noise ratio of `snr` dB over the whole clip."""
    power, disturbance = np.mean(waveform**2, dtype=float), np.mean(noise**2, dtype=float)
    factor = np.sqrt(power / disturbance / 10 ** (snr / 10))
    return (waveform + factor * noise).astype(np.float32)


def babble(voices: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Voices, each repeated or cut to `length` samples, added up at equal power."""
    parts = [np.resize(voice, length).astype(float) for voice in voices]
    return np.sum([part / np.sqrt(np.mean(part**2)) for part in parts], axis=0)


def telephone(waveform: np.ndarray) -> np.ndarray:
    """300 to 3400 Hz, sampled at 8 kHz and brought back to 16 kHz; as long as before."""
    import soxr
    from scipy.signal import firwin, oaconvolve

    narrow = soxr.resample(waveform, RATE, RATE // 2)
    band = firwin(801, BAND, pass_zero=False, fs=RATE // 2)
    filtered = soxr.resample(oaconvolve(narrow, band, mode="same"), RATE // 2, RATE)
    return fitted(filtered, len(waveform))


def mp3(waveform: np.ndarray, kilobits: int) -> np.ndarray:
    """Through LAME (as libsndfile has it) at a constant bit rate, aligned with the original.

    kilobits : per second; MPEG-2 at 16 kHz offers 8 to 160.
    """
    return _aligned(audio.read(encode(waveform, kilobits)).samples, waveform)


def encode(waveform: np.ndarray, kilobits: int) -> bytes:
    """An MP3 file of the waveform."""
    import soundfile

    file = io.BytesIO()
    # libsndfile spreads compression 0 ... 1 evenly over the 160 ... 8 kbit/s of MPEG-2.
    soundfile.write(
        file, waveform, RATE, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT", compression_level=(160 - kilobits) / 152,
    )  # fmt: skip
    return file.getvalue()


def _aligned(decoded: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Cut off the coder's delay, which low bit rates leave no room to state in the file."""
    from scipy.signal import correlate

    latest = max(0, len(decoded) - len(original))
    match = correlate(decoded, original, mode="valid" if latest else "same")
    start = int(match.argmax()) if latest else 0
    return fitted(decoded[start:], len(original))


def shortened(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """The middle `seconds` of a clip; all of it where it is shorter."""
    length = round(seconds * RATE)
    start = max(0, (len(waveform) - length) // 2)
    return waveform[start : start + length]


def amplified(waveform: np.ndarray, decibels: float) -> np.ndarray:
    """Louder or quieter; what exceeds full scale is clipped."""
    return np.clip(waveform * np.float32(10 ** (decibels / 20)), -1, 1)


def fitted(waveform: np.ndarray, length: int) -> np.ndarray:
    cut = waveform[:length].astype(np.float32)
    return np.pad(cut, (0, length - len(cut)))
