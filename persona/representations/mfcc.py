"""Mel-frequency cepstral coefficients, pooled over time (librosa)."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from persona.audio import RATE
from persona.errors import PersonaError

_BANDS = 64


class MFCC:
    """Statistics over time of `coefficients` MFCCs (25 ms Hann window, 10 ms hop, 64 mel bands).

    The paper does not say how it pooled. Ours is mean and standard deviation ("mean+std");
    "mean" keeps the mean only, "mean+std+delta" adds both statistics of the first differences.
    """

    name = "mfcc"
    title = "MFCC"
    kind = "acoustic features"
    rate = RATE
    version = 1
    libraries = ("numpy", "scipy", "librosa")
    thread_safe = True
    needs_download = False
    dtype = "float32"
    POOLINGS: ClassVar = {"mean": 1, "mean+std": 2, "mean+std+delta": 4}

    def __init__(self, coefficients: int = 40, pooling: str = "mean+std"):
        if pooling not in self.POOLINGS:
            raise PersonaError(f"MFCC pooling {pooling!r}: choose from {', '.join(self.POOLINGS)}.")
        if not 1 <= coefficients <= _BANDS:
            raise PersonaError(f"{coefficients} MFCCs: choose from 1 to {_BANDS}.")
        import scipy.fft

        self.coefficients, self.pooling = coefficients, pooling
        self.dimension = coefficients * self.POOLINGS[pooling]
        self._librosa, self._dct = import_librosa(), scipy.fft.dct
        # librosa.feature.mfcc builds this filter bank anew for every clip: half of its time.
        self._mel = self._librosa.filters.mel(sr=RATE, n_fft=400, n_mels=_BANDS)

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Unpooled MFCCs, shape (coefficients, frames); equal to `librosa.feature.mfcc`."""
        spectrum = self._librosa.stft(waveform, n_fft=400, hop_length=160, pad_mode="constant")
        power = spectrum.real**2 + spectrum.imag**2
        decibels = self._librosa.power_to_db(self._mel @ power)
        return self._dct(decibels, axis=0, norm="ortho")[: self.coefficients]

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for row, waveform in enumerate(waveforms):
            vectors[row] = self._pool(self.frames(waveform))
        return vectors

    def _pool(self, frames: np.ndarray) -> np.ndarray:
        statistics = [frames.mean(axis=1)]
        if self.pooling != "mean":
            statistics.append(frames.std(axis=1))
        if self.pooling == "mean+std+delta":
            # A regression over 9 frames (librosa's default); clips of fewer frames are held.
            padded = np.pad(frames, ((0, 0), (0, max(0, 9 - frames.shape[1]))), mode="edge")
            delta = self._librosa.feature.delta(padded)
            statistics += [delta.mean(axis=1), delta.std(axis=1)]
        return np.concatenate(statistics)

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "coefficients": self.coefficients,
            "pooling": self.pooling,
        }


def import_librosa() -> Any:
    """librosa, also where neither the environment nor the home can be written to.

    numba keeps what it compiles for librosa in one of them and fails where it cannot; it is then
    given a temporary folder, which goes with the process.

    Raises `PersonaError` where there is no temporary folder either.
    """
    import librosa

    try:
        import librosa.util.utils
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        _give_numba_a_folder()
    return librosa


def _give_numba_a_folder() -> None:
    import numba.core.config

    try:
        folder = tempfile.mkdtemp(prefix="persona-numba-")
    except OSError as error:
        raise PersonaError(
            "numba has no folder that it can write to: set NUMBA_CACHE_DIR to one."
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder  # processes that this one starts inherit it
    numba.core.config.reload_config()
