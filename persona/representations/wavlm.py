"""WavLM: the average over time of a self-supervised speech transformer's last hidden state.

Chen et al. (2022), "WavLM: Large-scale self-supervised pre-training for full stack speech
processing".
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import AudioError
from persona.representations import _hub

_FILES = ("config.json", "preprocessor_config.json", "pytorch_model.bin")


class WavLM:
    """Hidden states of WavLM, averaged over the frames of a clip (20 ms each); 768-d.

    The first convolution of `microsoft/wavlm-base` is group-normalised over the whole of time,
    so zeros added behind a clip change every frame of it, attention mask or not. Clips are
    therefore never padded: only those of equal length share a batch.

    Parameters
    ----------
    model : identifier on the Hugging Face hub. `dimension` follows the model's hidden size.
    revision : branch, tag or full commit. The weights are downloaded once and then kept, so a
        branch stays where it was; `provenance()` says at which commit.
    batch_size : most clips in one pass. It does not change the values.

    Raises `WeightsError` where the weights cannot be had or are not those of a WavLM.
    """

    name = "wavlm"
    dimension = 768
    rate = RATE
    version = 1

    def __init__(
        self, model: str = "microsoft/wavlm-base", revision: str = "main", batch_size: int = 8
    ) -> None:
        self.model, self.revision, self.batch_size = model, revision, batch_size
        self._weights = _hub.weights(self.name, model, revision, _FILES)
        self._load()
        self.dimension = self._network.config.hidden_size

    def _load(self) -> None:
        import torch
        from transformers import AutoFeatureExtractor, WavLMModel

        folder = self._weights.folder
        try:
            # From a folder, not by the hub's name: by name, transformers also asks the hub's
            # conversion service to turn the published .bin into safetensors.
            self._prepare = AutoFeatureExtractor.from_pretrained(folder)
            loaded: Any = WavLMModel.from_pretrained(folder, output_loading_info=True)
        # A damaged file can raise nearly anything from the unpickler, and none of it is ours.
        except Exception as error:
            raise _hub.unusable(self.name, self._weights, _hub.in_few_words(error)) from error
        self._network, report = loaded
        # transformers only warns here, and fills what is missing with random numbers.
        if missing := sorted(set(report["missing_keys"]) - {"masked_spec_embed"}):
            raise _hub.unusable(self.name, self._weights, f"no values for {missing[0]}")
        self._network.eval()
        self._torch = torch

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Average of the last hidden state, float32 of shape (clips, dimension).

        waveforms : float32 arrays of shape (n,), mono, 16 kHz, of 25 ms or more each;
            `AudioError` for a shorter one.
        """
        return np.ascontiguousarray(self.embed_layers(waveforms)[:, -1])

    def embed_layers(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Averages of every hidden state, float32 of shape (clips, layers + 1, dimension).

        The first is the transformer's input, the last is what `embed` returns: the material of
        a learnt weighted sum of layers (Yang et al. (2021), "SUPERB").
        """
        config = self._network.config
        pooled = np.empty(
            (len(waveforms), config.num_hidden_layers + 1, config.hidden_size), np.float32
        )
        for indices in self._batches(waveforms):
            pooled[indices] = self._pool(np.stack([waveforms[i] for i in indices]))
        return pooled

    def _batches(self, waveforms: Sequence[np.ndarray]) -> Iterator[list[int]]:
        """Indices of clips of equal length, at most `batch_size` at a time."""
        of_length: dict[int, list[int]] = {}
        for index, waveform in enumerate(waveforms):
            of_length.setdefault(len(waveform), []).append(index)
        for length, indices in of_length.items():
            if self._network._get_feat_extract_output_lengths(length) < 1:
                raise AudioError(
                    f"A recording of {length / RATE:.3f} s is too short for {self.name}: "
                    "give it at least 0.025 s."
                )
            for start in range(0, len(indices), self.batch_size):
                yield indices[start : start + self.batch_size]

    def _pool(self, batch: np.ndarray) -> np.ndarray:
        """Clips of equal length (clips, samples) to (clips, layers + 1, dimension)."""
        inputs = self._prepare(list(batch), sampling_rate=RATE, return_tensors="pt")
        with self._torch.inference_mode():
            output = self._network(inputs["input_values"], output_hidden_states=True)
        return np.stack([states.mean(dim=1).numpy() for states in output.hidden_states], axis=1)

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "model": self.model,
            "revision": self.revision,
            "commit": self._weights.commit,
            "weights_sha256": self._weights.sha256("pytorch_model.bin"),
            "config_sha256": self._weights.sha256("config.json"),
            "normalized_input": int(self._prepare.do_normalize),
            "layer": "last",
            "pooling": "mean",
            "transformers": version("transformers"),
        }
