"""Makers of ordinary and odd audio files, all from a sine that is easy to recognise."""

import io
from pathlib import Path

import numpy as np
import soundfile


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
