"""Do notes on a recording's quality tell answers that moved? python tools/measure_notes.py FOLDER

FOLDER holds clips of CREMA-D or of EmoDB. Each is answered as it is and in fifteen bad forms.
Printed: for how many another emotion is named than in the clean clip, in each form, and with each
note and without it; and the AUC of having one.
"""

import io
import sys
from pathlib import Path

import av
import numpy as np
from sklearn.metrics import roc_auc_score

from persona import Predictor, audio
from persona.audio import degradations as worse
from persona.audio import quality
from persona.errors import AudioError
from persona.model.prediction import Prediction

CLIPS = 40
RATE = audio.RATE


def noise(length: int, slope: float = 0.0) -> np.ndarray:
    """White, or falling by a power of the frequency; always the same, shape (length,)."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=length))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** slope, length)


def opus(x: np.ndarray, kilobits: int, rate: int) -> bytes:
    """An Ogg file of a waveform."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout="mono", bit_rate=1000 * kilobits)
        frame = av.AudioFrame.from_ndarray(x[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        fit = av.AudioResampler(stream.codec_context.format, "mono", rate, frame_size=rate // 50)
        for part in (*fit.resample(frame), *fit.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def echo(x: np.ndarray, seconds: float = 0.5) -> np.ndarray:
    """In a room that takes `seconds` to grow quieter by 60 dB; half as strong as the voice."""
    length = round(1.2 * seconds * RATE)
    tail = noise(length) * 10 ** (-3 * np.arange(length) / RATE / seconds)
    tail *= 0.5 / np.sqrt((tail**2).sum())
    tail[0] = 1
    return np.convolve(x, tail).astype(np.float32)


def lost(x: np.ndarray, share: float = 0.1) -> np.ndarray:
    """Without a share of its packets of 20 ms."""
    gone = np.random.default_rng(0).random(len(x) // 320 + 1) < share
    return np.where(np.repeat(gone, 320)[: len(x)], np.float32(0), x)


def low(x: np.ndarray, hertz: float) -> np.ndarray:
    spectrum = np.fft.rfft(x)
    spectrum[np.fft.rfftfreq(len(x), 1 / RATE) > hertz] = 0
    return np.fft.irfft(spectrum, len(x)).astype(np.float32)


FORMS = {
    "telephone": worse.telephone,
    "Opus, 6 kbit/s": lambda x: opus(x, 6, 8000),
    "MP3, 16 kbit/s": lambda x: worse.mp3(x, 16),
    "below 3 kHz": lambda x: low(x, 3000),
    "white noise, 20 dB": lambda x: worse.with_noise(x, noise(len(x)), 20),
    "white noise, 10 dB": lambda x: worse.with_noise(x, noise(len(x)), 10),
    "white noise, 5 dB": lambda x: worse.with_noise(x, noise(len(x)), 5),
    "pink noise, 15 dB": lambda x: worse.with_noise(x, noise(len(x), 0.5), 15),
    "pink noise, 5 dB": lambda x: worse.with_noise(x, noise(len(x), 0.5), 5),
    "echo": echo,
    "2 % lost": lambda x: lost(x, 0.02),
    "5 % lost": lambda x: lost(x, 0.05),
    "10 % lost": lost,
    "20 % lost": lambda x: lost(x, 0.2),
    "clipped": lambda x: worse.amplified(x, 20 - 20 * np.log10(np.abs(x).max())),
}


def emotion(answer: Prediction) -> str:
    return max(answer.emotion or {}, key=(answer.emotion or {}).__getitem__)


NOTES = {
    "narrow": lambda q: q.bandwidth < quality.NARROW,
    "clipped": lambda q: q.clipped > quality.CLIPPED,
    "noisy": lambda q: q.snr < quality.NOISY,
    "lost": lambda q: q.lost > quality.LOST,
    "any": lambda q: bool(quality.unlike(q)),
}


def main(folder: Path) -> None:
    predictor, rows = Predictor.load(), []
    files = sorted([*folder.rglob("*.flac"), *folder.rglob("*.wav")])
    for file in np.random.default_rng(1).permutation(np.array(files, object))[:CLIPS]:
        clean = audio.read(file).samples
        before = predictor.predict((clean, RATE), people=1)
        rows.append(("clean", False, before.quality))
        for name, form in FORMS.items():
            bad = form(clean)
            try:
                answer = predictor.predict(bad if isinstance(bad, bytes) else (bad, RATE), people=1)
            except AudioError:  # nobody is heard any more, which is said
                continue
            rows.append((name, emotion(answer) != emotion(before), answer.quality))
    forms, moved = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    for name in FORMS:
        print(f"{name:20} {moved[forms == name].mean():.0%} moved")
    bad = forms != "clean"
    for name, note in NOTES.items():
        noted = np.array([note(of) for _, _, of in rows])
        print(
            f"{name}: {noted[bad].sum()} of {bad.sum()} noted, of whom {moved[noted].mean():.0%} "
            f"moved; {moved[bad & ~noted].mean():.0%} of the others; {noted[~bad].sum()} clean "
            f"ones noted; AUC {roc_auc_score(moved, noted):.2f}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
