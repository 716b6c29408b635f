"""WavLM: hidden states of a self-supervised speech transformer, averaged over time.

Chen et al. (2022), "WavLM: Large-scale self-supervised pre-training for full stack speech
processing".
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import AudioError
from persona.representations import chosen_layers, hub

_FILES = ("config.json", "preprocessor_config.json", "pytorch_model.bin")


class WavLM:
    """Hidden states of WavLM, averaged over the frames of a clip (20 ms each); 768-d a layer.

    The first convolution of `microsoft/wavlm-base` is group-normalised over the whole of time,
    so zeros added behind a clip change every frame of it, attention mask or not. Clips are
    therefore never padded: only those of equal length share a batch.

    Parameters
    ----------
    model : identifier on the Hugging Face hub, one of `PUBLISHED`, or any with its SHA-256.
    revision : branch, tag or full commit. The weights are downloaded once and then kept, so a
        branch stays where it was; `provenance()` says at which commit.
    layer : "last", as the paper has it; or numbers joined by "+", from "0", the transformer's
        input, to "12", which is the last again; or "all" of them, the material of a learnt
        weighted sum of layers (Yang et al. (2021), "SUPERB").
    batch_size : most clips in one pass. It does not change the values.
    weights_sha256, config_sha256 : what `pytorch_model.bin` and `config.json` have to be.

    Raises `WeightsError` where the weights cannot be had or are not those of a WavLM, and
    `PersonaError` for a layer that it does not have.
    """

    name = "wavlm"
    title = "WavLM"
    kind = "general speech"
    dimension = 768
    rate = RATE
    version = 1
    libraries = ("torch", "transformers")
    thread_safe = True
    needs_download = True
    dtype = "float32"
    PUBLISHED = ("microsoft/wavlm-base", "microsoft/wavlm-base-plus", "microsoft/wavlm-large")

    def __init__(
        self,
        model: str = "microsoft/wavlm-base",
        revision: str = "main",
        layer: str = "last",
        batch_size: int = 8,
        weights_sha256: str | None = None,
        config_sha256: str | None = None,
    ) -> None:
        self.model, self.revision, self.layer, self.batch_size = model, revision, layer, batch_size
        sha256 = {"pytorch_model.bin": weights_sha256, "config.json": config_sha256}
        self._weights = hub.weights(
            self.name, model, revision, _FILES, published=self.PUBLISHED, sha256=sha256
        )
        try:
            report = self._load()
        # A damaged file can raise nearly anything from the unpickler, and none of it is ours.
        except Exception as error:
            raise hub.unusable(self.name, self._weights, hub.in_few_words(error)) from error
        # transformers only warns here, and fills what is missing with random numbers.
        if missing := sorted(set(report["missing_keys"]) - {"masked_spec_embed"}):
            raise hub.unusable(self.name, self._weights, f"no values for {missing[0]}")
        config = self._network.config
        numbers = [str(number) for number in range(config.num_hidden_layers + 1)]
        joined = {"last": numbers[-1], "all": "+".join(numbers)}.get(layer, layer)
        self._layers = [int(n) for n in chosen_layers(self.name, joined, numbers)]
        self.dimension = config.hidden_size * len(self._layers)

    def _load(self) -> dict[str, Any]:
        """Read the network; returns transformers' report of what the file did not hold."""
        import torch
        from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

        folder = self._weights.folder
        settings = json.loads((folder / "preprocessor_config.json").read_text())
        self._prepare = Wav2Vec2FeatureExtractor(do_normalize=bool(settings["do_normalize"]))
        # Only what describes the network: transformers would follow other entries, for example
        # to kernels and quantisers.
        known = WavLMConfig().to_dict().keys()
        stated = json.loads((folder / "config.json").read_text())
        config = WavLMConfig.from_dict({key: stated[key] for key in stated if key in known})
        # From a folder, not by the hub's name: by name, transformers also asks the hub's
        # conversion service to turn the published .bin into safetensors.
        loaded: Any = WavLMModel.from_pretrained(
            folder, config=config, use_safetensors=False, weights_only=True,
            output_loading_info=True,
        )  # fmt: skip
        self._network, report = loaded
        self._network.eval()
        self._torch = torch
        return report

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Averages of the chosen layers one after the other, shape (clips, dimension).

        waveforms : float32 arrays of shape (n,), mono, 16 kHz, of 25 ms or more each;
            `AudioError` for a shorter one.
        """
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for indices in self._batches(waveforms):
            vectors[indices] = self._pool(np.stack([waveforms[i] for i in indices]))
        return vectors

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
        """Clips of equal length (clips, samples) to (clips, dimension)."""
        inputs = self._prepare(list(batch), sampling_rate=RATE, return_tensors="pt")
        with self._torch.inference_mode():
            output = self._network(inputs["input_values"], output_hidden_states=True)
            states = [output.hidden_states[number].mean(dim=1) for number in self._layers]
            return self._torch.cat(states, dim=1).numpy()

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
            "layer": self.layer,
            "pooling": "mean",
        }
