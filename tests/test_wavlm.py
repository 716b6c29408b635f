"""WavLM's hidden states, against the network with random weights put in place by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import WAVLM, noise

from persona import representations
from persona.errors import PersonaError
from persona.representations.wavlm import WavLM


@pytest.fixture(autouse=True)
def by_hand(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONA_WEIGHTS", str(published))


def _network(folder: Path) -> Any:
    """The network with the file's parameters put in place without transformers' loader."""
    from transformers import WavLMConfig, WavLMModel

    network = WavLMModel(WavLMConfig.from_json_file(folder / "config.json")).eval()
    part = "parametrizations.weight.original"
    network.load_state_dict(
        {
            key.replace("weight_g", part + "0").replace("weight_v", part + "1"): value
            for key, value in torch.load(folder / "pytorch_model.bin").items()
        }
    )
    return network


def test_is_the_mean_over_time_of_the_last_hidden_state(
    loaded: dict[str, Any], published: Path
) -> None:
    clips = noise(0.5, 1.0)
    network = _network(published / WAVLM)
    with torch.no_grad():
        for vector, clip in zip(loaded["wavlm"].embed(clips), clips, strict=True):
            states = network(torch.from_numpy(clip)[None]).last_hidden_state[0]
            np.testing.assert_allclose(vector, states.numpy().mean(axis=0), atol=1e-5)


def test_all_layers_are_the_transformers_input_and_what_each_layer_makes_of_it(
    loaded: dict[str, Any], published: Path
) -> None:
    clips = noise(0.5, 1.0, 0.5)
    wavlm = WavLM(layer="all")
    assert wavlm.dimension == 3 * 768
    layers = wavlm.embed(clips).reshape(3, 3, 768)
    np.testing.assert_array_equal(layers[:, -1], loaded["wavlm"].embed(clips))
    with torch.no_grad():
        states = _network(published / WAVLM)(
            torch.from_numpy(clips[0])[None], output_hidden_states=True
        ).hidden_states
    for layer, state in enumerate(states):
        np.testing.assert_allclose(layers[0, layer], state[0].numpy().mean(axis=0), atol=1e-5)


def test_layers_are_chosen_by_number_and_joined_by_a_plus() -> None:
    clips = noise(0.5, 0.3)
    layers = WavLM(layer="all").embed(clips).reshape(2, 3, 768)
    chosen = WavLM(layer="2+0").embed(clips)
    np.testing.assert_array_equal(chosen, np.concatenate([layers[:, 2], layers[:, 0]], axis=1))


@pytest.mark.parametrize("layer", ["3", "-1", "0+0", "last+0", "", "1,2"])
def test_a_layer_that_it_does_not_have_is_one_sentence(layer: str) -> None:
    with pytest.raises(PersonaError, match=r"wavlm has no layer .* choose from 0, 1, 2"):
        WavLM(layer=layer)


def test_comes_back_from_its_provenance() -> None:
    made_by = WavLM(layer="1+2").provenance()
    restored = representations.restore(made_by | {"corpus": "CREMA-D"})
    assert restored.provenance() == made_by


@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_padding_would_change_a_clip_so_there_is_none(
    loaded: dict[str, Any], published: Path
) -> None:
    short, long = noise(0.5, 1.0)
    padded = torch.from_numpy(np.stack([np.pad(short, (0, len(short))), long]))
    mask = torch.zeros(padded.shape, dtype=torch.long)
    mask[0, : len(short)] = 1
    mask[1] = 1
    with torch.no_grad():
        states = _network(published / WAVLM)(padded, attention_mask=mask).last_hidden_state
    vector = states[0, :24].mean(dim=0).numpy()  # 24 frames in 0.5 s
    assert np.abs(vector - loaded["wavlm"].embed([short])[0]).max() > 0.01
