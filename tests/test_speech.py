"""Where somebody speaks, and the windows of speech that a network hears."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest

from persona.audio import RATE, speech
from persona.audio import windows as cutting
from persona.audio.quality import levels_of
from persona.errors import WeightsError
from persona.keeping import store

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def clips(corpus: str, count: int) -> list[np.ndarray]:
    import soundfile

    files = sorted((SHARED / corpus / "audio").glob("*.flac"))
    if not files:
        pytest.skip(f"the audio of {corpus} is not on this machine")
    chosen = random.Random(1).sample(files, count)
    return [soundfile.read(file, dtype="float32")[0] for file in chosen]


@pytest.fixture
def all_is_speech(monkeypatch):
    monkeypatch.setattr(
        speech, "_probabilities", lambda samples: np.ones(-(-len(samples) // 512), np.float32)
    )


def ups_and_downs(seconds: float) -> np.ndarray:
    """Noise whose level rises and falls five times a second, as that of syllables does."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * noise * (1.2 + np.sin(2 * np.pi * 5 * time))).astype(np.float32)


def windows(samples, block=1.0):
    size = int(block * RATE)
    listener = speech.Listener()
    blocks = (samples[i : i + size] for i in range(0, len(samples), size))
    return list(cutting.windowed(listener.pieces(blocks))), listener


@pytest.mark.parametrize("seconds", [0.4, 1.3, 3.19, 3.21, 6.0, 9.01, 31.7])
def test_windows_hold_all_speech_once_and_their_weights_sum_to_it(all_is_speech, seconds):
    samples = ups_and_downs(seconds)
    found, listener = windows(samples)
    assert sum(w.weight for w in found) == pytest.approx(seconds, abs=1e-3)
    assert listener.quality.seconds == pytest.approx(seconds, abs=1e-3)
    np.testing.assert_array_equal(
        np.concatenate([w.samples for w in found]), speech.only(samples).samples
    )
    for before, after in itertools.pairwise(found):
        assert after.start == before.end
    assert (found[0].start, found[-1].end) == pytest.approx((0, seconds), abs=1e-3)


@pytest.mark.parametrize("seconds", [3.21, 6.0, 9.01, 31.7])
def test_speech_without_a_pause_is_cut_evenly_where_it_is_quiet(all_is_speech, seconds):
    samples = ups_and_downs(seconds)
    found, _ = windows(samples)
    count = int(np.ceil(seconds / cutting.LONGEST))
    lengths = [w.weight for w in found]
    assert len(found) == count
    assert max(lengths) < (1 + 2 * cutting.NEAR) * seconds / count
    # Each cut is no louder than an even one would be.
    quiet = np.convolve(levels_of(samples), np.ones(cutting.CALM) / cutting.CALM, "same")
    for number, window in enumerate(found[1:], 1):
        even = int(number * seconds / count * 100)
        assert quiet[round(window.start * 100)] <= quiet[even] + 1e-9


def said(*seconds, pause=0.5):
    """Runs of sound of some lengths, with pauses of near silence, and what is speech in them."""
    parts = [ups_and_downs(s) for s in seconds]
    silence = np.zeros(int(pause * RATE), np.float32)
    samples = np.concatenate([x for part in parts for x in (part, silence)])
    loud = np.concatenate([np.repeat([1.0, 0.0], [len(part), len(silence)]) for part in parts])
    return samples, loud


@pytest.mark.parametrize(
    ("runs", "wanted"),
    [
        ((2, 2), (2, 2)),
        ((0.8, 0.8, 2), (1.6, 2)),  # a pause ends nothing before a phrase is whole
        ((2, 0.6), (2.6,)),  # what is left at the end belongs to the window before
        ((0.6,), (0.6,)),
        ((2, 0.3, 0.4, 2), (2, 2.7)),
    ],
)
def test_a_pause_ends_a_window_that_holds_a_phrase(runs, wanted, monkeypatch):
    samples, loud = said(*runs)
    monkeypatch.setattr(speech, "_probabilities", lambda s: np.append(loud, 0.0)[::512])
    monkeypatch.setattr(cutting, "LONGEST", 10)
    found, _ = windows(samples)
    assert len(found) == len(wanted)
    np.testing.assert_allclose([w.weight for w in found], wanted, atol=0.65)


@pytest.mark.parametrize(("before", "after"), [(0, 30_000), (30_000, 0), (8_000, 40_123)])
def test_digital_silence_around_a_clip_is_not_given_to_the_detector(before, after):
    samples = ups_and_downs(2)
    first, last = speech._between_silence(np.pad(samples, (before, after)))
    kept = speech.QUIET
    assert (first, last) == (max(0, before - kept), before + len(samples) + min(after, kept))
    assert kept % 160 == kept % 512 == 0  # so that frames of what is spoken stay where they were


def test_a_recording_of_one_value_is_left_whole():
    assert speech._between_silence(np.zeros(100, np.float32)) == (0, 100)


def test_speech_of_one_window_is_what_a_clip_gives(all_is_speech):
    samples = ups_and_downs(3.1)
    (window,), _ = windows(samples)
    np.testing.assert_array_equal(window.samples, speech.only(samples).samples)


def test_the_size_of_blocks_changes_nothing_beyond_the_longest_stretch(all_is_speech, monkeypatch):
    monkeypatch.setattr(speech, "STRETCH", 20)
    samples = ups_and_downs(50.3)
    small, first = windows(samples, 0.7)
    large, second = windows(samples, 100.0)
    assert len(small) == len(large) > 10
    for a, b in zip(small, large, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
    np.testing.assert_array_equal(first.segments, second.segments)
    assert sum(w.weight for w in small) == pytest.approx(50.3, abs=1e-3)


def test_a_pause_is_left_out_of_the_samples_but_not_of_the_times(monkeypatch):
    samples = np.concatenate((ups_and_downs(1), np.zeros(3 * RATE, np.float32), ups_and_downs(1)))
    loud = np.repeat([1.0, 0.0, 1.0], [32, 93, 32])
    monkeypatch.setattr(speech, "_probabilities", lambda samples: loud)
    (window,), listener = windows(samples)
    np.testing.assert_allclose(listener.segments, [[0, 1.1], [3.9, 5]], atol=0.04)
    assert (window.start, window.end) == pytest.approx((0, 5), abs=0.04)
    assert window.weight == pytest.approx(2.0, abs=0.08)  # without what is beside the pause


def test_speech_from_end_to_end_is_kept_whole_but_for_its_mean(all_is_speech):
    samples = ups_and_downs(2) + np.float32(0.02)
    found = speech.only(samples)
    np.testing.assert_allclose(found.samples, samples - samples.mean(), atol=1e-6)
    np.testing.assert_allclose(found.segments, [[0, 2]])


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.5, 12.0])
def test_silence_holds_no_speech(seconds):
    found = speech.only(np.zeros(int(seconds * RATE), np.float32))
    assert found.segments.shape == (0, 2)
    assert found.quality is None and found.seconds == 0


def noises() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    time = np.arange(12 * RATE) / RATE
    white = generator.standard_normal(len(time))
    spectrum, hertz = np.fft.rfft(white), np.maximum(np.fft.rfftfreq(len(time)), 1e-4)
    clicks = 1e-4 * white
    clicks[generator.integers(0, len(clicks), 30)] += 0.5
    return {
        "white": white,
        "pink": np.fft.irfft(spectrum / hertz**0.5),
        "brown": np.fft.irfft(spectrum / hertz),
        "hum": sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 8)),
        "tone": np.sin(2 * np.pi * 440 * time),
        "beeps": np.sin(2 * np.pi * 1000 * time) * (time % 1 < 0.2),
        "clicks": clicks,
        "swelling": white * (1 + np.sin(2 * np.pi * 4 * time)),
    }


@pytest.mark.parametrize("kind", noises())
@pytest.mark.parametrize("peak", [0.5, 1e-3])
def test_noise_holds_no_speech(kind, peak):
    noise = noises()[kind]
    noise = (peak * noise / np.abs(noise).max()).astype(np.float32)
    assert len(speech.only(noise).segments) == 0


def test_clips_of_crema_d_hold_speech_and_keep_most_of_it():
    found = [(len(clip), speech.only(clip)) for clip in clips("crema-d", 50)]
    assert all(len(s.segments) for _, s in found)
    assert 0.7 < np.mean([len(s.samples) / length for length, s in found]) < 0.9


CHANGES = {
    "silence": lambda x, n: (np.concatenate((0 * n, x, 0 * n)), len(n)),
    "noise of -60 dB": lambda x, n: (np.concatenate((n, x, n)), len(n)),
    "offset": lambda x, n: (x + np.float32(0.02), 0),
    "-40 dB": lambda x, n: (x * np.float32(0.01 / np.abs(x).max()), 0),
    "0 dB": lambda x, n: (x / np.abs(x).max(), 0),
}


@pytest.mark.parametrize("corpus, count", [("crema-d", 50), ("emodb", 46)])
@pytest.mark.parametrize("change", CHANGES)
def test_what_surrounds_a_clip_hardly_moves_the_ends_of_its_speech(corpus, count, change):
    noise = np.random.default_rng(0).standard_normal(RATE * 3 // 2).astype(np.float32) / 1000
    shifts = []
    for clip in clips(corpus, count):
        changed, shift = CHANGES[change](clip, noise)
        before, after = speech.only(clip).segments, speech.only(changed).segments - shift / RATE
        shifts += [after[0, 0] - before[0, 0], after[-1, 1] - before[-1, 1]]
    assert np.quantile(np.abs(shifts), 0.5) <= 0.02
    assert np.quantile(np.abs(shifts), 0.9) <= 0.12


def test_quality_measures_what_it_names():
    (clip,) = clips("emodb", 1)
    clip = 0.5 * clip / np.abs(clip).max()
    quality = speech.only(clip).quality
    quieter = speech.only(clip / 10).quality
    assert quieter.level == pytest.approx(quality.level - 20, abs=0.2)
    assert quality.clipped == 0
    assert speech.only((20 * clip).clip(-1, 1)).quality.clipped > 0.05
    noise = np.random.default_rng(0).standard_normal(len(clip)).astype(np.float32)
    noisy = speech.only(clip + noise * np.float32(0.3 * clip.std())).quality
    assert 5 < noisy.snr < 16 < quality.snr
    spectrum = np.fft.rfft(clip)
    spectrum[np.fft.rfftfreq(len(clip), 1 / RATE) > 3400] = 0
    telephone = np.fft.irfft(spectrum, len(clip)).astype(np.float32)
    assert speech.only(telephone).quality.bandwidth <= 3450 < quality.bandwidth
    json.dumps(vars(quality), allow_nan=False)


def test_speech_that_breaks_off_is_missing_and_a_pause_is_not():
    (clip,) = clips("emodb", 1)
    assert speech.only(clip).quality.lost == 0
    packets = clip[: len(clip) // 320 * 320].reshape(-1, 320).copy()
    packets[::20] = 0
    assert 0.02 < speech.only(packets.ravel()).quality.lost < 0.08
    loud = levels_of(clip) > speech.only(clip).quality.level - 30
    gate = np.convolve(loud, np.ones(7), "same") > 0  # held for 30 ms, as gates of noise are
    gated = clip[: 160 * len(gate)] * np.repeat(gate, 160)
    assert (levels_of(gated) < -96).mean() > 0.02
    assert speech.only(gated).quality.lost == 0


def test_little_speech_is_noted(all_is_speech):
    assert speech.only(ups_and_downs(0.6)).notes == ("only 0.6 s of speech: expect little",)
    assert speech.only(ups_and_downs(1.2)).notes == ()


def test_no_speech_is_one_sentence_that_says_what_to_do():
    assert str(speech.no_speech(12.0)).startswith("The audio: no speech was found in 12.0 s: give")


@pytest.mark.parametrize("content, state", [(None, "missing"), (b"damaged", "damaged")])
def test_a_detector_that_is_missing_or_damaged_is_one_sentence(
    tmp_path, monkeypatch, content, state
):
    file = tmp_path / "models" / "silero" / "silero_vad_16k_sequence.onnx"
    file.parent.mkdir(parents=True)
    if content:
        file.write_bytes(content)
    monkeypatch.setattr(store, "shipped", lambda: tmp_path)
    speech._network.cache_clear()
    try:
        with pytest.raises(WeightsError, match=f"is {state}: restore it"):
            speech.only(ups_and_downs(1))
    finally:
        speech._network.cache_clear()


def test_provenance_names_the_file_that_ships():
    shipped = json.loads((store.shipped() / "models/silero/provenance.json").read_text())
    assert speech.provenance()["detector_sha256"] == shipped["sha256"]
