"""The x-vector, against SpeechBrain's own way from its published settings to an embedding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import XVECTOR, noise


@pytest.fixture(scope="module")
def classifier(published: Path) -> Any:
    """SpeechBrain's own object, built from `hyperparams.yaml`."""
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain.utils.fetching import LocalStrategy

    return EncoderClassifier.from_hparams(
        source=str(published / XVECTOR),
        overrides={"pretrained_path": (published / XVECTOR).as_posix()},
        local_strategy=LocalStrategy.NO_LINK,
        run_opts={"device": "cpu"},
    )


@pytest.mark.parametrize("seconds", [0.03, 0.5, 1.0, 2.3])
def test_is_what_encode_batch_gives(
    seconds: float, loaded: dict[str, Any], classifier: Any
) -> None:
    (clip,) = noise(seconds)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = classifier.encode_batch(torch.from_numpy(clip)).numpy().reshape(-1)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(loaded["xvector"].embed([clip])[0], expected, atol=1e-6)


def test_pools_mean_and_deviation_of_the_frames(loaded: dict[str, Any], published: Path) -> None:
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.Xvector import Xvector

    (clip,) = noise(1)
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
    # SpeechBrain's own noise, up to 1e-4 on each mean, is the difference.
    np.testing.assert_allclose(loaded["xvector"].embed([clip])[0], by_hand, atol=3e-4)


def test_padding_would_change_a_clip_so_there_is_none(
    loaded: dict[str, Any], classifier: Any
) -> None:
    short, long = noise(0.5, 1.0)
    padded = torch.from_numpy(np.stack([np.pad(short, (0, len(short))), long]))
    with torch.no_grad():
        vectors = classifier.encode_batch(padded, torch.tensor([0.5, 1.0]))
    assert np.abs(vectors[0, 0].numpy() - loaded["xvector"].embed([short])[0]).max() > 0.001


def test_is_the_same_each_time_and_leaves_the_random_numbers_alone(loaded: dict[str, Any]) -> None:
    clips = noise(0.5)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = loaded["xvector"].embed(clips)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    np.testing.assert_array_equal(loaded["xvector"].embed(clips), first)
