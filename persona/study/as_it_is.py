"""Speech as it is: views of clips in which people speak longer, shorter or with pauses, and sums of
what is answered to them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from persona import evaluation
from persona.audio import RATE
from persona.audio.quality import FRAME
from persona.calibration import BINS

LENGTHS = (2, 4, 8)
"""Phrases of a person and emotion that are joined."""

BETWEEN = (0.1, 1.0)
"""Seconds of the pauses between joined phrases, at random."""

WITHIN = (0.2, 3.0)
"""Seconds of a pause that is put into a phrase, at random."""

TIMES = (2, 10)
"""How often a clip is said again."""

SECONDS = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Lengths of speech from which on answers are told apart."""

KEYS = ["corpus", "condition", "speaker", "true", "called", "same", "seconds", "bin"]

_TONE = 40  # frames of the quietest sound around speech that make a pause
_SMOOTH = 11  # frames over which the quietest place in speech is sought
_MIDDLE = (0.3, 0.7)  # of the speech, where that place lies
_FAINT = 10 ** (-50 / 20)  # of a pause where nothing is heard around speech, against the speech


def silence(
    samples: np.ndarray, segments: np.ndarray, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """A pause in the room of a clip: the quietest sound around its speech, to and fro.

    samples : shape (n,), 16 kHz. segments : of its speech, as of `speech.Listener.segments`.
    Where next to nothing is around the speech, it is noise 50 dB below it.
    """
    around = np.ones(len(samples), bool)
    for start, end in (segments * RATE).round().astype(int):
        around[start:end] = False
    outside, count = samples[around], round(seconds * RATE)
    if len(outside) < _TONE * FRAME:
        level = _FAINT * np.sqrt(np.mean(samples**2, dtype=float))
        return (level * rng.standard_normal(count)).astype(np.float32)
    first = int(_powers(outside, _TONE).argmin()) * FRAME
    tone = outside[first : first + _TONE * FRAME]
    tone = tone - tone.mean()
    return np.resize(np.concatenate([tone, tone[::-1]]), count)


def paused(samples: np.ndarray, segments: np.ndarray, pause: np.ndarray) -> np.ndarray:
    """A clip with a pause at the quietest place in the middle of its speech."""
    first, last = segments[0, 0] * RATE, segments[-1, 1] * RATE
    start, end = (int(first + share * (last - first)) for share in _MIDDLE)
    quietest = int(_powers(samples[start:end], _SMOOTH).argmin()) + _SMOOTH // 2
    cut = start + quietest * FRAME
    return np.concatenate([samples[:cut], pause, samples[cut:]])


def in_a_row(phrases: Sequence[np.ndarray], pauses: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Phrases end to end; a pause, if there are any, stands before each but the first."""
    parts = [phrases[0]]
    for number, phrase in enumerate(phrases[1:]):
        parts += [*pauses[number : number + 1], phrase]
    return np.concatenate(parts)


def sums(answers: pd.DataFrame) -> pd.DataFrame:
    """Answers counted by `KEYS`: columns n, and confidence, which is summed.

    answers : columns corpus, condition, speaker, true and called (emotions), same (as without what
    the condition changes), confidence (of the emotion called), seconds (of speech).
    """
    row = np.digitize(answers["seconds"], SECONDS[1:])
    bins = (answers["confidence"] * BINS).astype(int).clip(upper=BINS - 1)
    counted = answers.assign(seconds=np.array(SECONDS)[row], bin=bins, n=1)
    return counted.groupby(KEYS, as_index=False)[["n", "confidence"]].sum()


def share(rows: pd.DataFrame, of: pd.Series, draws: int = 10_000) -> tuple[float, float, float]:
    """Share of the answers counted in `rows` for which `of` is true, and its 95 % interval.

    The interval is a bootstrap over speakers.
    """
    each = pd.DataFrame({"n": rows["n"], "hits": rows["n"].where(of, 0)})
    n, hits = each.groupby(rows["speaker"]).sum().to_numpy(float).T
    weights = evaluation.resample(len(n), draws)
    return hits.sum() / n.sum(), *evaluation.interval((weights @ hits) / (weights @ n))


def accuracy(rows: pd.DataFrame, draws: int = 10_000) -> tuple[float, float, float]:
    """Share of emotions named right, and its interval as of `share`."""
    return share(rows, rows["called"] == rows["true"], draws)


def recall(rows: pd.DataFrame) -> float:
    """Mean over the true emotions of the share that is named right."""
    right = rows["n"].where(rows["called"] == rows["true"], 0)
    return float((right.groupby(rows["true"]).sum() / rows.groupby("true")["n"].sum()).mean())


def calibration_error(rows: pd.DataFrame) -> float:
    """Expected calibration error, as of `calibration.expected_error`."""
    right = rows["n"].where(rows["called"] == rows["true"], 0)
    gap = (right - rows["confidence"]).groupby(rows["bin"]).sum()
    return float(gap.abs().sum() / rows["n"].sum())


def _powers(samples: np.ndarray, frames: int) -> np.ndarray:
    """Mean power of each run of this many frames of 10 ms."""
    whole = len(samples) // FRAME
    power = samples[: whole * FRAME].reshape(whole, FRAME).var(axis=1)
    return np.convolve(power, np.ones(frames) / frames, "valid")
