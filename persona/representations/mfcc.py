"""Mel-frequency cepstral coefficients, pooled over time (librosa)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from persona.audio import RATE
from persona.errors import PersonaError


class MFCC:
    """Statistics over time of `coefficients` MFCCs (25 ms Hann window, 10 ms hop, 64 mel bands).

    The paper does not say how it pooled. Ours is mean and standard deviation ("mean+std");
    "mean" keeps the mean only, "mean+std+delta" adds both statistics of the first differences.
    """

    name = "mfcc"
    rate = RATE
    version = 1
    POOLINGS: ClassVar = {"mean": 1, "mean+std": 2, "mean+std+delta": 4}

    def __init__(self, coefficients: int = 40, pooling: str = "mean+std"):
        if pooling not in self.POOLINGS:
            raise PersonaError(f"MFCC pooling {pooling!r}: choose from {', '.join(self.POOLINGS)}.")
        import librosa
        import scipy.fft

        self.coefficients, self.pooling = coefficients, pooling
        self.dimension = coefficients * self.POOLINGS[pooling]
        self._librosa, self._dct = librosa, scipy.fft.dct
        # librosa.feature.mfcc builds this filter bank anew for every clip: half of its time.
        self._mel = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=64)

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Unpooled MFCCs, shape (coefficients, frames); equal to `librosa.feature.mfcc`."""
        spectrum = self._librosa.stft(waveform, n_fft=400, hop_length=160, pad_mode="constant")
        power = spectrum.real**2 + spectrum.imag**2
        decibels = self._librosa.power_to_db(self._mel @ power)
        return self._dct(decibels, axis=0, norm="ortho")[: self.coefficients]

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([self._pool(self.frames(w)) for w in waveforms]).astype(np.float32)

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
