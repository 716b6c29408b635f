"""Degradations do what their names say."""

import numpy as np
import pytest

from persona.audio import RATE, degradations
from persona.corpora.degraded import Copy


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def voice(rng):
    """Two seconds that are loud and soft by turns and rich in frequencies, as speech is."""
    t = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * f * t) / f for f in (120, 700, 1900, 5200))
    loudness = 0.1 + np.abs(np.sin(2 * np.pi * 1.5 * t))
    return (20 * loudness * tone + 0.01 * rng.standard_normal(len(t))).astype(np.float32)


def decibels(part, whole):
    return 10 * np.log10(np.mean(part.astype(float) ** 2) / np.mean(whole.astype(float) ** 2))


def energy(waveform, low, high):
    """Energy between two frequencies in Hz."""
    power = np.abs(np.fft.rfft(waveform)) ** 2
    frequency = np.fft.rfftfreq(len(waveform), 1 / RATE)
    return power[(frequency >= low) & (frequency < high)].sum()


@pytest.mark.parametrize("snr", [20, 10, 5, 0])
@pytest.mark.parametrize("kind", ["white", "babble"])
def test_noise_has_the_ratio_it_is_called_by(voice, rng, kind, snr):
    voices = [rng.standard_normal(9000).astype(np.float32) for _ in range(4)]
    made = Copy("clip", kind, snr).made(voice, voices)
    assert decibels(voice, made.astype(float) - voice) == pytest.approx(snr, abs=0.1)
    assert (made.dtype, made.shape) == (np.float32, voice.shape)


def test_white_noise_is_flat(voice):
    noise = Copy("clip", "white", 0).made(voice) - voice
    low, high = energy(noise, 100, 3900), energy(noise, 4100, 7900)
    assert low / high == pytest.approx(1, abs=0.1)


def test_noise_is_the_same_every_time_and_another_for_every_clip(voice):
    first = Copy("a", "white", 10).made(voice)
    assert (Copy("a", "white", 10).made(voice) == first).all()
    assert (Copy("b", "white", 10).made(voice) != first).any()


def test_every_voice_of_a_babble_is_equally_loud(rng):
    soft, loud = 0.01 * rng.standard_normal(8000), rng.standard_normal(5000)
    mixed = degradations.babble([soft, loud], 8000)
    shares = [np.corrcoef(mixed, np.resize(voice, 8000))[0, 1] for voice in (soft, loud)]
    assert shares == pytest.approx([2**-0.5] * 2, abs=0.03)


def test_a_telephone_passes_300_to_3400_hertz_only(rng):
    noise = rng.standard_normal(4 * RATE).astype(np.float32)
    heard = degradations.telephone(noise)
    kept = energy(heard, 400, 3300) / energy(noise, 400, 3300)
    below = energy(heard, 20, 250) / energy(noise, 20, 250)
    above = energy(heard, 3500, 8000) / energy(noise, 3500, 8000)
    assert kept == pytest.approx(1, abs=0.02)
    assert max(below, above) < 1e-3
    assert (heard.dtype, heard.shape) == (np.float32, noise.shape)


def test_a_telephone_does_not_delay(voice):
    low = degradations.telephone(voice)
    lags = np.correlate(low[4000:12000], voice[3900:12100], mode="valid")
    assert lags.argmax() == 100


@pytest.mark.parametrize("kilobits", [128, 64, 32])
def test_an_mp3_has_the_bit_rate_it_is_called_by(voice, kilobits):
    file = degradations.encode(np.tile(voice, 5), kilobits)
    # A frame of MPEG-2 layer III: 11 bits of sync, then the bit rate in the third byte.
    start = next(i for i in range(len(file)) if file[i] == 0xFF and file[i + 1] & 0xE0 == 0xE0)
    rates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    frames = file[start + 8000 :]
    sync = next(i for i in range(len(frames)) if frames[i] == 0xFF and frames[i + 1] & 0xE0 == 0xE0)
    assert rates[frames[sync + 2] >> 4] == kilobits
    assert 8 * len(file) / 10 / 1000 == pytest.approx(kilobits, rel=0.1)


@pytest.mark.parametrize("kilobits", [128, 64, 32])
def test_an_mp3_is_as_long_as_and_in_step_with_the_original(voice, kilobits):
    heard = degradations.mp3(voice, kilobits)
    assert heard.shape == voice.shape
    lags = np.correlate(heard[4000:12000], voice[3900:12100], mode="valid")
    assert abs(lags.argmax() - 100) <= 1
    assert decibels(heard - voice, voice) < -10


def test_a_shorter_clip_is_the_middle(voice):
    assert (degradations.shortened(voice, 1) == voice[RATE // 2 : 3 * RATE // 2]).all()
    assert (degradations.shortened(voice, 5) == voice).all()


def test_a_level_is_changed_by_decibels_and_clipped_at_full_scale(voice):
    voice = voice / np.abs(voice).max()
    assert decibels(degradations.amplified(voice, -20), voice) == pytest.approx(-20, abs=0.01)
    louder = degradations.amplified(voice, 10)
    assert np.abs(louder).max() == 1
    assert (np.abs(louder) == 1).sum() > 10
    quiet = np.abs(voice) < 0.3
    assert louder[quiet] == pytest.approx(voice[quiet] * 10**0.5)


def test_an_unknown_degradation_is_no_degradation(voice):
    with pytest.raises(ValueError, match="echo"):
        Copy("clip", "echo").made(voice)


def test_an_mp3_is_the_same_every_time(voice):
    assert degradations.encode(voice, 32) == degradations.encode(voice, 32)


def test_silence_stays_silence_and_does_not_babble(voice):
    silence = np.zeros(8000, np.float32)
    assert not degradations.with_noise(silence, voice[:8000], 5).any()
    assert (degradations.with_noise(voice[:8000], silence, 5) == voice[:8000]).all()
    mixed = degradations.babble([silence, voice], 8000)
    assert np.isfinite(mixed).all() and mixed.any()
