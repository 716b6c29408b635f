"""Whisper: hidden states of a speech-recognition transformer's encoder, pooled over time.

Radford et al. (2022), "Robust speech recognition via large-scale weak supervision",
arXiv 2212.04356.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import PersonaError
from persona.representations import chosen_layers
from persona.representations.hub import Pretrained

_PREFIX = "model.encoder."
_PIECE = 30 * RATE  # samples: the length of the position table
_POOLINGS = ("mean", "mean+std")


class Whisper(Pretrained):
    """Hidden states of Whisper's encoder, pooled over the frames of a clip (20 ms each).

    The encoder runs on the frames that a clip has, not on 30 s of padding, by the first of its
    positions. A clip of more than 30 s is cut into pieces of equal length, as few as can be, and
    pooled over the frames of all of them. Weights are rounded to the half precision in which they
    were trained, and computed with in single precision; vectors are rounded to half precision.

    Parameters
    ----------
    model, revision : as of `Pretrained`. Of the file, only the encoder's tensors are read, and the
        file may hold no others.
    layer : "last", after the final normalisation; or names joined by "+", of "input", the first
        layer's input, "1" to "6", the layers' outputs, and "last".
    pooling : "mean", or "mean+std" for mean and (unbiased) standard deviation of each layer in
        turn.

    `dimension` is 512 for each statistic of each layer of `openai/whisper-base`.

    Raises `PersonaError` for a layer or pooling that there is not.
    """

    name = "whisper"
    title = "Whisper"
    kind = "general speech"
    dimension = 512
    version = 1
    libraries = ("torch", "transformers")
    dtype = "float16"
    files = ("config.json", "model.safetensors")
    shortest = 400  # one window of 25 ms
    PUBLISHED = ("openai/whisper-base", "openai/whisper-tiny", "openai/whisper-small")

    def __init__(
        self,
        model: str = "openai/whisper-base",
        revision: str = "main",
        layer: str = "last",
        pooling: str = "mean",
    ) -> None:
        if pooling not in _POOLINGS:
            raise PersonaError(f"Whisper pooling {pooling!r}: choose from {', '.join(_POOLINGS)}.")
        super().__init__(model, revision)
        self.layer, self.pooling = layer, pooling
        layers = ["input", *(str(n + 1) for n in range(len(self._encoder.layers))), "last"]
        self._layers = chosen_layers(self.name, layer, layers)
        statistics = 1 + (pooling == "mean+std")
        self.dimension = self._encoder.config.d_model * len(self._layers) * statistics

    def _load(self, folder: Path) -> None:
        import torch
        from transformers import WhisperConfig, WhisperFeatureExtractor
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        stated = json.loads((folder / "config.json").read_text("utf-8"))
        sizes = (
            "d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim",
            "num_mel_bins", "max_source_positions",
        )  # fmt: skip
        config = WhisperConfig.from_dict({key: int(stated[key]) for key in sizes})
        with torch.device("meta"):  # no random numbers where the weights will be
            self._encoder = WhisperEncoder(config)
        self._encoder.load_state_dict(self._tensors(folder / "model.safetensors"), assign=True)
        self._encoder.eval()
        self._prepare = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        self._torch = torch

    def _tensors(self, file: Path) -> dict[str, Any]:
        """The encoder's tensors in single precision, by name; sets their SHA-256."""
        from safetensors import safe_open

        tensors, digest = {}, hashlib.sha256()
        with safe_open(file, "pt") as opened:
            for name in sorted(key for key in opened.keys() if key.startswith(_PREFIX)):  # noqa: SIM118
                half = opened.get_tensor(name).half().contiguous()
                digest.update(f"{name} {tuple(half.shape)}\n".encode() + half.numpy().tobytes())
                tensors[name.removeprefix(_PREFIX)] = half.float()
        self._sha256 = digest.hexdigest()
        return tensors

    def _vector(self, waveform: np.ndarray) -> np.ndarray:
        pieces = np.array_split(waveform, -(-len(waveform) // _PIECE))
        states = [self._states(piece) for piece in pieces]
        parts = []
        for layer in self._layers:
            frames = self._torch.cat([piece[layer] for piece in states])
            parts.append(frames.mean(dim=0))
            if self.pooling == "mean+std":
                parts.append(frames.std(dim=0, correction=min(1, len(frames) - 1)))
        return self._torch.cat(parts).numpy().astype(np.float16)

    def _states(self, waveform: np.ndarray) -> dict[str, Any]:
        """Hidden states of at most 30 s by the layer's name, each of shape (frames, d_model)."""
        network, gelu = self._encoder, self._torch.nn.functional.gelu
        mel = self._prepare(
            waveform, sampling_rate=RATE, padding="do_not_pad", return_tensors="pt"
        )["input_features"]
        with self._torch.inference_mode():
            # The second convolution takes two frames of 10 ms to one: a last odd one is left out.
            x = gelu(network.conv1(mel[..., : mel.shape[-1] // 2 * 2]))
            x = gelu(network.conv2(x)).transpose(1, 2)  # (1, frames, d_model)
            x = x + network.embed_positions.weight[: x.shape[1]]
            states = {"input": x[0]}
            for number, layer in enumerate(network.layers, start=1):
                x = layer(x, None)
                states[str(number)] = x[0]
            states["last"] = network.layer_norm(x)[0]
        return states

    def provenance(self) -> dict[str, Any]:
        return super().provenance() | {
            "encoder_sha256": self._sha256,
            "layer": self.layer,
            "pooling": self.pooling,
        }
