"""Any supported audio -> mono float32 at 16 kHz, and what had to be assumed on the way."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from persona.errors import AudioError

RATE = 16_000
"""Sampling rate in Hz of every waveform inside the package."""


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


def read(source: str | Path | bytes | tuple[np.ndarray, int]) -> Audio:
    """Read a file, its bytes, or a `(waveform, rate)` pair."""
    import soundfile
    import soxr

    if isinstance(source, tuple):
        samples, rate = np.asarray(source[0], dtype=np.float32), int(source[1])
    else:
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        try:
            samples, rate = soundfile.read(opened, dtype="float32", always_2d=False)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"The audio cannot be read ({error.error_string}).") from error
    notes = []
    if samples.ndim == 2:
        notes.append(f"averaged {samples.shape[1]} channels")
        samples = samples.mean(axis=1)
    if rate != RATE:
        notes.append(f"resampled from {rate} Hz")
        samples = soxr.resample(samples, rate, RATE)
    return Audio(np.ascontiguousarray(samples, dtype=np.float32), tuple(notes))
