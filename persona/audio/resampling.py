"""Any sampling rate -> 16 kHz, with all that the networks heard in training: up to 8 kHz.

Most resamplers fade out from 0.9 of half the lower rate on. A recording at 44.1 kHz would lose what
lies above 7.3 kHz, which recordings made at 16 kHz have, and be answered differently. The page
that listens does the same sums in JavaScript.
"""

from collections.abc import Iterator

import numpy as np

RATE = 16_000
"""Sampling rate in Hz of every waveform inside the package."""

FROM_ABOVE, FROM_BELOW = (48, 6), (192, 13)
"""The filter for rates above and below 16 kHz: periods of the lower rate that it spans, and beta of
its Kaiser window. Half of the lower rate comes through at half its size. From above, the gain is 1
up to 7.3 kHz and 1/1000 from 8.7 kHz on; from below it is steep and damps by 120 dB, since nothing
may be heard above what the recording holds."""


class Resampler:
    """Mono float32 at `rate` Hz to 16 kHz in one pass, in step with it; 16 kHz as it is.

    rate : in whole Hz, else it is rounded.
    """

    def __init__(self, rate: float) -> None:
        self._rate = round(rate)
        self._taken = self._given = 0
        if self._rate == RATE:
            return
        from av.filter import Graph

        self._graph = Graph()
        self._graph.threads = 1
        span, beta = FROM_ABOVE if self._rate > RATE else FROM_BELOW
        form = (
            f"sample_rate={self._rate}:sample_fmt=flt:channel_layout=mono:time_base=1/{self._rate}"
        )
        kaiser = f"cutoff=1:filter_type=kaiser:filter_size={span}:kaiser_beta={beta}"
        self._graph.link_nodes(
            self._graph.add("abuffer", form),
            self._graph.add("aresample", f"{RATE}:{kaiser}"),
            self._graph.add("abuffersink"),
        ).configure()

    def chunk(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Take the next samples, shape (n,); gives what they complete, and at the last the rest."""
        if self._rate == RATE:
            return samples
        if len(samples):
            self._push(samples)
        if last:
            self._graph.push(None)
        found = np.concatenate((np.empty(0, np.float32), *self._pulled()))
        if last:  # a filter's end may add a sample
            found = found[: self._taken * RATE // self._rate - self._given]
        self._given += len(found)
        return found

    def _push(self, samples: np.ndarray) -> None:
        import av

        row = np.ascontiguousarray(samples[None], np.float32)
        frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._taken
        self._graph.push(frame)
        self._taken += len(samples)

    def _pulled(self) -> Iterator[np.ndarray]:
        import av

        try:
            while True:
                yield self._graph.pull().to_ndarray()[0]
        except (av.error.BlockingIOError, av.error.EOFError):
            return
