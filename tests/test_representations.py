"""Representations that need no download: equal to the libraries they come from, clip by clip."""

import numpy as np
import pytest

from persona import representations
from persona.errors import PersonaError

RATE = 16_000


def voices(*seconds: float) -> list[np.ndarray]:
    """Buzzes with a moving pitch: something with formant-free voicing, at speech level."""
    made = []
    for i, length in enumerate(seconds):
        t = np.arange(int(length * RATE)) / RATE
        pitch = 120 + 40 * i + 20 * np.sin(2 * np.pi * 2 * t)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        made.append((0.1 * np.sign(np.sin(phase)) * (1 + np.sin(9 * t)) / 2).astype(np.float32))
    return made


@pytest.fixture(scope="module", params=representations.OFFLINE)
def representation(request):
    return representations.load(request.param)


class TestEveryRepresentation:
    def test_gives_one_finite_float32_vector_per_clip(self, representation):
        vectors = representation.embed(voices(1.0, 2.5, 4.0))
        assert vectors.shape == (3, representation.dimension)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()

    def test_a_clip_embeds_the_same_alone_and_in_company(self, representation):
        clips = voices(1.0, 2.5, 4.0, 0.7)
        together = representation.embed(clips)
        alone = np.concatenate([representation.embed([clip]) for clip in clips])
        scale = np.maximum(abs(together), 1e-2)
        assert (abs(together - alone) / scale).max() < 1e-3

    def test_survives_silence_and_a_tenth_of_a_second(self, representation):
        clips = [np.zeros(RATE, np.float32), voices(0.1)[0]]
        assert np.isfinite(representation.embed(clips)).all()

    def test_says_what_it_is(self, representation):
        made_by = representation.provenance()
        assert made_by["representation"] == representation.name
        assert made_by["version"] == representations.version(representation.name)
        assert representation.rate == RATE


def test_mfcc_are_those_of_librosa_pooled():
    import librosa

    clip = voices(2.0)[0]
    frames = librosa.feature.mfcc(y=clip, sr=RATE, n_mfcc=40, n_fft=400, hop_length=160, n_mels=64)
    expected = np.concatenate([frames.mean(axis=1), frames.std(axis=1)])
    assert np.allclose(representations.load("mfcc").embed([clip])[0], expected, atol=1e-2)


@pytest.mark.parametrize(
    ("pooling", "dimension"), [("mean", 40), ("mean+std", 80), ("mean+std+delta", 160)]
)
def test_mfcc_pooling_is_a_parameter_and_longer_ones_begin_with_shorter_ones(pooling, dimension):
    clip = voices(2.0)
    pooled = representations.load("mfcc", pooling=pooling).embed(clip)
    everything = representations.load("mfcc", pooling="mean+std+delta").embed(clip)
    assert pooled.shape == (1, dimension)
    assert np.allclose(pooled, everything[:, :dimension])


def test_a_dvector_is_what_resemblyzer_gives_for_speech_at_its_level():
    import resemblyzer

    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    clip = voices(3.0)[0]
    level = 10 ** (-30 / 20) / np.sqrt(np.mean(clip**2))
    assert level < 1  # louder than -30 dBFS: left as it is
    ours = representations.load("dvector").embed([clip])[0]
    assert np.allclose(ours, encoder.embed_utterance(clip), atol=1e-6)
    assert np.linalg.norm(ours) == pytest.approx(1, abs=1e-5)


def test_a_dvector_does_not_depend_on_how_quiet_the_clip_is():
    clip = voices(2.0)[0]
    dvector = representations.load("dvector")
    near, far = dvector.embed([clip * 0.02])[0], dvector.embed([clip * 0.002])[0]
    assert np.allclose(near, far, atol=1e-4)


def test_egemaps_are_those_of_opensmile():
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    clip = voices(2.0)[0]
    egemaps = representations.load("egemaps")
    expected = smile.process_signal(clip, RATE)
    assert egemaps.columns == list(expected.columns)
    assert np.allclose(egemaps.embed([clip])[0], expected.to_numpy()[0], rtol=1e-5)


def test_an_unknown_name_and_an_unknown_parameter_are_one_sentence():
    with pytest.raises(PersonaError, match="no representation 'hubert'; choose from mfcc"):
        representations.load("hubert")
    with pytest.raises(PersonaError, match="dvector has no parameter pooling"):
        representations.load("dvector", pooling="mean")
    with pytest.raises(PersonaError, match="MFCC pooling 'max': choose from mean"):
        representations.load("mfcc", pooling="max")
