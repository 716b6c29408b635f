"""x-vector: a speaker-recognition network with statistics pooling, as SpeechBrain publishes it.

Snyder et al. (2018), "X-vectors: robust DNN embeddings for speaker recognition".
"""

from pathlib import Path
from typing import Any

import numpy as np

from persona.representations.hub import Pretrained

_FILE = "embedding_model.ckpt"


class XVector(Pretrained):
    """SpeechBrain's `encode_batch` of a clip, not normalised; 512-d.

    The published repository says in a file that can run code how its network is built; here it
    is built from SpeechBrain's classes, and only the network's tensors are read.

    The noise (below 1e-4) that SpeechBrain's pooling adds to every mean, in training and in use,
    is drawn once, so that it is the same for every clip.

    Parameters
    ----------
    model, revision : as of `Pretrained`.
    weights_sha256 : what `embedding_model.ckpt` has to be.
    """

    name = "xvector"
    title = "x-vector"
    kind = "speaker recognition"
    dimension = 512
    version = 1
    libraries = ("speechbrain", "torch")
    dtype = "float32"
    files = (_FILE,)
    shortest = 480  # the widest convolution mirrors 3 frames of 10 ms at each end
    PUBLISHED = ("speechbrain/spkrec-xvect-voxceleb",)

    def __init__(
        self,
        model: str = "speechbrain/spkrec-xvect-voxceleb",
        revision: str = "main",
        weights_sha256: str | None = None,
    ) -> None:
        super().__init__(model, revision, {_FILE: weights_sha256})

    def _load(self, folder: Path) -> None:
        import torch
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.Xvector import Xvector

        network = Xvector(in_channels=24)
        state = torch.load(folder / _FILE, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
        *frame_level, statistics, linear = network.eval().blocks
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1, linear.w.in_features // 2), generator=generator)
        noise = (noise - noise.min()) / (noise - noise.min()).max()
        self._noise = statistics.eps * (9 - 8 * noise)
        self._deviation_floor = statistics.eps
        self._filterbank = Fbank(n_mels=24).eval()
        self._frame_level, self._linear = torch.nn.Sequential(*frame_level), linear
        self._torch = torch

    def _vector(self, waveform: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            x = self._filterbank(self._torch.tensor(waveform)[None])  # (1, frames, 24)
            x = self._frame_level(x - x.mean(dim=1, keepdim=True))  # (1, frames, 1500)
            mean = x.mean(dim=1) + self._noise
            deviation = x.std(dim=1) + self._deviation_floor
            return self._linear(self._torch.cat([mean, deviation], dim=1))[0].numpy()

    def provenance(self) -> dict[str, Any]:
        return super().provenance() | {
            "weights_sha256": self._weights.sha256(_FILE),
            "pooling": "mean and standard deviation",
        }
