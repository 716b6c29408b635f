"""d-vector: a speaker-recognition LSTM trained with the GE2E loss, as resemblyzer ships it.

Wan, Wang, Papir and Lopez Moreno (2018), "Generalized end-to-end loss for speaker verification".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.keeping import store
from persona.representations import chosen_layers
from persona.representations.mfcc import import_librosa

_TARGET_RMS = 10 ** (-30 / 20)  # resemblyzer raises quieter speech to -30 dBFS
_LSTM = ("lstm1", "lstm2", "lstm3")
_STEP = np.float32(1 / 512)
_BATCH = 32  # windows or clips per pass: larger batches fall out of the cache and are slower


class DVector:
    """The network's embedding of a clip, or what its LSTM layers keep below it.

    The embedding is the mean over windows of 1.6 s (1.3 per second), scaled to unit length;
    256-d. It equals resemblyzer's `embed_utterance` on the level-normalised clip; its
    voice-activity trimming is left out.

    The embedding is trained to keep who speaks and to forget the rest; the layers below it still
    carry how something is said. Of each layer that is asked for, the vector holds 256 means, then
    256 standard deviations over the clip, which the network reads once from end to end. They are
    between -1 and 1 and rounded to 1/512, far below what differs between clips, so that a table
    of them is small.

    Parameters
    ----------
    layer : "embedding", or layers of the LSTM joined by "+", for example "lstm2+lstm3".
    """

    name = "dvector"
    title = "d-vector"
    kind = "speaker recognition"
    rate = RATE
    version = 1
    libraries = ("librosa", "resemblyzer", "torch")
    thread_safe = True
    needs_download = False
    dtype = "float32"

    def __init__(self, layer: str = "embedding") -> None:
        self.layer = layer
        self._layers = [] if layer == "embedding" else chosen_layers(self.name, layer, _LSTM)
        self.dimension = 512 * len(self._layers) or 256
        import_librosa()  # before resemblyzer does
        import resemblyzer
        import torch
        from resemblyzer.audio import wav_to_mel_spectrogram

        self._torch, self._mel = torch, wav_to_mel_spectrogram
        self._encoder = resemblyzer.VoiceEncoder("cpu", verbose=False).eval()
        self._weights = Path(resemblyzer.__file__).parent / "pretrained.pt"
        depth = max((_LSTM.index(name) + 1 for name in self._layers), default=0)
        self._stack = [self._lstm(number) for number in range(depth)]

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        if not len(waveforms):
            return np.empty((0, self.dimension), np.float32)
        raised = [self._raised(waveform) for waveform in waveforms]
        return self._pooled_layers(raised) if self._layers else self._embeddings(raised)

    def _raised(self, waveform: np.ndarray) -> np.ndarray:
        """Quiet speech at the level the network knows."""
        level = np.sqrt(np.mean(waveform**2))
        if 0 < level < _TARGET_RMS:
            return waveform * np.float32(_TARGET_RMS / level)
        return waveform

    def _embeddings(self, waveforms: list[np.ndarray]) -> np.ndarray:
        windows = [self._windows(waveform) for waveform in waveforms]
        with self._torch.inference_mode():
            batches = self._torch.from_numpy(np.concatenate(windows)).split(_BATCH)
            embedded = self._torch.cat([self._encoder(batch) for batch in batches]).numpy()
        ends = np.cumsum([len(w) for w in windows])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(embedded, ends)])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def _windows(self, waveform: np.ndarray) -> np.ndarray:
        """Mel spectrograms of a clip's windows, shape (windows, 160, 40)."""
        samples, frames = self._encoder.compute_partial_slices(len(waveform), 1.3, 0.75)
        missing = max(0, samples[-1].stop - len(waveform))
        mel = self._mel(np.pad(waveform, (0, missing)))
        return np.stack([mel[part] for part in frames])

    def _lstm(self, number: int) -> Any:
        """One layer of the encoder's LSTM by itself, with its weights."""
        whole = self._encoder.lstm
        inputs = whole.hidden_size if number else whole.input_size
        layer = self._torch.nn.LSTM(inputs, whole.hidden_size, batch_first=True)
        names = [name.removesuffix("_l0") for name, _ in layer.named_parameters()]
        layer.load_state_dict({f"{n}_l0": getattr(whole, f"{n}_l{number}") for n in names})
        return layer.eval()

    def _pooled_layers(self, waveforms: list[np.ndarray]) -> np.ndarray:
        mels = [self._mel(waveform) for waveform in waveforms]
        # Clips of like length go through the network together, so that little is padding.
        order = np.argsort([len(mel) for mel in mels], kind="stable")
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            vectors[rows] = self._pool([mels[row] for row in rows])
        return np.round(vectors / _STEP) * _STEP

    def _pool(self, mels: list[np.ndarray]) -> np.ndarray:
        """Vectors of clips from their spectrograms, each of shape (frames, 40)."""
        torch = self._torch
        frames = torch.tensor([len(mel) for mel in mels]).view(-1, 1, 1)
        x = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(m) for m in mels], batch_first=True)
        # The network only looks back: what follows a clip does not change what came before.
        weights = (torch.arange(x.shape[1]) < frames) / frames  # (clips, 1, frames)
        outputs = {}
        with torch.inference_mode():
            for name, layer in zip(_LSTM, self._stack, strict=False):
                x, _ = layer(x)
                outputs[name] = x
            parts = []
            for name in self._layers:
                mean = weights @ outputs[name]  # (clips, 1, 256)
                variance = weights @ (outputs[name] - mean).square()
                parts += [mean, variance.sqrt()]
            return torch.cat(parts, dim=-1).squeeze(1).numpy()

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "layer": self.layer,
            "weights_sha256": store.sha256(self._weights),
        }
