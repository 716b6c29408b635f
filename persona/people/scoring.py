"""How well it was told who speaks when: the parts of the diarisation error rate."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Turns = Sequence[tuple[float, float, str]]
"""Start and end, in seconds, and the name of a person, of whom only what is equal counts."""

STEP = 0.01
COLLAR = 0.25
"""Seconds on either side of the start and end of a true turn that are not scored, as is usual."""


class Score(NamedTuple):
    """Seconds of a recording, and numbers of people.

    speech : of true speech that is scored.
    missed : of it, where nobody was heard. false_alarm : heard where nobody speaks.
    confusion : heard, but given to another person, people being matched as favourably as can be.
    true_people, people : how many speak, and how many were found.
    """

    speech: float
    missed: float
    false_alarm: float
    confusion: float
    true_people: int
    people: int


def score(true: Turns, found: Turns, collar: float = COLLAR) -> Score:
    """Compare the turns of a recording, in which one person speaks at a time, with those found."""
    from scipy.optimize import linear_sum_assignment

    end = max((until for _, until, _ in (*true, *found)), default=0.0)
    size = int(np.ceil(end / STEP)) + 1
    scored = np.ones(size, bool)
    for edge in (edge for start, until, _ in true for edge in (start, until)):
        scored[_places(edge - collar, edge + collar)] = False
    names, spoken = _line(true, size)
    people, heard = _line(found, size)
    both = scored & (spoken > 0) & (heard > 0)
    table = np.zeros((len(names) + 1, len(people) + 1), int)
    np.add.at(table, (spoken[both], heard[both]), 1)
    table = table[1:, 1:]
    matched = table[linear_sum_assignment(-table)].sum()
    return Score(
        STEP * float((scored & (spoken > 0)).sum()),
        STEP * float((scored & (spoken > 0) & (heard == 0)).sum()),
        STEP * float((scored & (spoken == 0) & (heard > 0)).sum()),
        STEP * float(table.sum() - matched),
        len(names),
        len(people),
    )


def _places(start: float, until: float) -> slice:
    return slice(max(0, round(start / STEP)), max(0, round(until / STEP)))


def _line(turns: Turns, size: int) -> tuple[list[str], np.ndarray]:
    """The people, and the number, from 1, of who speaks in each step, 0 for nobody."""
    names = sorted({name for *_, name in turns})
    line = np.zeros(size, int)
    for start, until, name in turns:
        line[_places(start, until)] = names.index(name) + 1
    return names, line
