"""Whisper's encoder: against transformers' own forward pass, and against published answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import WHISPER, noise

from persona import audio, representations
from persona.errors import PersonaError
from persona.representations.whisper import Whisper

SHARED = Path(__file__).resolve().parents[1].parent / "shared"

HALF = 1e-3
"""Relative tolerance of vectors that are rounded to half precision."""


@pytest.fixture
def by_hand(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONA_WEIGHTS", str(published))
    return published / WHISPER


def _model(folder: Path) -> Any:
    """The whole model by transformers' own loader."""
    from safetensors.torch import load_file
    from transformers import WhisperConfig, WhisperModel

    model = WhisperModel(WhisperConfig.from_json_file(folder / "config.json")).eval()
    state = load_file(folder / "model.safetensors")
    model.load_state_dict({key.removeprefix("model."): value for key, value in state.items()})
    return model


def test_thirty_seconds_give_what_transformers_encoder_gives(
    loaded: dict[str, Any], by_hand: Path
) -> None:
    from transformers import WhisperFeatureExtractor

    (clip,) = noise(30)
    mel = WhisperFeatureExtractor()(clip, sampling_rate=audio.RATE, return_tensors="pt")
    with torch.no_grad():
        output = _model(by_hand).encoder(mel["input_features"], output_hidden_states=True)
    last = output.last_hidden_state[0].numpy()
    np.testing.assert_allclose(
        loaded["whisper"].embed([clip])[0], last.mean(axis=0), atol=1e-4, rtol=HALF
    )
    first = output.hidden_states[1][0].numpy()
    expected = np.concatenate([first.mean(axis=0), first.std(axis=0, ddof=1)])
    vector = Whisper(layer="1", pooling="mean+std").embed([clip])[0]
    np.testing.assert_allclose(vector, expected, atol=1e-4, rtol=HALF)


def test_a_clip_is_not_padded(loaded: dict[str, Any]) -> None:
    (clip,) = noise(1)
    longer = np.pad(clip, (0, audio.RATE))
    vectors = loaded["whisper"].embed([clip, longer])
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_more_than_thirty_seconds_are_pooled_over_pieces_of_equal_length(
    loaded: dict[str, Any],
) -> None:
    (clip,) = noise(40)
    whole, first, second = loaded["whisper"].embed([clip, clip[: 20 * 16_000], clip[20 * 16_000 :]])
    np.testing.assert_allclose(whole, (first + second) / 2, atol=1e-5, rtol=HALF)
    (barely,) = noise(30.001)
    assert np.isfinite(loaded["whisper"].embed([barely])).all()


def test_layers_are_joined_by_a_plus_and_each_has_its_statistics(by_hand: Path) -> None:
    clips = noise(0.5, 0.3)
    joined = Whisper(layer="input+last", pooling="mean+std")
    assert joined.dimension == 4 * 64
    parts = [Whisper(layer=layer, pooling="mean+std").embed(clips) for layer in ("input", "last")]
    np.testing.assert_array_equal(joined.embed(clips), np.concatenate(parts, axis=1))
    means = Whisper(layer="input").embed(clips)
    np.testing.assert_array_equal(means, parts[0][:, :64])


def test_the_shortest_clip_has_a_deviation_of_zero(by_hand: Path) -> None:
    vector = Whisper(pooling="mean+std").embed([np.ones(400, np.float32)])[0]
    assert (vector[64:] == 0).all()


def test_half_precision_and_the_encoder_alone_are_the_same_weights(
    loaded: dict[str, Any], by_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / WHISPER
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes((by_hand / "config.json").read_bytes())
    state = load_file(by_hand / "model.safetensors")
    alone = {key: value.half() for key, value in state.items() if "encoder." in key}
    assert 0 < len(alone) < len(state)
    save_file(alone, folder / "model.safetensors")
    made_by = loaded["whisper"].provenance()
    monkeypatch.setenv("PERSONA_WEIGHTS", str(tmp_path))
    restored = representations.restore(made_by)
    assert restored.provenance() == made_by
    clips = noise(0.5)
    np.testing.assert_array_equal(restored.embed(clips), loaded["whisper"].embed(clips))


def test_a_wrong_layer_or_pooling_is_one_sentence(by_hand: Path) -> None:
    with pytest.raises(PersonaError, match="whisper has no layer '3': choose from input, 1, 2, l"):
        Whisper(layer="3")
    with pytest.raises(PersonaError, match="Whisper pooling 'max': choose from mean, mean\\+std"):
        Whisper(pooling="max")


def test_the_published_weights_give_the_published_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (SHARED / "weights" / "whisper-base").is_dir():
        pytest.skip("the published weights are not beside the project (../shared/weights)")
    (tmp_path / "openai").mkdir()
    (tmp_path / WHISPER).symlink_to(SHARED / "weights" / "whisper-base")
    monkeypatch.setenv("PERSONA_WEIGHTS", str(tmp_path))
    answers = np.load(SHARED / "weights" / "whisper-base" / "reference.npz")
    whisper = Whisper(layer="input+1+2+3+4+5+6+last", pooling="mean+std")
    assert whisper.dimension == 8 * 2 * 512
    clips = [SHARED / "crema-d" / "audio" / f"{clip}.flac" for clip in answers["clip"]]
    vectors = whisper.embed([audio.read(clip).samples for clip in clips]).reshape(-1, 8, 2, 512)
    np.testing.assert_allclose(vectors[:, :, 0], answers["mean"], atol=1e-3, rtol=HALF)
    np.testing.assert_allclose(vectors[:, :, 1], answers["std"], atol=1e-3, rtol=HALF)
