"""x-vector: a speaker-recognition network with statistics pooling, as SpeechBrain publishes it.

Snyder et al. (2018), "X-vectors: robust DNN embeddings for speaker recognition".
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import AudioError
from persona.representations import _hub

_FILES = (
    "hyperparams.yaml",
    "embedding_model.ckpt",
    "mean_var_norm_emb.ckpt",
    "classifier.ckpt",
    "label_encoder.txt",
)
_SHORTEST = 480  # samples: the widest convolution mirrors 3 frames of 10 ms at each end


class XVector:
    """SpeechBrain's `encode_batch` of a clip, not normalised; 512-d.

    Two things are done for a clip to have one vector. Clips are embedded one at a time: in a
    padded batch the convolutions and the pooling see the padding. And the noise (below 1e-4)
    that SpeechBrain's pooling adds to every mean, in training and in use, is drawn from the
    same seed for every clip.

    Parameters
    ----------
    model : identifier on the Hugging Face hub. Its `hyperparams.yaml` can run code: name only
        models you trust.
    revision : branch, tag or full commit. The weights are downloaded once and then kept, so a
        branch stays where it was; `provenance()` says at which commit.

    Raises `WeightsError` where the weights cannot be had or do not fit their network.
    """

    name = "xvector"
    dimension = 512
    rate = RATE
    version = 1

    def __init__(
        self, model: str = "speechbrain/spkrec-xvect-voxceleb", revision: str = "main"
    ) -> None:
        self.model, self.revision = model, revision
        self._weights = _hub.weights(self.name, model, revision, _FILES)
        self._load()

    def _load(self) -> None:
        import torch
        from speechbrain.inference.classifiers import EncoderClassifier
        from speechbrain.utils.checkpoints import torch_patched_state_dict_load
        from speechbrain.utils.fetching import LocalStrategy

        folder = self._weights.folder.absolute()
        try:
            self._network = EncoderClassifier.from_hparams(
                source=str(folder),
                # The published file names the hub, at whatever commit its main branch is.
                overrides={"pretrained_path": folder.as_posix()},
                local_strategy=LocalStrategy.NO_LINK,
                run_opts={"device": "cpu"},
            )
            # Loaded once more, strictly: SpeechBrain only logs what is missing.
            self._network.mods.embedding_model.load_state_dict(
                torch_patched_state_dict_load(folder / "embedding_model.ckpt", "cpu")
            )
        # A damaged file can raise nearly anything from the unpickler, and none of it is ours.
        except Exception as error:
            raise _hub.unusable(self.name, self._weights, _hub.in_few_words(error)) from error
        self._torch = torch

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """x-vectors, float32 of shape (clips, 512).

        waveforms : float32 arrays of shape (n,), mono, 16 kHz, of 30 ms or more each;
            `AudioError` for a shorter one.
        """
        embedded = np.empty((len(waveforms), self.dimension), np.float32)
        for index, waveform in enumerate(waveforms):
            embedded[index] = self._encode(waveform)
        return embedded

    def _encode(self, waveform: np.ndarray) -> np.ndarray:
        if len(waveform) < _SHORTEST:
            raise AudioError(
                f"A recording of {len(waveform) / RATE:.3f} s is too short for {self.name}: "
                f"give it at least {_SHORTEST / RATE:.3f} s."
            )
        torch = self._torch
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self._network.encode_batch(torch.tensor(waveform)).numpy().reshape(-1)

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "model": self.model,
            "revision": self.revision,
            "commit": self._weights.commit,
            "weights_sha256": self._weights.sha256("embedding_model.ckpt"),
            "config_sha256": self._weights.sha256("hyperparams.yaml"),
            "pooling": "mean and standard deviation",
            "speechbrain": version("speechbrain"),
        }
