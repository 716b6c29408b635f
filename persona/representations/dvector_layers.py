"""What the d-vector's network hears on the way: outputs of its LSTM layers, pooled over time.

The d-vector is the end of a network trained to keep who speaks and to forget the rest; the layers
below it still carry how something is said.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persona.errors import PersonaError
from persona.representations.dvector import DVector


class DVectorLayers(DVector):
    """Mean and standard deviation over a clip of the outputs of LSTM layers; 512-d for each.

    For each layer in turn the vector holds 256 means, then 256 deviations. The network reads a
    clip once from end to end, in half the time of the d-vector's overlapping windows. Outputs
    are between -1 and 1; the statistics are rounded to 1/512, far below what differs between
    clips, so that a table of them is small.

    Parameters
    ----------
    layers : which of the three, e.g. "23" (default) or "2".
    """

    name = "dvector_layers"
    version = 1
    STEP = 1 / 512

    def __init__(self, layers: str = "23") -> None:
        if not layers or set(layers) - set("123"):
            raise PersonaError(f"LSTM layers {layers!r}: name some of the three, e.g. 23 or 2.")
        super().__init__()
        self.layers = layers
        self.dimension = 512 * len(layers)
        self._stack = [self._layer(number) for number in range(int(max(layers)))]

    def _layer(self, number: int) -> Any:
        """One layer of the encoder's LSTM by itself, with its weights."""
        whole = self._encoder.lstm
        inputs = whole.hidden_size if number else whole.input_size
        layer = self._torch.nn.LSTM(inputs, whole.hidden_size, batch_first=True)
        names = [name.removesuffix("_l0") for name, _ in layer.named_parameters()]
        layer.load_state_dict({f"{n}_l0": getattr(whole, f"{n}_l{number}") for n in names})
        return layer.eval()

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        mels = [self._mel(self._raised(waveform)) for waveform in waveforms]
        # Clips of like length go through the network together, so that little is padding.
        order = np.argsort([len(mel) for mel in mels], kind="stable")
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for start in range(0, len(order), self.BATCH):
            rows = order[start : start + self.BATCH]
            vectors[rows] = self._pool([mels[row] for row in rows])
        return np.round(vectors / self.STEP) * np.float32(self.STEP)

    def _pool(self, mels: list[np.ndarray]) -> np.ndarray:
        """Vectors of clips from their spectrograms, each of shape (frames, 40)."""
        torch = self._torch
        frames = torch.tensor([len(mel) for mel in mels]).view(-1, 1, 1)
        x = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(m) for m in mels], batch_first=True)
        # The network only looks back: what follows a clip does not change what it heard before.
        weights = (torch.arange(x.shape[1]) < frames) / frames  # (clips, 1, frames)
        outputs = []
        with torch.inference_mode():
            for layer in self._stack:
                x, _ = layer(x)
                outputs.append(x)
            parts = []
            for number in self.layers:
                y = outputs[int(number) - 1]
                mean = weights @ y
                variance = weights @ (y - mean).square()
                parts += [mean, variance.sqrt()]
            return torch.cat(parts, dim=-1).squeeze(1).numpy()

    def provenance(self) -> dict[str, Any]:
        return {**super().provenance(), "layers": self.layers}
