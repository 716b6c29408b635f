import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from audio_samples import encode, pitch_and_amplitude, save, sine, with_data_size, with_picture

from persona import audio
from persona.audio.resampling import Resampler
from persona.errors import AudioError


def stereo(samples: np.ndarray, channels: int = 2) -> np.ndarray:
    return np.stack([samples] * channels, axis=1)


def refusal(source, **arguments) -> str:
    with pytest.raises(AudioError) as caught:
        audio.read(source, **arguments)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def silent_video() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
        file.mux([*stream.encode(grey), *stream.encode()])
    return buffer.getvalue()


def assert_tone(heard: audio.Audio, amplitude: float = 0.5, tolerance: float = 0.005) -> None:
    hertz, measured = pitch_and_amplitude(heard.samples)
    assert hertz == pytest.approx(1_000, abs=1)
    assert measured == pytest.approx(amplitude, abs=tolerance)


class TestWhatComesOut:
    def test_is_float32_mono_at_16_khz_and_knows_its_length(self):
        heard = audio.read((stereo(sine(2.0, 44_100)), 44_100))
        assert heard.samples.dtype == np.float32
        assert heard.samples.shape == (32_000,)
        assert heard.seconds == 2.0

    def test_is_the_samples_themselves_and_no_notes_when_nothing_was_assumed(self):
        samples = sine().astype(np.float32)
        heard = audio.read((samples, 16_000))
        np.testing.assert_array_equal(heard.samples, samples)
        assert heard.notes == ()

    def test_is_no_view_of_the_waveform_given(self):
        samples = sine().astype(np.float32)
        audio.read((samples, 16_000)).samples[:] = 0
        np.testing.assert_array_equal(samples, sine().astype(np.float32))

    @pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
    def test_is_the_same_tone_at_the_same_loudness_from_any_rate(self, rate):
        heard = audio.read(encode(sine(2.0, rate), rate))
        assert len(heard.samples) == 32_000
        assert_tone(heard)
        assert heard.notes == (f"resampled from {rate} Hz",)

    def test_holds_nothing_folded_back_from_above_8_khz(self):
        high, low = sine(2.0, 48_000, hertz=15_000), sine(2.0, 48_000, hertz=1_000)
        heard = audio.read((high + low, 48_000))
        inner = heard.samples[1_600:-1_600]
        assert np.abs(np.fft.rfft(inner * np.hanning(len(inner))))[3_000:].max() < 0.01

    def test_does_not_move_in_time_when_resampled(self):
        click = np.zeros(96_000)
        click[47_952:48_048] = np.hanning(96)
        heard = audio.read((click, 48_000))
        assert abs(int(heard.samples.argmax()) - 16_000) <= 1

    def test_is_the_average_of_the_channels(self):
        left, right = sine(amplitude=0.6), sine(amplitude=0.2)
        heard = audio.read(encode(np.stack([left, right], axis=1)))
        np.testing.assert_allclose(heard.samples, sine(amplitude=0.4), atol=1e-4)
        assert heard.notes == ("averaged 2 channels",)

    def test_averages_all_six_channels_of_5_1(self):
        channels = np.stack([sine(amplitude=a / 10) for a in range(1, 7)], axis=1)
        heard = audio.read(encode(channels, container="WAVEX"))
        np.testing.assert_allclose(heard.samples, sine(amplitude=0.35), atol=1e-4)
        assert heard.notes == ("averaged 6 channels",)


class TestFilesThatAreRead:
    @pytest.mark.parametrize(
        ("container", "subtype", "tolerance"),
        [
            ("WAV", "PCM_U8", 0.01),
            ("WAV", "PCM_16", 1e-4),
            ("WAV", "PCM_24", 1e-6),
            ("WAV", "PCM_32", 1e-6),
            ("WAV", "FLOAT", 1e-6),
            ("WAV", "DOUBLE", 1e-6),
            ("WAV", "ALAW", 0.02),
            ("WAV", "ULAW", 0.02),
            ("WAVEX", "PCM_24", 1e-6),
            ("RF64", "PCM_16", 1e-4),
            ("AIFF", "PCM_16", 1e-4),
            ("FLAC", "PCM_16", 1e-4),
        ],
    )
    def test_every_sample_format_gives_the_samples_that_were_written(
        self, container, subtype, tolerance
    ):
        heard = audio.read(encode(sine(), container=container, subtype=subtype))
        np.testing.assert_allclose(heard.samples, sine(), atol=tolerance)
        assert heard.notes == ()

    @pytest.mark.parametrize(
        ("container", "subtype", "rate"),
        [("MP3", None, 44_100), ("OGG", "VORBIS", 44_100), ("OGG", "OPUS", 48_000)],
    )
    def test_lossy_formats_give_the_tone_that_was_written(self, container, subtype, rate):
        heard = audio.read(encode(sine(2.0, rate), rate, container, subtype))
        assert_tone(heard, tolerance=0.02)
        assert heard.seconds == pytest.approx(2.0, abs=0.1)
        assert heard.notes == (f"resampled from {rate} Hz",)

    @pytest.mark.parametrize("container", ["WAV", "MP3", "FLAC", "OGG"])
    def test_path_text_bytes_and_memoryview_give_the_same(self, tmp_path, container):
        content = encode(stereo(sine(2.0, 44_100)), 44_100, container)
        path = save(tmp_path / f"tone.{container.lower()}", content)
        first = audio.read(path)
        for source in (str(path), content, bytearray(content), memoryview(content)):
            again = audio.read(source)
            np.testing.assert_array_equal(again.samples, first.samples)
            assert again.notes == first.notes

    def test_the_content_decides_and_not_the_ending_of_the_name(self, tmp_path):
        assert_tone(audio.read(save(tmp_path / "tone.mp3", encode(sine()))))

    @pytest.mark.parametrize("picture_bytes", [1_000, 2_000_000, 20_000_000])
    def test_an_mp3_with_a_large_picture_in_its_tags_gives_the_same(self, picture_bytes):
        plain = encode(sine(2.0, 44_100), 44_100, "MP3")
        heard = audio.read(with_picture(plain, picture_bytes))
        np.testing.assert_array_equal(heard.samples, audio.read(plain).samples)

    @pytest.mark.parametrize("kept", [0.25, 0.5, 0.9])
    def test_a_truncated_wav_gives_what_is_there_and_says_so(self, kept):
        content = encode(sine(10.0))
        heard = audio.read(content[: 44 + round(kept * 320_000)])
        np.testing.assert_allclose(heard.samples, sine(10 * kept), atol=1e-4)
        assert heard.notes == (f"ends early: {10 * kept:.1f} s of 10.0 s",)

    def test_a_truncated_aiff_says_so(self):
        content = encode(sine(10.0), container="AIFF")
        assert audio.read(content[: len(content) // 2]).notes == ("ends early: 5.0 s of 10.0 s",)

    def test_a_truncated_mp3_gives_what_is_there_and_says_so(self):
        content = encode(sine(10.0, 44_100), 44_100, "MP3")
        heard = audio.read(content[: len(content) // 2])
        assert heard.seconds == pytest.approx(5.0, abs=0.3)
        assert_tone(heard, tolerance=0.02)
        assert heard.notes == (
            "resampled from 44100 Hz",
            f"ends early: {heard.seconds:.1f} s of 10.0 s",
        )

    def test_a_truncated_flac_gives_what_precedes_the_break_and_says_so(self):
        content = encode(sine(20.0, 44_100), 44_100, "FLAC")
        heard = audio.read(content[: len(content) // 2])
        assert 5.0 < heard.seconds < 12.0
        assert_tone(heard)
        assert any(note.startswith("ends early") for note in heard.notes)

    @pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
    def test_a_wav_written_to_a_pipe_does_not_count_as_truncated(self, size):
        heard = audio.read(with_data_size(encode(sine()), size))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-4)
        assert heard.notes == ()

    def test_floats_beyond_full_scale_are_kept_and_noted(self):
        heard = audio.read(encode(sine(amplitude=2.5), subtype="FLOAT"))
        assert heard.samples.max() == pytest.approx(2.5, abs=0.01)
        assert heard.notes == ("peaks at 2.5 times full scale",)

    def test_floats_at_the_scale_of_integers_are_divided_by_it(self):
        pause = np.zeros(160_000)
        content = encode(np.concatenate([pause, 32_768 * sine()]), subtype="FLOAT")
        heard = audio.read(content)
        np.testing.assert_allclose(heard.samples[160_000:], sine(), atol=1e-6)
        assert heard.notes == ("scaled from the range of 16-bit integers",)
        message = refusal(encode(100 * sine(), subtype="FLOAT"))
        assert "has samples up to 50" in message

    def test_less_than_a_second_is_read_with_a_warning(self):
        assert audio.read((sine(0.4), 16_000)).notes == ("only 0.4 s long: expect little",)

    def test_a_tenth_of_a_second_is_the_shortest(self):
        assert audio.read((sine(0.1), 16_000)).seconds == 0.1

    @pytest.mark.parametrize(
        "name",
        ["two words.wav", 'it\'s "quoted".wav', "<b>bold & <script>.wav", "Gefühl 感情 😀.wav"],
    )
    def test_a_name_is_only_a_name(self, tmp_path, name):
        assert_tone(audio.read(save(tmp_path / name, encode(sine()))))


class TestWaveformsThatAreRead:
    @pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
    def test_integers_are_divided_by_the_full_scale_of_their_type(self, dtype):
        full = 2 ** (8 * np.dtype(dtype).itemsize - 1)
        heard = audio.read((np.tile(np.array([0, -full // 2], dtype), 8_000), 16_000))
        assert heard.samples.min() == -0.5
        assert heard.samples.max() == 0.0
        assert heard.notes == (f"scaled from {np.dtype(dtype).name}",)

    def test_unsigned_bytes_are_centred_as_in_a_wav(self):
        heard = audio.read((np.tile(np.array([0, 128, 192], np.uint8), 8_000), 16_000))
        np.testing.assert_array_equal(heard.samples[:3], np.float32([-1.0, 0.0, 0.5]))

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_floats_are_taken_as_they_are(self, dtype):
        heard = audio.read((sine().astype(dtype), 16_000))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-3)

    @pytest.mark.parametrize("dtype", [np.int32, np.int64])
    def test_integers_of_16_bit_size_in_a_wider_type_are_divided_by_32768(self, dtype):
        heard = audio.read(((sine() * 32_767).astype(dtype), 16_000))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-4)
        assert heard.notes == ("scaled from the range of 16-bit integers",)

    @pytest.mark.parametrize("bits", [16, 24, 32])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_floats_at_the_scale_of_integers_are_divided_by_it(self, bits, dtype):
        heard = audio.read(((sine() * 2 ** (bits - 1)).astype(dtype), 16_000))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-6)
        assert heard.notes == (f"scaled from the range of {bits}-bit integers",)

    @pytest.mark.parametrize("peak", [12, 200, 1e10, 1e300])
    def test_floats_of_no_known_scale_are_refused(self, peak):
        message = refusal((sine(amplitude=peak), 16_000))
        assert "neither full scale +-1 nor that of integers: divide them" in message

    def test_rate_and_waveform_the_wrong_way_round_as_scipy_returns_them(self):
        for rate in (16_000, np.int64(16_000), 16_000.0, np.array([16_000])):
            heard = audio.read((rate, sine()))
            np.testing.assert_allclose(heard.samples, sine(), atol=1e-6)
            assert heard.notes == ("taken as (rate, waveform)",)

    @pytest.mark.parametrize("channels", [1, 2, 6])
    def test_channels_may_come_first_as_torchaudio_returns_them(self, channels):
        heard = audio.read((stereo(sine(), channels).T, 16_000))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-6)
        assert heard.notes[0] == "channels came first"

    def test_lists_and_series_are_arrays(self):
        pandas = pytest.importorskip("pandas")
        for waveform in (sine().tolist(), pandas.Series(sine())):
            np.testing.assert_allclose(audio.read((waveform, 16_000)).samples, sine(), atol=1e-6)

    def test_tensors_that_require_grad(self):
        torch = pytest.importorskip("torch")
        waveform = torch.tensor(sine()).requires_grad_()
        heard = audio.read((waveform[None], torch.tensor(16_000)))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-6)
        for narrower, error in ((waveform.bfloat16(), 4e-3), ((32_767 * waveform).short(), 1e-4)):
            heard = audio.read((narrower, torch.tensor([16_000])))
            np.testing.assert_allclose(heard.samples, sine(), atol=error)

    def test_channels_come_last_as_soundfile_returns_them(self):
        heard = audio.read((stereo(sine(), 3), 16_000))
        np.testing.assert_allclose(heard.samples, sine(), atol=1e-6)
        assert heard.notes == ("averaged 3 channels",)

    def test_layout_in_memory_does_not_matter(self):
        both = np.stack([sine(2.0, 44_100), sine(2.0, 44_100, hertz=300)], axis=1)
        both = both.astype(np.float32)
        alone = audio.read((both[:, 0].copy(), 44_100)).samples
        np.testing.assert_array_equal(audio.read((both[:, 0], 44_100)).samples, alone)
        backwards = both[::-1, 0].copy()[::-1]
        np.testing.assert_array_equal(audio.read((backwards, 44_100)).samples, alone)
        np.testing.assert_allclose(
            audio.read((np.asfortranarray(both), 44_100)).samples,
            audio.read((both, 44_100)).samples,
            atol=1e-6,
        )

    @pytest.mark.parametrize("rate", [16_000, 16_000.0, np.int64(16_000), np.float32([16_000])])
    def test_the_rate_may_be_any_kind_of_number(self, rate):
        assert audio.read((sine(), rate)).notes == ()


class TestRefusals:
    def test_a_missing_file(self, tmp_path):
        assert refusal(tmp_path / "gone.wav") == '"gone.wav" was not found: check the path.'

    @pytest.mark.parametrize("path", ["", "a\0b.wav", "x" * 5_000])
    def test_a_path_that_cannot_be(self, path):
        assert "was not found" in refusal(path)

    def test_a_folder(self, tmp_path):
        (tmp_path / "voices").mkdir()
        assert refusal(tmp_path / "voices") == '"voices" is a folder: give a file in it.'

    def test_an_empty_file(self, tmp_path):
        path = save(tmp_path / "none.wav", b"")
        assert refusal(path) == '"none.wav" is empty (0 bytes): record or export it again.'

    @pytest.mark.parametrize(
        "content",
        [
            b"Dear diary, today I was happy.\n" * 200,
            "Liebes Tagebuch".encode("utf-16") * 500,
            encode(sine())[:20],
            encode(sine(), container="MP3")[:100],
            encode(sine(), container="FLAC")[:60],
        ],
        ids=["text", "utf-16 text", "wav stub", "mp3 stub", "flac stub"],
    )
    @pytest.mark.parametrize("ending", ["wav", "mp3", "raw"])
    def test_what_is_not_audio_whatever_its_name(self, tmp_path, content, ending):
        message = refusal(save(tmp_path / f"diary.{ending}", content))
        assert message.startswith(f'"diary.{ending}" cannot be decoded')
        assert "give a sound or video file, such as WAV, MP3, FLAC, OGG, M4A or WebM" in message

    def test_a_file_over_the_limit_of_the_argument(self, tmp_path):
        path = save(tmp_path / "long.wav", encode(sine(60.0)))
        assert refusal(path, max_bytes=1_000_000) == (
            '"long.wav" is 1.92 MB, over the limit of 1 MB: '
            "shorten or compress it, or raise PERSONA_MAX_MB."
        )
        assert audio.read(path, max_bytes=2_000_000).seconds == 60

    def test_what_is_longer_than_the_argument_also_where_its_header_lies(self):
        content = encode(sine(3.0))
        for source in (content, with_data_size(content, 100)):
            with (
                pytest.raises(AudioError, match="is longer than the limit of 2 s"),
                audio.Reader(source, max_seconds=2) as reader,
            ):
                reader.read()
        with audio.Reader(content, max_seconds=3) as reader:
            assert reader.read().seconds == 3

    def test_a_file_over_the_limit_of_the_environment(self, monkeypatch):
        monkeypatch.setenv("PERSONA_MAX_MB", "0.01")
        assert "is 0.064 MB, over the limit of 0.01 MB" in refusal(encode(sine()))
        monkeypatch.setenv("PERSONA_MAX_MB", "0.1")
        assert audio.read(encode(sine())).seconds == 2

    def test_a_file_over_200_mb_unless_told_otherwise(self, tmp_path, monkeypatch):
        monkeypatch.delenv("PERSONA_MAX_MB", raising=False)
        path = tmp_path / "sparse.wav"
        with path.open("wb") as file:
            file.truncate(200_000_001)
        assert "is 200 MB, over the limit of 200 MB" in refusal(path)

    @pytest.mark.parametrize("value", ["many", "-1", "0", "nan"])
    def test_a_limit_in_the_environment_that_is_no_size(self, monkeypatch, value):
        monkeypatch.setenv("PERSONA_MAX_MB", value)
        assert refusal(encode(sine())) == (
            f"PERSONA_MAX_MB is '{value}': set it to a number of megabytes."
        )

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("position", [0, 20_000, -1])
    def test_nan_or_infinite_samples(self, value, position):
        samples = sine(5.0, 44_100)
        samples[position] = value
        content = encode(stereo(samples), 44_100, subtype="FLOAT")
        message = refusal(content, name="broken.wav")
        assert message.startswith('"broken.wav" holds NaN or infinite samples')
        assert "holds NaN or infinite samples" in refusal((samples, 44_100))

    @pytest.mark.parametrize(
        "samples",
        [np.zeros(16_000), sine(amplitude=0.9e-4), np.full(16_000, 0.5)],
        ids=["zeros", "below -80 dB", "constant"],
    )
    def test_silence(self, samples):
        assert refusal((samples, 16_000)).startswith("The audio is silent")

    def test_a_whisper_above_minus_80_db_is_read(self):
        assert audio.read((sine(amplitude=1.1e-4), 16_000)).notes == ()

    def test_50_milliseconds(self):
        assert refusal(encode(sine(0.05)), name="tick.wav") == (
            '"tick.wav" is only 50 ms long: give 0.1 s or more, better 1 s.'
        )

    def test_a_header_without_samples(self):
        assert "holds no samples that could be decoded" in refusal(encode(np.empty(0)))

    @pytest.mark.parametrize("shape", [(0,), (0, 2), (16_000, 0), (0, 0)])
    def test_an_empty_array(self, shape):
        assert f"has no samples, its shape being {shape}" in refusal((np.empty(shape), 16_000))
        assert "has no samples" in refusal(([], 16_000))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_a_pipe_that_nobody_writes_to(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.wav")
        assert refusal(tmp_path / "pipe.wav").startswith('"pipe.wav" is a pipe or a device')

    def test_a_playlist_is_not_followed(self):
        playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://localhost:9/a.ts\n"
        assert "is a playlist, which names recordings: give those" in refusal(playlist)

    def test_a_video_without_sound(self):
        assert "holds no sound: give a file with a sound track" in refusal(silent_video())

    @pytest.mark.parametrize("reads", [0, 1, 2, 4, 8])
    @pytest.mark.parametrize("container", ["WAV", "AU", "MP3", "FLAC"])
    def test_a_drive_that_vanishes(self, tmp_path, monkeypatch, container, reads):
        class Far(io.BytesIO):
            left = reads

            def seek(self, *arguments):
                self.check()
                return super().seek(*arguments)

            def read(self, size=-1):
                self.check()
                self.left -= 1
                return super().read(size)

            def check(self):
                if self.left <= 0:
                    raise OSError(5, "Input/output error")

        path = save(tmp_path / "far.wav", encode(sine(60.0, 44_100), 44_100, container))
        monkeypatch.setattr("builtins.open", lambda *_: Far(path.read_bytes()))
        assert refusal(path) == (
            '"far.wav" cannot be read (Input/output error): check the drive it is on.'
        )

    @pytest.mark.parametrize(
        "rate", [0, -16_000, 3_999, 384_001, np.nan, np.inf, None, "16000", 1j, True]
    )
    def test_a_rate_that_is_none(self, rate):
        message = refusal((sine(), rate))
        assert f"has a sampling rate of {rate!r}: give one from 4000 to 384000 Hz" in message

    def test_rates_for_each_sample(self):
        for rate in (np.full(1_000, 16_000), np.full((1_000, 1), 16_000), [16_000] * 1_000):
            message = refusal((sine(), rate))
            assert "has a sampling rate of" in message
            assert len(message) < 120

    def test_masked_samples(self):
        samples = np.ma.masked_greater(sine(), 0.4)
        assert "has masked samples: fill them" in refusal((samples, 16_000))
        assert audio.read((np.ma.masked_greater(sine(), 9), 16_000)).notes == ()

    def test_a_file_with_an_impossible_rate(self):
        assert "has a sampling rate of 1000" in refusal(encode(sine(), rate=1_000))

    def test_more_than_64_channels(self):
        assert "more than 64 channels" in refusal((np.ones((100, 65)), 16_000))

    @pytest.mark.parametrize("shape", [(), (2, 16_000, 1)])
    def test_a_waveform_of_another_shape(self, shape):
        assert "give (n,) or (n, channels)" in refusal((np.ones(shape), 16_000))

    def test_a_file_with_more_than_64_channels(self):
        content = encode(np.ones((16_000, 65)) * sine(1.0)[:, None])
        assert "has 65 channels: give one with 1 to 64 channels" in refusal(content)

    @pytest.mark.parametrize("dtype", [np.uint64, np.complex128, bool, object, "U3"])
    def test_samples_without_a_full_scale(self, dtype):
        message = refusal((np.ones(16_000).astype(dtype), 16_000))
        assert "give floats of full scale +-1, or 8-, 16- or 32-bit integers" in message

    def test_a_ragged_list(self):
        assert "is not an array of numbers" in refusal(([[0.1], [0.2, 0.3]], 16_000))

    @pytest.mark.parametrize("pair", [(), (sine(),), (sine(), 16_000, 2)])
    def test_a_tuple_that_is_no_pair(self, pair):
        assert "has to be a pair of (waveform, rate)" in refusal(pair)

    @pytest.mark.parametrize("source", [None, 3, sine(), ["a.wav"]])
    def test_another_type(self, source):
        assert f"is of type {type(source).__name__}" in refusal(source)

    def test_names_are_shown_plainly_without_their_folder(self, tmp_path):
        name = 'it\'s <b>my "own" 😀.wav'
        message = refusal(save(tmp_path / name, b""))
        assert message.startswith(f'"{name}" is empty')

    def test_names_cannot_break_the_line_or_command_the_terminal(self):
        assert refusal(b"", name="a\n\x1b[31mb.wav").startswith('"a??[31mb.wav" is empty')

    def test_the_name_given_for_bytes_is_shown(self):
        assert refusal(b"", name="upload.mp3").startswith('"upload.mp3"')
        assert refusal(b"").startswith("The audio is empty")


@pytest.fixture(scope="module")
def speech_like() -> np.ndarray:
    return 0.1 * np.random.default_rng(7).standard_normal((44_100 * 13 + 777, 2))


class TestStreaming:
    @pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0, 60.0])
    @pytest.mark.parametrize("container", ["WAV", "MP3", "FLAC", "OGG"])
    def test_blocks_hold_the_same_samples_as_read(self, speech_like, container, seconds):
        content = encode(speech_like, 44_100, container)
        whole = audio.read(content)
        with audio.Reader(content) as reader:
            blocks = list(reader.blocks(seconds))
            assert reader.notes == whole.notes
        np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
        assert {len(block) for block in blocks[:-1]} <= {round(seconds * 16_000)}
        assert 0 < len(blocks[-1]) <= round(seconds * 16_000)

    def test_a_waveform_streams_like_its_file(self, speech_like):
        content = encode(speech_like, 44_100, subtype="DOUBLE")
        with audio.Reader((speech_like, 44_100)) as reader:
            streamed = np.concatenate(list(reader.blocks(1.0)))
        np.testing.assert_allclose(streamed, audio.read(content).samples, atol=1e-6)

    @pytest.mark.parametrize("container", ["WAV", "MP3", "FLAC", "OGG"])
    def test_equals_decoding_averaging_and_resampling_in_one_piece(self, speech_like, container):
        content = encode(speech_like, 44_100, container)
        whole, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        resampler = Resampler(44_100)
        whole = np.concatenate(
            (resampler.chunk(whole.mean(axis=1)), resampler.chunk(whole[:0, 0], last=True))
        )
        np.testing.assert_allclose(audio.read(content).samples, whole, atol=1e-5)

    def test_notes_of_the_format_are_there_on_opening_and_the_rest_at_the_end(self):
        with audio.Reader((stereo(sine(0.4, 8_000)), 8_000)) as reader:
            assert reader.seconds == 0.4
            assert reader.notes == ("averaged 2 channels", "resampled from 8000 Hz")
            reader.read()
            assert reader.notes[2:] == ("only 0.4 s long: expect little",)

    def test_is_refused_at_its_end_when_all_of_it_was_silent(self):
        blocks = audio.Reader((np.zeros(48_000), 16_000)).blocks(1.0)
        with pytest.raises(AudioError, match="silent"):
            list(blocks)

    def test_silence_before_speech_is_not_refused(self):
        samples = np.concatenate([np.zeros(160_000), sine()])
        assert audio.read((samples, 16_000)).notes == ()

    def test_a_reader_reads_once(self):
        with audio.Reader((sine(), 16_000)) as reader:
            reader.read()
            with pytest.raises(ValueError, match="reads once"):
                reader.read()

    def test_the_file_is_closed_afterwards_and_after_a_refusal(self, tmp_path):
        script = (
            "import sys, warnings\n"
            "from persona import audio, errors\n"
            "audio.read(sys.argv[1])\n"
            "try: audio.read(sys.argv[2])\n"
            "except errors.AudioError: pass\n"
        )
        good = save(tmp_path / "good.wav", encode(sine()))
        bad = save(tmp_path / "bad.wav", b"text" * 100)
        command = [sys.executable, "-W", "error::ResourceWarning", "-c", script, good, bad]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
        )
        assert "ResourceWarning" not in done.stderr

    @pytest.mark.parametrize("seconds", [0, -1, 1e-6])
    def test_a_block_has_a_length(self, seconds):
        with audio.Reader((sine(), 16_000)) as reader, pytest.raises(ValueError):
            list(reader.blocks(seconds))


class TestEnvelope:
    def test_is_the_lowest_and_highest_sample_of_each_10_ms(self):
        samples = np.random.default_rng(1).uniform(-1, 1, 16_000 * 3 + 50).astype(np.float32)
        with audio.Reader((samples, 16_000)) as reader:
            for _ in reader.blocks(0.7):
                pass
            assert reader.envelope.shape == (301, 2)
            assert reader.envelope.dtype == np.float32
            parts = samples[:48_000].reshape(-1, 160)
            np.testing.assert_array_equal(reader.envelope[:300, 0], parts.min(axis=1))
            np.testing.assert_array_equal(reader.envelope[:300, 1], parts.max(axis=1))
            assert reader.envelope[300].tolist() == [samples[-50:].min(), samples[-50:].max()]

    def test_covers_what_was_read_so_far(self):
        with audio.Reader((sine(10.0), 16_000)) as reader:
            assert reader.envelope.shape == (0, 2)
            next(reader.blocks(1.0))
            assert 100 <= len(reader.envelope) < 1_000


class TestChannelsThatCancel:
    @pytest.fixture(scope="class")
    def voice(self) -> np.ndarray:
        """Four seconds with the spectrum and the pauses of a voice, at 44.1 kHz."""
        rng = np.random.default_rng(3)
        time = np.arange(4 * 44_100) / 44_100
        pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * time)) / 44_100
        voiced = sum(np.sin(k * pitch) / k for k in range(1, 30))
        loudness = np.clip(np.sin(2 * np.pi * 1.5 * time), 0, 1)
        return 0.1 * loudness * (voiced + 0.05 * rng.standard_normal(len(time)))

    @staticmethod
    def assert_voice(heard: audio.Audio, voice: np.ndarray, channel: str) -> None:
        assert f"channels cancel each other: channel {channel} was used" in heard.notes
        expected = audio.read((voice, 44_100)).samples
        length = min(len(expected), len(heard.samples))
        near = np.corrcoef(expected[:length], heard.samples[:length])[0, 1]
        assert abs(near) > 0.95
        assert heard.samples.std() == pytest.approx(expected.std(), rel=0.1)

    def test_one_of_them_is_used(self, voice):
        heard = audio.read((np.stack([voice, -voice], axis=1), 44_100))
        self.assert_voice(heard, voice, "1")
        assert "averaged 2 channels" not in heard.notes

    @pytest.mark.parametrize("late", [1, 4])
    def test_also_when_one_is_late(self, voice, late):
        heard = audio.read((np.stack([voice, -np.roll(voice, late)], axis=1), 44_100))
        assert any(note.startswith("channels cancel") for note in heard.notes)
        assert heard.samples.std() == pytest.approx(voice.std(), rel=0.1)

    @pytest.mark.parametrize(
        ("container", "subtype"), [("MP3", None), ("OGG", "VORBIS"), ("FLAC", None)]
    )
    def test_also_after_a_coder(self, voice, container, subtype):
        content = encode(np.stack([voice, -voice], axis=1), 44_100, container, subtype)
        self.assert_voice(audio.read(content), voice, "1")

    @pytest.mark.parametrize("offset", [0.1, -0.3])
    def test_an_offset_does_not_hide_it(self, voice, offset):
        heard = audio.read((np.stack([voice + offset, -voice + offset], axis=1), 44_100))
        assert any(note.startswith("channels cancel") for note in heard.notes)

    @pytest.mark.parametrize("noisy", [0, 1])
    def test_the_one_with_less_noise_is_used(self, voice, noisy):
        both = np.stack([voice, -voice], axis=1)
        both[:, noisy] += 0.03 * np.random.default_rng(1).standard_normal(len(voice))
        self.assert_voice(audio.read((both, 44_100)), voice, str(2 - noisy))

    @pytest.mark.parametrize("second", ["same", "silent", "noise", "half", "another"])
    def test_ordinary_channels_are_averaged(self, voice, second):
        rng = np.random.default_rng(2)
        other = {
            "same": voice,
            "silent": 0 * voice,
            "noise": 0.02 * rng.standard_normal(len(voice)),
            "half": voice / 2,
            "another": np.roll(voice, 30_000)[::-1],
        }[second]
        heard = audio.read((np.stack([voice, other], axis=1), 44_100))
        assert heard.notes == ("averaged 2 channels", "resampled from 44100 Hz")

    def test_where_it_begins_later_one_is_used_from_there(self, voice):
        left = np.tile(voice, 8)
        right = np.concatenate([np.tile(voice, 4), -np.tile(voice, 4)])
        heard = audio.read((np.stack([left, right], axis=1), 44_100))
        assert "averaged 2 channels" in heard.notes
        note = heard.notes[-1]
        assert note.startswith("channels cancel each other: channel 1 was used from ")
        assert 16 < float(note.split()[-3]) < 26
        assert heard.samples[-48_000:].std() == pytest.approx(voice.std(), rel=0.2)

    def test_silence_before_does_not_decide(self, voice):
        left = np.concatenate([np.zeros(15 * 44_100), voice])
        heard = audio.read((np.stack([left, -left], axis=1), 44_100))
        self.assert_voice(heard, left, "1")


class TestMemory:
    def test_memory_does_not_grow_with_length(self):
        """Ten minutes weigh 38 MB as float32; the resampler's own memory is below the tracer."""
        samples = np.tile(sine(1.0, 44_100), 600)
        content = encode(samples, 44_100)
        del samples
        tracemalloc.start()
        with audio.Reader(content) as reader:
            before, _ = tracemalloc.get_traced_memory()
            blocks = sum(1 for _ in reader.blocks(3.0))
            _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert blocks == 200
        assert peak - before < 8_000_000

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
    def test_an_hour_stays_below_200_mb(self, tmp_path):
        path = tmp_path / "hour.wav"
        minute = stereo(sine(60.0, 16_000)).astype(np.float32)
        with soundfile.SoundFile(path, "w", 16_000, 2, subtype="PCM_16") as file:
            for _ in range(60):
                file.write(minute)
        script = (
            "import json, re, sys; from persona import audio\n"
            "with audio.Reader(sys.argv[1], max_bytes=1e9) as reader:\n"
            "    count = sum(1 for _ in reader.blocks(3.0))\n"
            "status = open('/proc/self/status').read()\n"
            "peak = 1024 * int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])\n"
            "print(json.dumps([count, peak]))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, path],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        count, peak = json.loads(done.stdout)
        assert count == 1_200
        assert peak < 200_000_000


def test_importing_the_module_loads_no_decoder():
    script = "import sys, persona.audio; print({'av', 'soxr'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.strip() == "set()"
