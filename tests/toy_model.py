"""A model made in a moment, and a representation that needs nothing: for tests of what uses one."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from persona import representations
from persona.audio import speech
from persona.keeping import store
from persona.model import voices
from persona.model.heads import write_heads
from persona.model.saved import Model

CLIP = next((Path(__file__).resolve().parents[1] / "data" / "examples").glob("*.flac"))
DIMENSION = 8


class Bands:
    """Energy in eight bands of a waveform, in dB; `calls` counts the waveforms it was given."""

    name, title, kind = "bands", "Bands", "acoustic features"
    rate, version, libraries, thread_safe, needs_download = 16_000, 1, (), True, False
    dtype, dimension = "float32", DIMENSION
    calls = 0

    def embed(self, waveforms):
        Bands.calls += len(waveforms)
        return np.array([self._one(w) for w in waveforms], np.float32)

    def _one(self, waveform):
        power = np.abs(np.fft.rfft(waveform)) ** 2 / len(waveform)
        return [10 * np.log10(part.sum() + 1e-9) for part in np.array_split(power, DIMENSION)]

    def provenance(self):
        return {"representation": "bands", "version": self.version}


def register(patch: pytest.MonkeyPatch) -> None:
    """Put the toy into the registry: one file, one line."""
    module = ModuleType("persona.representations.bands")
    module.Bands = Bands
    patch.setitem(sys.modules, module.__name__, module)
    patch.setitem(representations._REGISTRY, "bands", "Bands")


def ensemble(architecture: str = "fcn", age_head: str = "number", networks: int = 2):
    import torch

    from persona.network import Ensemble, Network

    torch.manual_seed(0)
    made = [
        Network(DIMENSION, architecture, age_head=age_head, dropout=0.2, input_dropout=0.2)
        for _ in range(networks)
    ]
    for network in made:
        network.input.measure(torch.from_numpy(embeddings()))
        network.age.measure(torch.tensor([20.0, 30, 40, 60]))
    return Ensemble(made).eval()


def embeddings(n: int = 200) -> np.ndarray:
    return np.random.default_rng(0).normal(-10, 10, (n, DIMENSION)).astype(np.float32)


def space() -> voices.Voices:
    return voices.fit(embeddings(), np.arange(200) // 20)


def card() -> dict:
    return {
        "format": 2,
        "name": "toy",
        "representations": [Bands().provenance()],
        "speech": speech.provenance(),
        "network": {
            "dimension": DIMENSION, "architecture": "fcn", "age_head": "number",
            "hidden": [200, 128, 56], "networks": 2,
            "dropout": 0.2, "input_dropout": 0.2, "age_dropout": 0.0,
        },
        "sha256": {"heads.onnx": "", "model.safetensors": ""},
        "training": {},
        "data": {},
        "evaluation": {},
        "calibration": {},
        "age_interval": {
            "level": 0.8, "method": "none", "coverage": {},
            "ages": [20.0, 60.0], "below": [10.0, 20.0], "above": [30.0, 15.0],
        },
        "distances": np.linspace(0, 10, 101).tolist(),
        "trust": None,
        "limits": ["It is <small>."],
        "uses": {"intended": ["Tests."], "refused": ["Hiring & firing."]},
        "software": store.software("numpy"),
    }  # fmt: skip


def model(**changes) -> Model:
    """A model with random weights; `changes` of its card."""
    from safetensors.torch import save

    made = ensemble()
    return Model(card() | changes, write_heads(made, space()), save(made.state_dict()))
