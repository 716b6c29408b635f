"""How well it was told who speaks when: the parts of the diarisation error rate."""

from collections.abc import Sequence
from itertools import groupby
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


class _Compared:
    """Who speaks and who was heard in each step.

    spoken, heard : numbers, from 1, of who speaks and of who was heard, 0 for nobody, shape (n,).
    scored, both : whether a step is scored, and whether somebody speaks and somebody is heard then.
    matched : number of who speaks for each of those heard, 0 for nobody.
    """

    def __init__(self, true: Turns, found: Turns, collar: float) -> None:
        from scipy.optimize import linear_sum_assignment

        end = max((until for _, until, _ in (*true, *found)), default=0.0)
        size = int(np.ceil(end / STEP)) + 1
        self.scored = np.ones(size, bool)
        for edge in (edge for start, until, _ in true for edge in (start, until)):
            self.scored[_places(edge - collar, edge + collar)] = False
        self.names, self.spoken = _line(true, size)
        self.people, self.heard = _line(found, size)
        self.both = self.scored & (self.spoken > 0) & (self.heard > 0)
        table = np.zeros((len(self.names) + 1, len(self.people) + 1), int)
        np.add.at(table, (self.spoken[self.both], self.heard[self.both]), 1)
        rows, columns = linear_sum_assignment(-table[1:, 1:])
        self.matched = np.zeros(len(self.people) + 1, int)
        self.matched[columns] = rows + 1


def score(true: Turns, found: Turns, collar: float = COLLAR) -> Score:
    """Compare the turns of a recording, in which one person speaks at a time, with those found."""
    it = _Compared(true, found, collar)
    confused = it.both & (it.matched[it.heard - 1] != it.spoken)
    return Score(
        STEP * int((it.scored & (it.spoken > 0)).sum()),
        STEP * int((it.scored & (it.spoken > 0) & (it.heard == 0)).sum()),
        STEP * int((it.scored & (it.spoken == 0) & (it.heard > 0)).sum()),
        STEP * int(confused.sum()),
        len(it.names),
        len(it.people),
    )


class Told(NamedTuple):
    """Seconds of a true turn: its length; of it, scored and given to somebody; and to another."""

    seconds: float
    heard: float
    confusion: float


def by_turn(true: Turns, found: Turns, collar: float = COLLAR) -> list[Told]:
    """The confusion of `score` for each true turn: what one says until another speaks."""
    compared = _Compared(true, found, collar)
    wrong = compared.matched[compared.heard - 1] != compared.spoken
    rows = []
    for _, some in groupby(true, key=lambda turn: turn[2]):
        turn = list(some)
        place = np.zeros(len(compared.both), bool)
        for start, until, _ in turn:
            place[_places(start, until)] = True
        place &= compared.both
        length = sum(until - start for start, until, _ in turn)
        rows.append(Told(length, STEP * int(place.sum()), STEP * int((place & wrong).sum())))
    return rows


def _places(start: float, until: float) -> slice:
    return slice(max(0, round(start / STEP)), max(0, round(until / STEP)))


def _line(turns: Turns, size: int) -> tuple[list[str], np.ndarray]:
    """The people, and the number, from 1, of who speaks in each step, 0 for nobody."""
    names = sorted({name for *_, name in turns})
    line = np.zeros(size, int)
    for start, until, name in turns:
        line[_places(start, until)] = names.index(name) + 1
    return names, line
