"""Ways a recording gets worse: noise, telephone, room, MP3, cuts, level; float32 (n,) at 16 kHz."""

import io
from collections.abc import Sequence

import numpy as np

from persona.audio.reader import RATE, read

VERSION = 1
"""Raised by hand whenever a degradation gives other samples than before."""

BAND = (300, 3400)
"""Telephone band in Hz."""

_SILENCE = 1e-12  # mean square below which there is nothing to divide by


def with_noise(waveform: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add `noise`, shape (n,), at a signal-to-noise ratio of `snr` dB over the whole clip."""
    power, disturbance = np.mean(waveform**2, dtype=float), np.mean(noise**2, dtype=float)
    factor = np.sqrt(power / max(disturbance, _SILENCE) / 10 ** (snr / 10))
    return (waveform + factor * noise).astype(np.float32)


def babble(voices: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Voices, each repeated or cut to `length` samples, added up at equal power."""
    parts = [np.resize(voice, length).astype(float) for voice in voices]
    return np.sum([part / np.sqrt(max(np.mean(part**2), _SILENCE)) for part in parts], axis=0)


def telephone(waveform: np.ndarray) -> np.ndarray:
    """300 to 3400 Hz, sampled at 8 kHz and brought back to 16 kHz; as long as before."""
    import soxr
    from scipy.signal import firwin, oaconvolve

    narrow = soxr.resample(waveform, RATE, RATE // 2)
    band = firwin(801, BAND, pass_zero=False, fs=RATE // 2)
    filtered = soxr.resample(oaconvolve(narrow, band, mode="same"), RATE // 2, RATE)
    return fitted(filtered, len(waveform))


def coloured(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through a microphone: each of eight points from 60 Hz to 8 kHz, an octave apart, is louder
    or softer by up to 6 dB; what lies between follows.
    """
    from scipy.signal import firwin2, oaconvolve

    points = 2.0 ** np.arange(-7, 1)  # of half the rate
    gains = 10 ** (rng.uniform(-6, 6, len(points)) / 20)
    response = firwin2(513, [0, *points], [gains[0], *gains])
    return oaconvolve(waveform, response, mode="same").astype(np.float32)


def in_room(waveform: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """As heard in a room whose echo falls by 60 dB in `seconds`; as long as before.

    The echo is noise that dies away, as strong as what comes straight.
    """
    from scipy.signal import oaconvolve

    time = np.arange(round(seconds * RATE)) / RATE
    echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    response = np.append(1.0, echo / np.linalg.norm(echo))
    return fitted(oaconvolve(waveform, response), len(waveform))


def mp3(waveform: np.ndarray, kilobits: int) -> np.ndarray:
    """Through LAME at a constant bit rate; as long as before and in step with it.

    kilobits : per second; MPEG-2 at 16 kHz offers 8 to 160.
    """
    return fitted(read(encode(waveform, kilobits)).samples, len(waveform))


def encode(waveform: np.ndarray, kilobits: int) -> bytes:
    """An MP3 file of the waveform, whose header states the coder's delay."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream(
            "libmp3lame", rate=RATE, layout="mono", bit_rate=1000 * kilobits
        )
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()


def shortened(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """The middle `seconds` of a clip; all of it where it is shorter."""
    length = round(seconds * RATE)
    start = max(0, (len(waveform) - length) // 2)
    return waveform[start : start + length]


def amplified(waveform: np.ndarray, decibels: float) -> np.ndarray:
    """Louder or quieter; what exceeds full scale is clipped."""
    return np.clip(waveform * np.float32(10 ** (decibels / 20)), -1, 1)


def fitted(waveform: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples, followed by silence where there are fewer."""
    cut = waveform[:length].astype(np.float32)
    return np.pad(cut, (0, length - len(cut)))
