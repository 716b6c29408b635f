"""Files of every kind that is taken for sound, whole, lying, joined and damaged."""

import contextlib
import io
import random

import av
import numpy as np
import pytest
import soundfile
from audio_samples import (
    encode,
    encode_by_ffmpeg,
    pitch_and_amplitude,
    sine,
    with_data_size,
    with_picture,
)

from persona import audio
from persona.errors import AudioError

KINDS = {  # name: rate, codec, container, further arguments
    "phone.m4a": (44_100, "aac", "ipod", {}),
    "phone.mp4": (44_100, "aac", "mp4", {}),
    "lossless.m4a": (44_100, "alac", "ipod", {}),
    "browser.webm": (48_000, "libopus", "webm", {}),
    "messenger.opus": (48_000, "libopus", "ogg", {}),
    "flac.ogg": (44_100, "flac", "ogg", {}),
    "phone.amr": (8_000, "libopencore_amrnb", "amr", {}),
    "phone.3gp": (8_000, "libopencore_amrnb", "3gp", {}),
    "windows.wma": (44_100, "wmav2", "asf", {"bit_rate": 64_000}),
    "apple.caf": (44_100, "pcm_s16le", "caf", {}),
    "apple_lossless.caf": (44_100, "alac", "caf", {}),
    "stream.aac": (44_100, "aac", "adts", {}),
    "camera.mov": (44_100, "aac", "mov", {"picture": True}),
    "camera.mp4": (48_000, "aac", "mp4", {"picture": True}),
    "screen.mkv": (48_000, "libopus", "matroska", {"picture": True}),
    "old.avi": (44_100, "mp3", "avi", {"picture": True}),
    "old.wmv": (44_100, "wmav2", "asf", {"picture": True, "bit_rate": 64_000}),
    "apple.aiff": (44_100, "pcm_s16be", "aiff", {}),
    "sun.au": (44_100, "pcm_s16be", "au", {}),
    "sony.w64": (44_100, "pcm_s16le", "w64", {}),
    "long.rf64": (44_100, "pcm_s16le", "wav", {}),
    "small.wv": (44_100, "wavpack", "wv", {}),
    "radio.mp2": (44_100, "mp2", "mp2", {}),
}


def made(name: str, seconds: float = 3.0) -> bytes:
    rate, codec, container, arguments = KINDS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no coder {codec}")
    return encode_by_ffmpeg(sine(seconds, rate), rate, codec, container, **arguments)


def tone(content: bytes, amplitude: float = 0.5, tolerance: float = 0.06) -> audio.Audio:
    heard = audio.read(content)
    hertz, measured = pitch_and_amplitude(heard.samples)
    assert hertz == pytest.approx(1_000, abs=2)
    assert measured == pytest.approx(amplitude, abs=tolerance)
    return heard


def noise(seconds: float, rate: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(4).standard_normal(round(seconds * rate))


class TestKinds:
    @pytest.mark.parametrize("name", KINDS)
    def test_each_gives_the_tone_that_was_written(self, name):
        rate = KINDS[name][0]
        heard = tone(made(name))
        assert heard.seconds == pytest.approx(3.0, abs=0.06)
        assert heard.notes == (f"resampled from {rate} Hz",)
        assert name.endswith(audio.EXTENSIONS)

    def test_of_two_sound_tracks_the_first_is_read_with_a_note(self):
        content = encode_by_ffmpeg(sine(2.0, 44_100), 44_100, "aac", "matroska", tracks=2)
        assert "sound track 1 of 2" in tone(content).notes

    @pytest.mark.parametrize(
        "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"]
    )
    def test_samples_are_exactly_what_libsndfile_reads(self, subtype):
        content = encode(np.random.default_rng(0).uniform(-1, 1, 20_000), subtype=subtype)
        expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        np.testing.assert_array_equal(audio.read(content).samples, expected)

    @pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav", "g722", "pcm_s64le"])
    def test_other_codecs_in_a_wav(self, codec):
        assert tone(encode_by_ffmpeg(sine(3.0), 16_000, codec, "wav")).notes == ()

    @pytest.mark.parametrize(
        ("container", "subtype"),
        [("WAV", "NMS_ADPCM_32"), ("WAV", "G721_32"), ("AU", "G721_32"), ("AU", "G723_24")],
    )
    def test_what_would_be_decoded_to_noise_is_refused(self, container, subtype):
        with pytest.raises(AudioError, match="of a kind that cannot be decoded: convert it to 16"):
            audio.read(encode(sine(3.0, 8_000), 8_000, container, subtype))

    @pytest.mark.parametrize(
        ("codec", "container", "channels"),
        [
            ("aac", "ipod", 6),
            ("aac", "ipod", 8),
            ("libopus", "ogg", 8),
            ("flac", "flac", 8),
            ("wavpack", "wv", 8),
            ("wavpack", "wv", 16),
            ("pcm_s16le", "wav", 12),
        ],
    )
    def test_many_channels(self, codec, container, channels):
        samples = np.stack([sine(3.0, 48_000)] * channels, axis=1)
        content = encode_by_ffmpeg(samples, 48_000, codec, container)
        heard = tone(content, tolerance=0.12)  # AAC keeps only the lowest of the bass channel
        assert heard.notes == (f"averaged {channels} channels", "resampled from 48000 Hz")

    def test_what_a_coder_adds_at_its_ends_is_not_missing(self):
        heard = tone(encode_by_ffmpeg(sine(3.0, 8_000), 8_000, "mp3", "matroska"))
        assert heard.notes == ("resampled from 8000 Hz",)

    def test_amr_wb(self):
        rng = np.random.default_rng(0)
        frames = [b"\x04" + rng.bytes(17) for _ in range(150)]  # of 20 ms, 132 bits of noise
        assert audio.read(b"#!AMR-WB\n" + b"".join(frames)).seconds == 3.0

    def test_16_bit_samples_are_divided_by_32768(self):
        integers = np.arange(-32_768, 32_768).astype(np.int16)
        for container in ("WAV", "FLAC"):
            heard = audio.read(encode(integers, container=container)).samples
            np.testing.assert_array_equal(heard, integers / np.float32(32_768))


class TestLyingHeaders:
    @pytest.mark.parametrize("size", [0, 100, 32_000, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF])
    def test_a_wav_is_read_whole_whatever_its_length_field_says(self, size):
        heard = tone(with_data_size(encode(sine(3.0)), size), tolerance=0.01)
        assert heard.seconds == 3.0
        stated = {100: "0.0", 32_000: "1.0"}.get(size)
        longer = f"longer than its header states: 3.0 s, not {stated} s"
        assert heard.notes == ((longer,) if stated else ())

    @pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
    def test_a_wav_of_a_crashed_recorder(self, size):
        content = with_data_size(encode(sine(3.0)), size)
        content = content[:4] + size.to_bytes(4, "little") + content[8:]
        assert tone(content, tolerance=0.01).seconds == 3.0

    @pytest.mark.parametrize(
        ("container", "name", "at", "length"),
        [("W64", b"data", 16, 8), ("RF64", b"ds64", 16, 8), ("CAF", b"data", 4, 8)],
    )
    @pytest.mark.parametrize("byte", [b"\0", b"\x0f", b"\xff"])
    def test_long_formats_are_read_whole_and_their_claims_not_repeated(
        self, container, name, at, length, byte
    ):
        content = encode(sine(3.0), container=container)
        start = content.index(name) + at
        heard = tone(content[:start] + byte * length + content[start + length :], tolerance=0.01)
        assert heard.seconds == 3.0
        assert heard.notes == ()

    @pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
    def test_an_au_without_length(self, size):
        content = encode(sine(3.0), container="AU")
        assert tone(content[:8] + size + content[12:], tolerance=0.01).seconds == 3.0

    @pytest.mark.parametrize("total", [0, 0xFFFFFFFFF])
    def test_a_flac_of_unknown_or_absurd_length(self, total):
        content = bytearray(encode(sine(3.0), container="FLAC"))
        content[21] = content[21] & 0xF0 | total >> 32
        content[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
        heard = tone(bytes(content), tolerance=0.01)
        assert heard.seconds == 3.0
        assert heard.notes == ()

    @pytest.mark.parametrize("container", ["FLAC", "MP3", "WAV"])
    def test_tags_before_and_behind_change_nothing(self, container):
        plain = encode(sine(3.0, 44_100), 44_100, container)
        picture = b"\xff\xfb\x90\x44" * 20_000
        footer = b"APETAGEX" + (2_000).to_bytes(4, "little")
        footer += (len(picture) + 32).to_bytes(4, "little") + bytes(16)
        behind = {"FLAC": b"TAG" + bytes(125), "MP3": picture + footer, "WAV": b"TAG" + bytes(125)}
        before = plain if container == "WAV" else with_picture(plain, 50_000)
        heard = audio.read(before + behind[container])
        np.testing.assert_array_equal(heard.samples, audio.read(plain).samples)
        assert heard.notes == ("resampled from 44100 Hz",)

    def test_chunks_behind_the_samples_of_a_wav_are_not_read_as_sound(self):
        chunk = b"LIST" + (20_000).to_bytes(4, "little") + b"x" * 20_000
        assert audio.read(encode(sine()) + chunk).notes == ()
        assert audio.read(encode(sine()) + chunk).seconds == 2.0

    def test_the_length_to_expect_is_never_absurd(self):
        for content in (
            with_data_size(encode(sine(3.0)), 0xFFFFFFFF),
            encode(sine(3.0, 44_100), 44_100, "MP3"),
            made("browser.webm"),
            made("stream.aac"),
        ):
            with audio.Reader(content) as reader:
                assert 1.0 < reader.seconds < 10.0
                assert reader.read().seconds == pytest.approx(3.0, abs=0.1)


class TestJoinedFiles:
    @pytest.mark.parametrize(
        "name",
        sorted(set(KINDS) - {"small.wv", "old.avi", "sun.au", "radio.mp2"}),
    )
    def test_both_are_read(self, name):
        content = made(name, 2.0)
        assert audio.read(content * 2).seconds == pytest.approx(4.0, abs=0.12)

    @pytest.mark.parametrize(
        ("container", "subtype", "rates"),
        [
            ("MP3", None, (44_100, 22_050)),
            ("OGG", "VORBIS", (44_100, 48_000)),
            ("FLAC", None, (44_100, 16_000)),
            ("WAV", None, (16_000, 44_100)),
            ("AIFF", None, (16_000, 44_100)),
            ("W64", None, (16_000, 44_100)),
        ],
    )
    def test_rate_and_channels_may_change_midway(self, container, subtype, rates):
        first, second = (sine(2.0, rate) for rate in rates)
        second = np.stack([second, second], axis=1)
        content = encode(first, rates[0], container, subtype)
        content += encode(second, rates[1], container, subtype)
        heard = audio.read(content)
        assert heard.seconds == pytest.approx(4.0, abs=0.12)
        for half in (heard.samples[:32_000], heard.samples[-31_000:]):
            hertz, amplitude = pitch_and_amplitude(half)
            assert hertz == pytest.approx(1_000, abs=2)
            assert amplitude == pytest.approx(0.5, abs=0.02)
        change = "changes its sampling rate or channels at 2.0 s (to {} Hz, 2 channels)"
        assert change.format(rates[1]) in heard.notes

    def test_mp3s_with_tags_of_their_own(self):
        one = encode(sine(2.0, 44_100), 44_100, "MP3")
        content = one + b"TAG" + bytes(125) + with_picture(one, 100_000) + with_picture(one, 3_000)
        heard = tone(content, tolerance=0.02)
        assert heard.seconds == pytest.approx(6.0, abs=0.01)
        assert heard.notes == ("3 recordings joined end to end", "resampled from 44100 Hz")


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [1.0, 1.935, 2.1003])
def test_an_m4a_ends_where_its_sound_ends(rate, seconds):
    """Its coder fills the last frame, with up to 64 ms at 16 kHz; the file says by how much."""
    content = encode_by_ffmpeg(sine(seconds, rate), rate, "aac", "ipod")
    assert audio.read(content).seconds == pytest.approx(seconds, abs=0.0002)


class TestDamage:
    @pytest.mark.parametrize("name", ["stream.aac", "messenger.opus", "phone.amr"])
    def test_a_file_without_length_that_was_cut_off_says_where(self, name):
        content = made(name, 10.0)
        heard = audio.read(content[: len(content) // 2 + 5])
        assert f"ends early: it was cut off at {heard.seconds:.1f} s" in heard.notes
        assert 3 < heard.seconds < 6

    @pytest.mark.parametrize("name", ["browser.webm", "windows.wma", "apple.caf", "sony.w64"])
    def test_a_file_that_states_its_length_and_was_cut_off_says_both(self, name):
        content = made(name, 10.0)
        heard = audio.read(content[: len(content) // 2])
        assert f"ends early: {heard.seconds:.1f} s of 10.0 s" in heard.notes

    @pytest.mark.parametrize("kept", [0.5, 0.95])
    @pytest.mark.parametrize(
        ("codec", "container", "options"),
        [
            ("libopus", "webm", {"live": "1"}),
            ("aac", "mp4", {"movflags": "empty_moov", "frag_duration": "1000000"}),
            ("mp3", "avi", {}),
        ],
    )
    def test_a_live_or_fragmented_file_that_was_cut_off_says_so(
        self, codec, container, options, kept
    ):
        content = encode_by_ffmpeg(sine(10.0, 48_000), 48_000, codec, container, options=options)
        assert audio.read(content).notes == ("resampled from 48000 Hz",)
        heard = audio.read(content[: round(kept * len(content)) + 3])
        assert any(note.startswith("ends early: ") for note in heard.notes)

    @pytest.mark.parametrize("name", ["phone.m4a", "phone.3gp", "camera.mov"])
    @pytest.mark.parametrize("kept", [0.5, 0.8, 0.99])
    def test_a_file_that_ends_before_its_index(self, name, kept):
        content = made(name, 3.0)
        with pytest.raises(AudioError, match="ends before its index was written: record or copy"):
            audio.read(content[: round(kept * len(content))])

    @pytest.mark.parametrize("container", ["MP3", "FLAC"])
    def test_damaged_parts_are_left_out_and_counted(self, container):
        content = bytearray(encode(noise(10.0, 44_100), 44_100, container))
        for third in (1, 2):
            at = third * len(content) // 3
            content[at : at + 4_000] = bytes(4_000)
        heard = audio.read(bytes(content))
        (note,) = (note for note in heard.notes if "damaged" in note)
        lost = float(note.removeprefix("damaged parts were left out: about ").removesuffix(" s"))
        assert lost == pytest.approx(10.0 - heard.seconds, abs=0.25)
        assert 0.1 < lost < 2

    def test_a_download_that_ends_in_zeros(self):
        content = encode(noise(10.0, 44_100), 44_100, "MP3")
        heard = audio.read(content[: len(content) // 2] + bytes(len(content) // 2))
        assert f"ends early: {heard.seconds:.1f} s of 10.0 s" in "".join(heard.notes)

    def test_nothing_is_printed(self, capfd):
        content = encode(noise(3.0, 44_100), 44_100, "MP3")
        audio.read(content[: len(content) // 2] + bytes(9_000) + content)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("seed", range(4))
    def test_nothing_but_an_audio_error_comes_of_it(self, seed):
        rng = random.Random(seed)
        kinds = [made(name, 1.0) for name in KINDS]
        kinds += [encode(noise(1.0, 16_000), container=c) for c in ("WAV", "FLAC", "MP3", "RF64")]
        for _ in range(40):
            content = bytearray(rng.choice(kinds))
            for _ in range(rng.randrange(1, 12)):
                place = rng.randrange(rng.choice([min(300, len(content)), len(content)]))
                content[place : place + 4] = rng.choice([b"\xff" * 4, bytes(4), rng.randbytes(4)])
            cut = rng.randrange(len(content))
            other = rng.choice(kinds)
            tail = rng.choice([content[cut:], b"", other[rng.randrange(len(other)) :]])
            with contextlib.suppress(AudioError):
                assert np.isfinite(audio.read(bytes(content[:cut] + tail)).samples).all()
