"""WavLM: hidden states of a self-supervised speech transformer, averaged over time.

Chen et al. (2022), "WavLM: Large-scale self-supervised pre-training for full stack speech
processing".
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.representations import chosen_layers
from persona.representations.hub import Pretrained


class WavLM(Pretrained):
    """Hidden states of WavLM, averaged over the frames of a clip (20 ms each); 768-d a layer.

    The first convolution of `microsoft/wavlm-base` is group-normalised over the whole of time,
    so zeros added behind a clip change every frame of it, attention mask or not.

    Parameters
    ----------
    model, revision : as of `Pretrained`.
    layer : "last", as the paper has it; or numbers joined by "+", from "0", the transformer's
        input, to "12", which is the last again; or "all" of them, the material of a learnt
        weighted sum of layers (Yang et al. (2021), "SUPERB").
    weights_sha256, config_sha256 : what `pytorch_model.bin` and `config.json` have to be.

    Raises `PersonaError` for a layer that it does not have.
    """

    name = "wavlm"
    title = "WavLM"
    kind = "general speech"
    dimension = 768
    version = 1
    libraries = ("torch", "transformers")
    dtype = "float32"
    files = ("config.json", "preprocessor_config.json", "pytorch_model.bin")
    shortest = 400  # what the convolutions make one frame of
    PUBLISHED = ("microsoft/wavlm-base", "microsoft/wavlm-base-plus", "microsoft/wavlm-large")

    def __init__(
        self,
        model: str = "microsoft/wavlm-base",
        revision: str = "main",
        layer: str = "last",
        weights_sha256: str | None = None,
        config_sha256: str | None = None,
    ) -> None:
        sha256 = {"pytorch_model.bin": weights_sha256, "config.json": config_sha256}
        super().__init__(model, revision, sha256)
        self.layer = layer
        config = self._network.config
        numbers = [str(number) for number in range(config.num_hidden_layers + 1)]
        joined = {"last": numbers[-1], "all": "+".join(numbers)}.get(layer, layer)
        self._layers = [int(n) for n in chosen_layers(self.name, joined, numbers)]
        self.dimension = config.hidden_size * len(self._layers)

    def _load(self, folder: Path) -> None:
        import torch
        from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

        settings = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
        self._prepare = Wav2Vec2FeatureExtractor(do_normalize=bool(settings["do_normalize"]))
        # Only what describes the network: transformers would follow other entries, for example
        # to kernels and quantisers.
        known = WavLMConfig().to_dict().keys()
        stated = json.loads((folder / "config.json").read_text("utf-8"))
        config = WavLMConfig.from_dict({key: stated[key] for key in stated if key in known})
        # From a folder, not by the hub's name: by name, transformers also asks the hub's
        # conversion service to turn the published .bin into safetensors.
        loaded: Any = WavLMModel.from_pretrained(
            folder, config=config, use_safetensors=False, weights_only=True,
            output_loading_info=True,
        )  # fmt: skip
        self._network, report = loaded
        # transformers only warns here, and fills what is missing with random numbers.
        if missing := sorted(set(report["missing_keys"]) - {"masked_spec_embed"}):
            raise ValueError(f"no values for {missing[0]}")
        self._network.eval()
        self._torch = torch

    def _vector(self, waveform: np.ndarray) -> np.ndarray:
        inputs = self._prepare(waveform, sampling_rate=RATE, return_tensors="pt")
        with self._torch.inference_mode():
            output = self._network(inputs["input_values"], output_hidden_states=True)
            states = [output.hidden_states[number][0].mean(dim=0) for number in self._layers]
            return self._torch.cat(states).numpy()

    def provenance(self) -> dict[str, Any]:
        return super().provenance() | {
            "weights_sha256": self._weights.sha256("pytorch_model.bin"),
            "config_sha256": self._weights.sha256("config.json"),
            "normalized_input": int(self._prepare.do_normalize),
            "layer": self.layer,
            "pooling": "mean",
        }
