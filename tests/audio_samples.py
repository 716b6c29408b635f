"""Makers of ordinary and odd audio files, all from a sine that is easy to recognise."""

import io
from pathlib import Path

import av
import numpy as np
import soundfile

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1", 12: "12 channels", 16: "9.1.6"}


def sine(
    seconds: float = 2.0, rate: int = 16_000, hertz: float = 1_000.0, amplitude: float = 0.5
) -> np.ndarray:
    """Shape (seconds * rate,), float64."""
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def encode(
    samples: np.ndarray, rate: int = 16_000, container: str = "WAV", subtype: str | None = None
) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def encode_by_ffmpeg(
    samples: np.ndarray,
    rate: int,
    codec: str,
    container: str,
    *,
    tracks: int = 1,
    picture: bool = False,
    bit_rate: int | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """A file of (n,) or (n, channels) by one of FFmpeg's coders, with moving pictures if asked."""
    frames = np.asarray(samples, np.float32).reshape(len(samples), -1)
    layout = LAYOUTS[frames.shape[1]]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options or {}) as file:
        if picture:
            video = file.add_stream("mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        streams = [file.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        for stream in streams if bit_rate else ():
            stream.bit_rate = bit_rate
        if picture:
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
            for _ in range(round(10 * len(samples) / rate)):
                file.mux(video.encode(grey))
            file.mux(video.encode())
        for stream in streams:
            _mux(file, stream, frames, rate, layout)
    return buffer.getvalue()


def _mux(file, stream, frames: np.ndarray, rate: int, layout: str) -> None:
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    whole = av.AudioFrame.from_ndarray(frames.reshape(1, -1), format="flt", layout=layout)
    whole.sample_rate = rate
    form = stream.codec_context.format
    resampler, queue = av.AudioResampler(form, layout, rate), av.AudioFifo()
    for part in resampler.resample(whole) + resampler.resample(None):
        queue.write(part)
    size = stream.codec_context.frame_size or 1024
    while part := queue.read(size) or queue.read(size, partial=True):
        file.mux(stream.encode(part))
    file.mux(stream.encode(None))


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def with_picture(mp3: bytes, picture_bytes: int) -> bytes:
    """Prepend an ID3v2.3 tag whose APIC frame holds a picture full of false MPEG sync words."""
    picture = (b"\xff\xfb\x90\x44" * (picture_bytes // 4 + 1))[:picture_bytes]
    body = b"\x00image/jpeg\x00\x03\x00" + picture
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\x00\x00" + body
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frame + mp3


def with_data_size(wav: bytes, size: int) -> bytes:
    """Restate the length of the data chunk, as writers to a pipe leave it."""
    at = wav.index(b"data") + 4
    return wav[:at] + size.to_bytes(4, "little") + wav[at + 4 :]


def pitch_and_amplitude(samples: np.ndarray, rate: int = 16_000) -> tuple[float, float]:
    """Frequency in Hz and amplitude of the strongest sine, edges left out."""
    inner = samples[rate // 10 : -rate // 10].astype(np.float64)
    window = np.hanning(len(inner))
    padded = 8 * len(inner)  # so that a tone between two bins keeps its amplitude
    spectrum = np.abs(np.fft.rfft(inner * window, padded))
    strongest = int(spectrum.argmax())
    return strongest * rate / padded, 2 * spectrum[strongest] / window.sum()
