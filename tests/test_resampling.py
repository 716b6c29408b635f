"""Recordings at any rate are heard as those at 16 kHz are."""

import numpy as np
import pytest
from audio_samples import sine

from persona import audio
from persona.audio import RATE
from persona.audio.resampling import Resampler

RATES = (8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)


def gain(hertz: float, rate: int) -> float:
    """Of a sine, in the middle of what comes out."""
    samples = audio.read((sine(1.0, rate, hertz), rate)).samples
    return float(np.std(samples[RATE // 4 : -RATE // 4]) / np.std(sine(1.0, rate, hertz)))


def noise(rate: int, samples: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)


def test_16_khz_passes_bit_for_bit():
    samples = noise(RATE, RATE)
    np.testing.assert_array_equal(audio.read((samples, RATE)).samples, samples)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > RATE])
def test_from_above_what_lies_below_7_500_hz_stays_and_what_lies_above_9_000_hz_goes(rate):
    assert gain(7_500, rate) > 0.95
    assert gain(7_000, rate) == pytest.approx(1, abs=1e-3)
    assert gain(9_000, rate) < 1e-3


def test_from_below_nothing_is_heard_above_what_the_recording_holds():
    samples = audio.read((noise(8_000, 16_000), 8_000)).samples
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    assert power[frequencies > 4_300].max() < 1e-10 * power[frequencies < 3_700].mean()


@pytest.mark.parametrize("rate", RATES)
def test_sound_stays_where_it_was_and_as_long(rate):
    seconds = 0.731
    samples = audio.read((sine(seconds, rate, 440), rate)).samples
    assert len(samples) == int(round(seconds * rate) * RATE / rate)
    middle = slice(RATE // 10, -RATE // 10)
    there = sine(seconds, RATE, 440)[: len(samples)]
    np.testing.assert_allclose(samples[middle], there[middle], atol=1e-3)


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_pieces_of_any_size_give_the_same_samples(rate):
    samples = noise(rate, rate + 17)

    def in_pieces(size: int) -> np.ndarray:
        resampler = Resampler(rate)
        pieces = [resampler.chunk(samples[i : i + size]) for i in range(0, len(samples), size)]
        return np.concatenate((*pieces, resampler.chunk(samples[:0], last=True)))

    for size in (1, 1_001, len(samples)):
        np.testing.assert_array_equal(in_pieces(size), in_pieces(4_096))
