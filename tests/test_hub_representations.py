"""WavLM and x-vector, through the libraries' download and loading code, from a hub on this machine.

The weights are random; what is tested is everything but their values.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import hub_server
import numpy as np
import pytest
import soundfile
import torch
from hub_server import COMMIT, WAVLM, XVECTOR, Hub
from huggingface_hub import constants

from persona import audio, representations
from persona.errors import AudioError, WeightsError
from persona.representations.wavlm import WavLM
from persona.representations.xvector import XVector

MODELS = {"wavlm": WAVLM, "xvector": XVECTOR}
both = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what the hub publishes."""
    root = tmp_path_factory.mktemp("published")
    hub_server.build_wavlm(root)
    hub_server.build_xvector(root)
    return root


@pytest.fixture(scope="module")
def loaded(published: Path) -> dict[str, Any]:
    """Both representations, from the published files placed by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONA_WEIGHTS", str(published))
        return {name: representations.load(name) for name in MODELS}


@pytest.fixture
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, an empty folder for weights by hand, and a hub that is not there."""
    monkeypatch.setenv("PERSONA_WEIGHTS", str(tmp_path / "by hand"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        _use_hub(f"http://127.0.0.1:{free.getsockname()[1]}", monkeypatch)
    return tmp_path


@pytest.fixture
def hub(published: Path, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, reachable, with nothing downloaded from it yet."""
    with Hub(published) as running:
        _use_hub(running.endpoint, monkeypatch)
        yield running


def _use_hub(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def _clips(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, round(s * audio.RATE)).astype(np.float32) for s in seconds]


def _is_one_sentence(message: str) -> bool:
    return "\n" not in message and message.endswith(".") and ". " not in message


# Downloading


def test_weights_are_downloaded_once_and_then_need_no_network(
    published: Path, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import json, numpy, sys; from persona import representations\n"
        "loaded = [representations.load(name) for name in sys.argv[1:]]\n"
        "clip = numpy.sin(numpy.arange(8000, dtype=numpy.float32))\n"
        "print(json.dumps([[r.provenance(), r.embed([clip])[0].tolist()] for r in loaded]))\n"
    )
    with Hub(published) as running:
        first = subprocess.run(
            [sys.executable, "-c", script, *MODELS],
            env=os.environ
            | {
                "HF_HOME": str(nothing_cached),
                "HF_ENDPOINT": running.endpoint,
                "NO_PROXY": "127.0.0.1",
                "TQDM_POSITION": "-1",  # shows the hub's bars where there is no terminal
            },
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
        )
    assert first.returncode == 0, first.stderr
    assert "pytorch_model.bin" in first.stderr, "no progress bar"
    for model in MODELS.values():
        files = [path for path in running.asked if path.startswith(f"GET /{model}/")]
        assert len(files) == len(set(files)) >= 3, "a file was downloaded twice"
    assert not [path for path in running.asked if "/api/models" in path], "asked for a conversion"

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(nothing_cached / "hub"))
    clip = np.sin(np.arange(8000, dtype=np.float32))
    for name, (provenance, vector) in zip(MODELS, json.loads(first.stdout), strict=True):
        again = representations.load(name)
        assert provenance["commit"] == COMMIT
        assert again.provenance() == provenance
        np.testing.assert_allclose(again.embed([clip])[0], vector, atol=1e-5)


@both
def test_the_files_are_all_of_the_commit_the_revision_meant_at_the_start(
    name: str, hub: Hub
) -> None:
    representations.load(name)
    files = [path for path in hub.asked if path.startswith(f"GET /{MODELS[name]}/")]
    assert "/resolve/main/" in files[0]
    assert all(f"/resolve/{COMMIT}/" in path for path in files[1:])


def test_a_full_commit_can_be_pinned(hub: Hub) -> None:
    provenance = XVector(revision=COMMIT).provenance()
    assert (provenance["revision"], provenance["commit"]) == (COMMIT, COMMIT)


@both
def test_without_network_one_sentence_says_what_is_missing_and_how_to_get_it(
    name: str, nothing_cached: Path
) -> None:
    start = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        representations.load(name)
    assert time.perf_counter() - start < 8, "it went on trying"
    message = str(caught.value)
    assert _is_one_sentence(message)
    assert f"{MODELS[name]}, revision main" in message
    assert "cannot be reached" in message
    assert f"`persona weights {name}`" in message
    assert str(nothing_cached / "by hand" / MODELS[name]) in message


def test_offline_mode_is_named_as_the_reason(
    nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set") as caught:
        WavLM()
    assert _is_one_sentence(str(caught.value))


def test_the_command_names_the_revision_that_was_asked_for(nothing_cached: Path) -> None:
    with pytest.raises(WeightsError, match="`persona weights xvector --revision v1`"):
        XVector(revision="v1")


@pytest.mark.parametrize(
    ("name", "file"), [("wavlm", "pytorch_model.bin"), ("xvector", "classifier.ckpt")]
)
def test_a_file_the_hub_does_not_have_is_named(
    name: str, file: str, published: Path, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = nothing_cached / "incomplete"
    (root / MODELS[name]).mkdir(parents=True)
    for path in (published / MODELS[name]).iterdir():
        if path.name != file:
            (root / MODELS[name] / path.name).symlink_to(path)
    with Hub(root) as incomplete:
        _use_hub(incomplete.endpoint, monkeypatch)
        with pytest.raises(WeightsError, match=f"{file} does not exist") as caught:
            representations.load(name)
    assert _is_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("model", "revision", "answer"),
    [
        ("nobody/nothing", "main", "has no model nobody/nothing"),
        (WAVLM, "v9", f"has no revision v9 of {WAVLM}"),
        ("not an identifier", "main", "HFValidationError"),
    ],
)
def test_a_wrong_model_or_revision_is_answered_with_one_sentence(
    model: str, revision: str, answer: str, hub: Hub
) -> None:
    with pytest.raises(WeightsError, match=answer) as caught:
        WavLM(model, revision)
    assert "\n" not in str(caught.value)


# Placed by hand


@both
def test_a_folder_placed_by_hand_comes_first(
    name: str, loaded: dict[str, Any], published: Path
) -> None:
    provenance = loaded[name].provenance()
    weights = {"wavlm": "pytorch_model.bin", "xvector": "embedding_model.ckpt"}[name]
    content = (published / MODELS[name] / weights).read_bytes()
    assert provenance["commit"] == "placed by hand"
    assert provenance["weights_sha256"] == sha256(content).hexdigest()
    assert provenance["model"] == MODELS[name]
    assert provenance["revision"] == "main"
    assert all(isinstance(value, str | int | float) for value in provenance.values())


def test_the_data_folder_has_a_place_for_weights(
    published: Path, tmp_path: Path, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERSONA_WEIGHTS")
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path))
    (tmp_path / "weights").symlink_to(published)
    assert XVector().provenance()["commit"] == "placed by hand"


@both
def test_what_an_incomplete_folder_lacks_is_named(name: str, nothing_cached: Path) -> None:
    folder = nothing_cached / "by hand" / MODELS[name]
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    with pytest.raises(WeightsError) as caught:
        representations.load(name)
    message = str(caught.value)
    assert _is_one_sentence(message)
    assert str(folder) in message
    assert {"wavlm": "pytorch_model.bin", "xvector": "embedding_model.ckpt"}[name] in message
    assert " config.json" not in message


# Damaged


def test_a_damaged_download_is_said_and_can_be_put_right(hub: Hub, nothing_cached: Path) -> None:
    XVector()
    (blob,) = (p for p in nothing_cached.rglob("blobs/*") if p.stat().st_size > 16_000_000)
    blob.write_bytes(blob.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="cannot be used for xvector") as caught:
        XVector()
    message = str(caught.value)
    assert "\n" not in message
    shutil.rmtree(message.split("remove ")[1].split(" and run")[0])
    XVector()


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [
        ("wavlm", "pytorch_model.bin", "encoder.pos_conv_embed.conv.weight_g"),
        ("xvector", "embedding_model.ckpt", "blocks.0.conv.bias"),
    ],
)
def test_parameters_are_never_left_at_random(
    name: str, file: str, key: str, published: Path, nothing_cached: Path
) -> None:
    folder = nothing_cached / "by hand" / MODELS[name]
    shutil.copytree(published / MODELS[name], folder)
    state = torch.load(folder / file)
    del state[key]
    torch.save(state, folder / file)
    with pytest.raises(WeightsError, match="cannot be used") as caught:
        representations.load(name)
    assert "\n" not in str(caught.value)


# Values


def _raw_wavlm(folder: Path) -> Any:
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


def test_wavlm_is_the_mean_over_time_of_the_last_hidden_state(
    loaded: dict[str, Any], published: Path
) -> None:
    (clip,) = _clips(1)
    with torch.no_grad():
        frames = _raw_wavlm(published / WAVLM)(torch.from_numpy(clip)[None]).last_hidden_state
    assert frames.shape == (1, 49, 768)
    by_hand = frames.numpy()[0].sum(axis=0) / 49
    np.testing.assert_allclose(loaded["wavlm"].embed([clip])[0], by_hand, atol=1e-5)


def test_wavlm_offers_every_layer_and_the_last_is_the_embedding(
    loaded: dict[str, Any], published: Path
) -> None:
    clips = _clips(0.5, 0.3)
    wavlm = loaded["wavlm"]
    layers = wavlm.embed_layers(clips)
    assert layers.shape == (2, 3, 768)
    assert layers.dtype == np.float32
    np.testing.assert_array_equal(layers[:, -1], wavlm.embed(clips))
    with torch.no_grad():
        states = _raw_wavlm(published / WAVLM)(
            torch.from_numpy(clips[0])[None], output_hidden_states=True
        ).hidden_states
    for layer, state in enumerate(states):
        np.testing.assert_allclose(layers[0, layer], state[0].numpy().mean(axis=0), atol=1e-5)


def test_xvector_pools_mean_and_deviation_of_the_frames(
    loaded: dict[str, Any], published: Path
) -> None:
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.Xvector import Xvector

    (clip,) = _clips(1)
    network = Xvector(in_channels=24).eval()
    network.load_state_dict(torch.load(published / XVECTOR / "embedding_model.ckpt"))
    *frame_level, _, linear = network.blocks
    with torch.no_grad():
        x = Fbank(n_mels=24)(torch.from_numpy(clip)[None])
        x = x - x.mean(dim=1, keepdim=True)
        for block in frame_level:
            x = block(x)
    frames = x[0].numpy()
    assert frames.shape == (101, 1500)
    pooled = np.concatenate([frames.mean(axis=0), frames.std(axis=0, ddof=1)])
    by_hand = linear.w.weight.detach().numpy() @ pooled + linear.w.bias.detach().numpy()
    vector = loaded["xvector"].embed([clip])[0]
    assert np.abs(by_hand).max() > 0.05
    # SpeechBrain's own noise, up to 1e-4 on each mean, is the difference.
    np.testing.assert_allclose(vector, by_hand, atol=3e-4)


@both
def test_a_clip_embeds_the_same_alone_and_in_any_company(name: str, loaded: dict[str, Any]) -> None:
    clips = _clips(0.3, 1.0, 0.7, 1.0, 0.3, 1.0, 0.031)
    together = loaded[name].embed(clips)
    alone = np.concatenate([loaded[name].embed([clip]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(loaded[name].embed(clips[::-1])[::-1], alone, atol=1e-5)


def test_batch_size_changes_no_value(
    loaded: dict[str, Any], published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONA_WEIGHTS", str(published))
    clips = _clips(*[0.3] * 5)
    np.testing.assert_allclose(
        WavLM(batch_size=2).embed(clips), loaded["wavlm"].embed(clips), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_padding_would_change_a_clip_so_there_is_none(
    loaded: dict[str, Any], published: Path
) -> None:
    short, long = _clips(0.5, 1.0)
    padded = torch.from_numpy(np.stack([np.pad(short, (0, len(short))), long]))
    mask = torch.zeros(padded.shape, dtype=torch.long)
    mask[0, : len(short)] = 1
    mask[1] = 1
    with torch.no_grad():
        states = _raw_wavlm(published / WAVLM)(padded, attention_mask=mask).last_hidden_state
        xvectors = loaded["xvector"]._network.encode_batch(padded, torch.tensor([0.5, 1.0]))
    wavlm = states[0, :24].mean(dim=0).numpy()  # 24 frames in 0.5 s
    assert np.abs(wavlm - loaded["wavlm"].embed([short])[0]).max() > 0.01
    assert np.abs(xvectors[0, 0].numpy() - loaded["xvector"].embed([short])[0]).max() > 0.001


def test_xvector_is_the_same_each_time_and_leaves_the_random_numbers_alone(
    loaded: dict[str, Any],
) -> None:
    clips = _clips(0.5)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = loaded["xvector"].embed(clips)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    np.testing.assert_array_equal(loaded["xvector"].embed(clips), first)


@both
def test_vectors_are_finite_float32_of_the_stated_dimension(
    name: str, loaded: dict[str, Any]
) -> None:
    silence = np.zeros(audio.RATE, np.float32)
    vectors = loaded[name].embed([*_clips(0.3, 1), silence, np.ones(audio.RATE, np.float32)])
    assert loaded[name].dimension == {"wavlm": 768, "xvector": 512}[name]
    assert vectors.shape == (4, loaded[name].dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert loaded[name].embed([]).shape == (0, loaded[name].dimension)


@pytest.mark.parametrize(("name", "shortest"), [("wavlm", 400), ("xvector", 480)])
def test_a_clip_without_a_frame_is_refused_with_one_sentence(
    name: str, shortest: int, loaded: dict[str, Any]
) -> None:
    assert np.isfinite(loaded[name].embed([np.ones(shortest, np.float32)])).all()
    for samples in (shortest - 1, 0):
        with pytest.raises(AudioError, match="too short") as caught:
            loaded[name].embed([np.ones(samples, np.float32)])
        assert "\n" not in str(caught.value)


@both
def test_a_48_khz_stereo_file_embeds_like_the_same_sound_at_16_khz_in_mono(
    name: str, loaded: dict[str, Any], tmp_path: Path
) -> None:
    def voice(rate: int) -> np.ndarray:
        t = np.arange(rate) / rate
        harmonics = [np.sin(2 * np.pi * 150 * k * t + k) / k for k in range(1, 30)]
        return 0.1 * np.sum(harmonics, axis=0) * (1 + np.sin(2 * np.pi * 3 * t))

    left_only = 0.05 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    stereo = np.stack([voice(48_000) + left_only, voice(48_000) - left_only], axis=1)
    soundfile.write(tmp_path / "48.wav", stereo, 48_000, subtype="FLOAT")
    soundfile.write(tmp_path / "16.wav", voice(16_000), 16_000, subtype="FLOAT")
    read = [audio.read(tmp_path / file).samples for file in ("48.wav", "16.wav")]
    high, low, other = loaded[name].embed([*read, *_clips(1)])
    assert np.linalg.norm(high - low) < 0.05 * np.linalg.norm(other - low)
