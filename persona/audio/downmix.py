"""Several channels, of a scale to be found out, -> one channel of full scale +-1."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from persona.audio.waveform import bits_of_floats

SILENCE = 1e-4
"""Half the peak-to-peak range below which audio is silence: -80 dB of full scale."""

_SECONDS = 10.0
"""Of sound that are looked at before anything is decided."""

_HALF_LIFE = 1.0
"""Seconds of sound, looked at later, by which what was seen before comes to count half."""

_MOST_HELD = 1 << 22
_FRAME = 256
_BAND = (100, 4_000)
_VOICED = (150, 1_500)


class Downmix:
    """The average of the channels, or one of them where they cancel each other.

    A stereo recording of one microphone whose second channel is inverted averages to silence, or,
    where that channel is late by a sample or coded on its own, to hiss. The average is then far
    weaker than the channels: below 1/(2 * channels) of their mean power between 100 and 4000 Hz,
    or in half of the frequencies between 150 and 1500 Hz, where voices are strong and hum and a
    delay of a few samples do not hide it. (Channels that have nothing in common keep 1/channels,
    one that is dead besides a live one keeps 1/2.) One channel is used then: of those within 10
    dB of the strongest, the one in which loud frames stand out most from quiet ones, as speech
    does from noise.

    The decision is made on the first 10 s of sound and holds for the recording; until then,
    frames are held back. Afterwards the last seconds are watched: where channels begin to
    cancel, one is used from there to the end. It is never changed back.

    Floats of a file may have been written at the scale of integers; the peak of those first
    seconds decides.

    Parameters
    ----------
    rate : in Hz. channels : number.
    floats : the scale is uncertain. channel : the one to use, if that is known.

    Attributes
    ----------
    channel : the one in use, from 0; None for the average.
    since : seconds into the recording at which it began to be used.
    bits : of the integers at whose scale floats were found to be; 0 for full scale +-1.
    unclear : a peak that fits no scale, else None.
    """

    def __init__(
        self, rate: float, channels: int, floats: bool = False, channel: int | None = None
    ) -> None:
        self.channel: int | None = None
        self.since = 0.0
        self.bits = 0
        self.unclear: float | None = None
        self.channels = channels
        self._rate, self._floats = rate, floats
        self._weights = np.full(channels, 1 / channels, np.float32)
        watched = channels > 1 and channel is None
        self._watch = _Watch(rate, channels) if watched else None
        self._held: list[np.ndarray] | None = [] if floats or watched else None
        self._held_frames = self._passed = 0
        self._most = min(round(_SECONDS * rate), _MOST_HELD // channels)
        if channel is not None:
            self._use(min(channel, channels - 1), 0.0)

    def mixed(self, chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Take chunks of shape (n, channels); yield them mixed, shape (n,), some of them later."""
        for number, frames in enumerate(chunks):
            if self.channel is None and self._watch:
                if self._held is not None or number % 2 == 0:  # later, half of it will do
                    self._watch.add(frames, forget=self._held is None)
                if self._held is None and self._watch.cancelling():
                    self._use(self._watch.best(), self._passed / self._rate)
            if self._held is None or (not self._held and _silent(frames)):
                yield self._mixed(frames)
                continue
            self._held.append(frames)
            self._held_frames += len(frames)
            if self._held_frames >= self._most:
                yield from self._decided()
        yield from self._decided()

    def _decided(self) -> Iterator[np.ndarray]:
        """What was held, now that there is enough of it to decide by, or no more."""
        held, self._held = self._held, None
        if not held:
            return
        if self._floats:
            self._settle(max(float(np.abs(frames).max()) for frames in held))
        if self._watch and self._watch.cancelling():
            self._use(self._watch.best(), 0.0)
        for frames in held:
            yield self._mixed(frames)

    def _settle(self, peak: float) -> None:
        bits = bits_of_floats(peak) if np.isfinite(peak) else 0
        if bits is None:
            self.unclear = peak
        elif bits:
            self._weights /= np.float32(1 << (bits - 1))
            self.bits = bits

    def _use(self, channel: int, since: float) -> None:
        gain = self._weights.sum()
        self._weights = np.zeros_like(self._weights)
        self._weights[channel] = gain
        self.channel, self.since = channel, since

    def _mixed(self, frames: np.ndarray) -> np.ndarray:
        self._passed += len(frames)
        if self.channel is not None or self.channels == 1:
            channel = self.channel or 0
            gain = self._weights[channel]
            return frames[:, channel] if gain == 1 else frames[:, channel] * gain
        with np.errstate(invalid="ignore", over="ignore"):
            return frames @ self._weights


class _Watch:
    """Powers of the channels and of their average, by frequency, over the last seconds of sound."""

    def __init__(self, rate: float, channels: int) -> None:
        self._step = max(1, int(rate // 8_000))
        self._rate, self._channels = rate / self._step, channels
        frequencies = np.fft.rfftfreq(_FRAME, 1 / self._rate)
        self._band = (frequencies >= _BAND[0]) & (frequencies <= _BAND[1])
        inside = frequencies[self._band]
        self._voiced = (inside >= _VOICED[0]) & (inside <= _VOICED[1])
        # A boxcar over `step` frames, then every step-th: good enough to compare channels by.
        self._boxcar = np.tile(np.eye(channels, dtype=np.float32), self._step) / self._step
        self._taper = np.hanning(_FRAME).astype(np.float32)
        self._apart = np.zeros((channels, len(inside)))
        self._together = np.zeros(len(inside))
        self._loudest = 0.0
        self._levels: deque[np.ndarray] = deque(maxlen=64)

    def add(self, frames: np.ndarray, forget: bool) -> None:
        whole = len(frames) // (self._step * _FRAME)
        if not whole:
            return
        cut = np.ascontiguousarray(frames[: whole * self._step * _FRAME])
        with np.errstate(all="ignore"):
            low = self._boxcar @ cut.reshape(whole * _FRAME, -1).T
            spectra = np.fft.rfft(low.reshape(self._channels, whole, _FRAME) * self._taper)
            spectra = spectra[:, :, self._band]
            apart = _powers(spectra)
            power = float(apart.mean())
        self._loudest = max(self._loudest, power)
        if not power > 0.01 * self._loudest or not np.isfinite(power):  # a pause, or damaged
            return
        memory = 0.5 ** (whole * _FRAME / self._rate / _HALF_LIFE) if forget else 1.0
        self._apart = memory * self._apart + apart.sum(axis=1)
        self._together = memory * self._together + _powers(spectra.mean(axis=0)).sum(axis=0)
        self._levels.append(apart.sum(axis=2).T)

    def cancelling(self) -> bool:
        apart, together = self._apart.mean(axis=0), self._together
        if not apart.sum() > 0:
            return False
        left = together.sum() / apart.sum()
        voiced = self._voiced & (apart > 0)
        if voiced.any():
            left = min(left, float(np.median(together[voiced] / apart[voiced])))
        return bool(left < 1 / (2 * self._channels))

    def best(self) -> int:
        quiet, loud = np.quantile(np.concatenate(self._levels), (0.1, 0.9), axis=0)
        contrast = loud / (quiet + 1e-3 * loud + 1e-30)
        return int(np.where(loud >= 0.1 * loud.max(), contrast, -1).argmax())


def _silent(frames: np.ndarray) -> bool:
    return float(frames.max()) - float(frames.min()) < 2 * SILENCE


def _powers(spectra: np.ndarray) -> np.ndarray:
    return np.square(spectra.real) + np.square(spectra.imag)
