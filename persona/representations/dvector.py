"""d-vector: a speaker-recognition LSTM trained with the GE2E loss, as resemblyzer ships it.

Wan, Wang, Papir and Lopez Moreno (2018), "Generalized end-to-end loss for speaker verification".
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persona.audio import RATE

_TARGET_RMS = 10 ** (-30 / 20)  # resemblyzer raises quieter speech to -30 dBFS


class DVector:
    """Mean of the embeddings of 1.6 s windows (1.3 per second), scaled to unit length; 256-d.

    Equal to resemblyzer's `embed_utterance` on the level-normalised clip; its voice-activity
    trimming is left out, so that a clip's pauses stay part of what is heard. Windows of many
    clips go through the LSTM together, which is what makes it fast.
    """

    name = "dvector"
    dimension = 256
    rate = RATE
    version = 1
    BATCH = 32  # windows per pass: larger batches fall out of the cache and are slower

    def __init__(self) -> None:
        import resemblyzer
        import torch
        from resemblyzer.audio import wav_to_mel_spectrogram

        self._torch, self._mel = torch, wav_to_mel_spectrogram
        self._encoder = resemblyzer.VoiceEncoder("cpu", verbose=False).eval()
        self._weights = Path(resemblyzer.__file__).parent / "pretrained.pt"

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        windows = [self._windows(waveform) for waveform in waveforms]
        embedded = self._encode(np.concatenate(windows))
        ends = np.cumsum([len(w) for w in windows])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(embedded, ends)])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def _windows(self, waveform: np.ndarray) -> np.ndarray:
        """Mel spectrograms of a clip's windows, shape (windows, 160, 40)."""
        waveform = self._raised(waveform)
        samples, frames = self._encoder.compute_partial_slices(len(waveform), 1.3, 0.75)
        missing = max(0, samples[-1].stop - len(waveform))
        mel = self._mel(np.pad(waveform, (0, missing)))
        return np.stack([mel[part] for part in frames])

    def _raised(self, waveform: np.ndarray) -> np.ndarray:
        """Quiet speech at the level the network knows."""
        level = np.sqrt(np.mean(waveform**2))
        if 0 < level < _TARGET_RMS:
            return waveform * np.float32(_TARGET_RMS / level)
        return waveform

    def _encode(self, windows: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            batches = self._torch.from_numpy(windows).split(self.BATCH)
            return self._torch.cat([self._encoder(batch) for batch in batches]).numpy()

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "weights_sha256": hashlib.sha256(self._weights.read_bytes()).hexdigest(),
        }
