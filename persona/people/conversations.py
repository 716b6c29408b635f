"""Conversations made of recordings of single people, of whom is known who speaks when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from persona.audio import RATE, degradations
from persona.audio.quality import FRAME

TURNS = 14
PAUSES = (0.2, 1.0)
"""Seconds between turns."""

LOUD = 30.0
"""dB below the loud frames (95th percentile) of a turn in which it may be speech; it is, where it
is nearer to these, in dB, than to the faint ones (5th percentile)."""

BREATH = 0.4
"""Seconds of a pause up to which a turn goes on."""

SNR = 25.0
"""dB of the noise that is added to what is heard."""

Turn = Callable[[np.random.Generator], np.ndarray]
"""Draws what somebody says in a turn: float32, shape (n,), 16 kHz."""


@dataclass(frozen=True)
class Conversation:
    """samples : float32, shape (n,), 16 kHz.
    turns : start and end of speech in seconds, and who speaks, by the energy before noise.
    """

    samples: np.ndarray
    turns: tuple[tuple[float, float, str], ...]


def conversation(
    people: Mapping[str, Turn], seed: int, turns: int = TURNS, devices: bool = False
) -> Conversation:
    """People who take turns; nobody has two in a row, unless alone, and everyone has one.

    devices : each turn passes a microphone, a room and a codec of its own, so that these cannot
        stand for a person.
    """
    rng = np.random.default_rng(seed)
    parts, spoken, at = [], [], 0
    for name in _order(list(people), turns, rng):
        clean = people[name](rng)
        clean = clean * np.float32(0.05 / max(float(clean.std()), 1e-6))
        spoken += [(at / RATE + a, at / RATE + b, name) for a, b in _speech(clean)]
        heard = _through_device(clean, rng) if devices else clean
        pause = np.zeros(round(rng.uniform(*PAUSES) * RATE), np.float32)
        parts += [heard, pause]
        at += len(heard) + len(pause)
    joined = np.concatenate(parts)
    noise = rng.standard_normal(len(joined))
    return Conversation(degradations.with_noise(joined, noise, SNR), tuple(spoken))


def _order(names: Sequence[str], turns: int, rng: np.random.Generator) -> list[str]:
    order = [str(name) for name in rng.permutation(names)]
    while len(order) < turns:
        others = [name for name in names if name != order[-1]] or list(names)
        order.append(str(rng.choice(others)))
    return order


def _speech(clean: np.ndarray) -> list[tuple[float, float]]:
    """Start and end, in seconds, of what is loud in a clean turn."""
    count = len(clean) // FRAME
    level = 10 * np.log10(clean[: count * FRAME].reshape(count, FRAME).var(axis=1) + 1e-12)
    low, high = np.percentile(level, [5, 95])
    loud = np.flatnonzero(level > max(high - LOUD, (low + high) / 2))
    breaks = np.flatnonzero(np.diff(loud) * FRAME > BREATH * RATE)
    starts, ends = loud[np.append(0, breaks + 1)], loud[np.append(breaks, len(loud) - 1)] + 1
    scale = FRAME / RATE
    return [(float(a) * scale, float(b) * scale) for a, b in zip(starts, ends, strict=True)]


def _through_device(clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    heard = degradations.coloured(clean, rng)
    heard = degradations.in_room(heard, float(rng.uniform(0.1, 0.5)), rng)
    match rng.integers(3):
        case 0:
            heard = degradations.telephone(heard)
        case 1:
            heard = degradations.mp3(heard, int(rng.choice([24, 32, 64])))
    return degradations.amplified(heard, float(rng.uniform(-6, 6)))
