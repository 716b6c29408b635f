"""x-vector: a speaker-recognition network with statistics pooling, as SpeechBrain publishes it.

Snyder et al. (2018), "X-vectors: robust DNN embeddings for speaker recognition".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import AudioError
from persona.representations import hub

_FILE = "embedding_model.ckpt"
_SHORTEST = 480  # samples: the widest convolution mirrors 3 frames of 10 ms at each end


class XVector:
    """SpeechBrain's `encode_batch` of a clip, not normalised; 512-d.

    The published repository says in a file that can run code how its network is built; here it
    is built from SpeechBrain's classes, and only the network's tensors are read.

    Two things are done for a clip to have one vector. Clips are embedded one at a time: in a
    padded batch the convolutions and the pooling see the padding. And the noise (below 1e-4)
    that SpeechBrain's pooling adds to every mean, in training and in use, is drawn once, so that
    it is the same for every clip.

    Parameters
    ----------
    model : identifier on the Hugging Face hub, one of `PUBLISHED`, or any of the same
        architecture with its SHA-256.
    revision : branch, tag or full commit. The weights are downloaded once and then kept, so a
        branch stays where it was; `provenance()` says at which commit.
    weights_sha256 : what `embedding_model.ckpt` has to be.

    Raises `WeightsError` where the weights cannot be had or do not fit the network.
    """

    name = "xvector"
    title = "x-vector"
    kind = "speaker recognition"
    dimension = 512
    rate = RATE
    version = 1
    libraries = ("speechbrain", "torch")
    thread_safe = True
    needs_download = True
    dtype = "float32"
    PUBLISHED = ("speechbrain/spkrec-xvect-voxceleb",)

    def __init__(
        self,
        model: str = "speechbrain/spkrec-xvect-voxceleb",
        revision: str = "main",
        weights_sha256: str | None = None,
    ) -> None:
        self.model, self.revision = model, revision
        self._weights = hub.weights(
            self.name, model, revision, [_FILE],
            published=self.PUBLISHED, sha256={_FILE: weights_sha256},
        )  # fmt: skip
        try:
            self._load()
        # A damaged file can raise nearly anything from the unpickler, and none of it is ours.
        except Exception as error:
            raise hub.unusable(self.name, self._weights, hub.in_few_words(error)) from error

    def _load(self) -> None:
        import torch
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.Xvector import Xvector

        network = Xvector(in_channels=24)
        state = torch.load(self._weights.folder / _FILE, map_location="cpu", weights_only=True)
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

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """x-vectors, float32 of shape (clips, 512).

        waveforms : float32 arrays of shape (n,), mono, 16 kHz, of 30 ms or more each;
            `AudioError` for a shorter one.
        """
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for row, waveform in enumerate(waveforms):
            if len(waveform) < _SHORTEST:
                raise AudioError(
                    f"A recording of {len(waveform) / RATE:.3f} s is too short for {self.name}: "
                    f"give it at least {_SHORTEST / RATE:.3f} s."
                )
            vectors[row] = self._encode(waveform)
        return vectors

    def _encode(self, waveform: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            x = self._filterbank(self._torch.tensor(waveform)[None])  # (1, frames, 24)
            x = self._frame_level(x - x.mean(dim=1, keepdim=True))  # (1, frames, 1500)
            mean = x.mean(dim=1) + self._noise
            deviation = x.std(dim=1) + self._deviation_floor
            return self._linear(self._torch.cat([mean, deviation], dim=1))[0].numpy()

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "model": self.model,
            "revision": self.revision,
            "commit": self._weights.commit,
            "weights_sha256": self._weights.sha256(_FILE),
            "pooling": "mean and standard deviation",
        }
