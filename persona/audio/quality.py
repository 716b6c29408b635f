"""What the speech of a recording is like: its level, noise, clipping and bandwidth."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as _sliding

from persona.audio.reader import RATE

FRAME = 160  # samples: 10 ms
STEP = 512  # samples: a frame of the detector and of the spectrum
NARROW, CLIPPED, NOISY, LOST = 6000, 0.01, 7.0, 0.01
"""Hz of bandwidth and dB above the noise below which, and shares of clipped and of missing speech
above which, a note is made.

Of 26 clips of CREMA-D in ten bad forms (a telephone, Opus at 6 and MP3 at 16 kbit/s, low-pass,
echo, noises, lost packets, clipping) another emotion was named than in the clean clip for 38 %
with a note on bandwidth or clipping and 11 % without: AUC 0.69. Of 40 clips of CREMA-D and 40 of
EmoDB in twenty other forms it was 27 % below 7 dB, which no clean clip is; 20 % where speech was
missing, and none of 39 that lost packets without a note; 17 % in other bad forms; and 2 % in forms
that do no harm (half level, FLAC, MP3 at 128 and Opus at 32 kbit/s), of which none had a note. Of
echo nothing told, with which 12 % moved. See `tools/measure_notes.py`.
"""
SILENT = -96.0  # dBFS: below the noise of 16 bits, nothing was recorded
ABRUPT = 15.0  # dB below the speech: from above it to above it, nobody is silent for a moment

_HANN = np.hanning(STEP).astype(np.float32)


@dataclass(frozen=True)
class Quality:
    """What the speech of a recording is like.

    seconds : of speech.
    level : root mean square of the speech, dB of full scale.
    clipped : share of its samples, 0 to 1, that stand at full scale (within 0.1 % or beyond) and
        follow one that does.
    snr : dB from the noise to the speech. The noise is the median frame of 10 ms outside the
        speech, or, where less than half a second is outside, the tenth percentile within.
    bandwidth : Hz below which 99 % of the speech's energy lies, after a pre-emphasis of 0.97:
        about 3,400 over a telephone.
    lost : share of the speech, 0 to 1, in whose place nothing is, between loud speech that breaks
        off and sets in again, as where packets were lost.
    """

    seconds: float
    level: float
    clipped: float
    snr: float
    bandwidth: float
    lost: float


def unlike(quality: Quality) -> tuple[str, ...]:
    """Notes on speech in which answers were measured to move: see `NARROW`."""
    notes = []
    if quality.bandwidth < NARROW:
        notes.append(f"no sound above {int(quality.bandwidth)} Hz")
    if quality.clipped > CLIPPED:
        notes.append(f"{int(100 * quality.clipped)} % clipped")
    if quality.snr < NOISY:
        notes.append(f"speech only {int(quality.snr)} dB above the noise")
    if quality.lost > LOST:
        notes.append(f"{int(100 * quality.lost)} % of the speech is missing")
    return tuple(f"{note}: a clean recording may be answered otherwise" for note in notes)


def levels_of(samples: np.ndarray) -> np.ndarray:
    """dB of full scale of each whole frame of 10 ms, without what does not swing (an offset)."""
    count = len(samples) // FRAME
    power = samples[: count * FRAME].reshape(count, FRAME).var(axis=1)
    return 10 * np.log10(power + 1e-12)


class Measures:
    """Sums from which `Quality` follows; of levels a number for each 10 ms is kept."""

    def __init__(self) -> None:
        self.count, self._clipped, self._power = 0, 0, 0.0
        self._spectrum = np.zeros(STEP // 2 + 1)
        self._inside: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []
        self._outside: list[np.ndarray] = []

    def add(self, samples: np.ndarray, level: np.ndarray, segments: np.ndarray) -> None:
        inside = np.zeros(len(level), bool)
        for start, end in segments:
            inside[start // FRAME : end // FRAME] = True
            piece = samples[start:end]
            full = np.abs(piece) >= 0.999
            self._clipped += int((full[1:] & full[:-1]).sum())
            self.count += len(piece)
            self._frames.append(levels_of(piece))
            self._power += float(piece.var(dtype=np.float64)) * len(piece)
            frames = _sliding(piece - piece.mean(), STEP)[::STEP] * _HANN
            self._spectrum += (np.abs(np.fft.rfft(frames)) ** 2).sum(axis=0)
        self._inside.append(level[inside])
        self._outside.append(level[~inside & (level > SILENT)])

    def quality(self) -> Quality:
        inside, outside = np.concatenate(self._inside), np.concatenate(self._outside)
        noise = np.median(outside) if len(outside) >= 50 else np.percentile(inside, 10)
        level = 10 * np.log10(self._power / self.count + 1e-12)
        hertz = np.linspace(0, RATE / 2, len(self._spectrum))
        emphasis = np.abs(1 - 0.97 * np.exp(-2j * np.pi * hertz / RATE)) ** 2
        energy = np.cumsum(self._spectrum * emphasis)
        return Quality(
            seconds=self.count / RATE,
            level=round(float(level), 1),
            clipped=self._clipped / self.count,
            snr=round(float(level - noise), 1),
            bandwidth=float(hertz[np.searchsorted(energy, 0.99 * energy[-1])]),
            lost=_lost(np.concatenate(self._frames), level),
        )


def _lost(levels: np.ndarray, level: float) -> float:
    """Share of frames of speech that hold nothing, between loud ones, by their levels."""
    edges = np.diff(np.concatenate([[False], levels <= SILENT, [False]]).astype(int))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    loud = np.concatenate([[-np.inf], levels, [-np.inf]]) > level - ABRUPT
    broken = loud[starts] & loud[ends + 1]
    return float((ends - starts)[broken].sum() / max(len(levels), 1))
