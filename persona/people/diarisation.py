"""Who speaks when: every window's parts are voices; like voices are one person's.

Each window was run by itself, and its network's last frames, pooled over parts of it, are voices.
A window in which two people are heard is cut there, and its halves are run. Overlapping speech is
not told apart: it is given to one of those who speak.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.audio.windows import Window
from persona.people.clustering import gap, joined, merges, unlike
from persona.people.different import Different

PART = 2.2
"""Seconds that a part of a window has at most."""

LEAST = 0.7
"""Seconds of a part below which it makes no person: it is given to whom it is most like."""

SURE = 0.36
"""Mean cosine of voices from which they are one person's."""

ALIKE = 0.16
"""The same below which they are two people's. Where between the two people begin is sought in each
recording, as the widest gap: microphones, languages and manners of speaking shift it."""

ALONE = 0.2
"""Mean cosine of the two least alike groups of voices from which all are one person's. It is lower,
for most recordings are of one person, whose feelings change the voice as another speaker would.
"""

FEWEST = 3.0
"""Seconds of speech that make a person; with less, one is taken for who is most alike."""

STRETCH = 300.0
"""Seconds of speech that are searched at once, so that memory stays flat."""


@dataclass(frozen=True)
class Heard:
    """A window, and what the network made of it.

    embedding : what answers were made from, shape (dimension,).
    answers : anything.
    voices : embeddings of its `parts`, of length 1, shape (k, 192).
    """

    window: Window
    embedding: np.ndarray
    answers: Any
    voices: np.ndarray


@dataclass(frozen=True)
class Said:
    """What was heard in one window of one person.

    pieces : start and end of its pieces of speech, in seconds. weight : seconds of speech.
    """

    pieces: tuple[tuple[float, float], ...]
    weight: float
    answers: Any

    @property
    def start(self) -> float:
        return self.pieces[0][0]

    @property
    def end(self) -> float:
        return self.pieces[-1][1]

    @classmethod
    def of(cls, heard: Heard) -> "Said":
        pieces = [(first / RATE, last / RATE) for first, last in heard.window.pieces.tolist()]
        return cls(tuple(pieces), heard.window.weight, heard.answers)


@dataclass(eq=False)
class Speaker:
    """Somebody heard.

    total : sum of voices, each times its seconds, shape (192,). seconds : of these voices.
    said : windows in order of time. different : how many of them were.
    """

    total: np.ndarray
    seconds: float
    different: Different = field(default_factory=Different)
    said: list[Said] = field(default_factory=list)

    def copy(self) -> "Speaker":
        return replace(self, different=self.different.copy(), said=[*self.said])

    def join(self, other: "Speaker") -> None:
        self.total = self.total + other.total
        self.seconds += other.seconds
        self.different.join(other.different)


class Diarisation:
    """Tells people apart while windows are heard: `hear` each, in order, then ask for `speakers`.

    run : hears a window; called where one is cut, as two people are heard in it.
    count : of people, where that is known.
    are_two : asked of windows that are taken for one person's whether two people surely speak.
    """

    def __init__(
        self,
        run: Callable[[Window], Heard],
        count: int | None = None,
        are_two: Callable[[Sequence[Said]], bool] | None = None,
    ) -> None:
        self._run, self._count, self._are_two = run, count, are_two
        self._alone = Speaker(np.zeros(0), 0.0)  # who said it all, if nobody is told apart
        self._held: list[Heard] = []
        self._found: list[Speaker] = []
        self._cuts: list[list[tuple[Said, int]]] = []  # each window's parts, and whose they are
        self._now: list[int] = []  # the person that each of those ever found belongs to now

    def hear(self, heard: Heard) -> None:
        self._alone.said.append(Said.of(heard))
        self._alone.different.hear(heard.embedding)
        if self._count == 1:
            return
        self._held.append(heard)
        if sum(one.window.weight for one in self._held) >= STRETCH:
            self._tell_apart()

    def speakers(self) -> list[Speaker]:
        """Everyone heard, with what they said; who speaks most comes first."""
        if self._held:
            self._tell_apart()
        if self._found:
            self._settle()
        if len(self._found) < 2:
            return [self._alone]
        for whole, cut in zip(self._alone.said, self._cuts, strict=True):
            parts = [(said, self._now[number]) for said, number in cut]
            if len({person for _, person in parts}) == 1:
                parts = [(whole, parts[0][1])]
            for said, person in parts:
                self._found[person].said.append(said)
        return sorted(self._found, key=lambda person: -sum(s.weight for s in person.said))

    def with_these(self, besides: Iterable[Heard]) -> list[Speaker]:
        """Everyone heard, if these were heard next. Nothing is kept of it."""
        other = Diarisation(self._run, self._count, self._are_two)
        other._alone, other._held = self._alone.copy(), [*self._held]
        other._found = [speaker.copy() for speaker in self._found]
        other._cuts, other._now = [*self._cuts], [*self._now]
        for heard in besides:
            other.hear(heard)
        return other.speakers()

    def _tell_apart(self) -> None:
        """Find the people of a stretch, and join them with those found before."""
        held, self._held = self._held, []
        edges = [parts(heard.window) for heard in held]
        voices = np.concatenate([heard.voices for heard in held])
        seconds = np.diff(np.concatenate(edges), axis=1)[:, 0] / RATE
        labels = told_apart(voices, seconds)
        first = len(self._found)
        for number in range(labels.max() + 1):
            own = labels == number
            self._found.append(Speaker(seconds[own] @ voices[own], float(seconds[own].sum())))
        offset = len(self._now)
        self._now += range(first, len(self._found))
        at = 0
        for heard, where in zip(held, edges, strict=True):
            own = labels[at : at + len(where)]
            at += len(where)
            cut = []
            for part, number in self._cut(heard, where, own):
                cut.append((Said.of(part), offset + number))
                self._found[first + number].different.hear(part.embedding)
            self._cuts.append(cut)
        self._join(SURE)

    def _cut(
        self, heard: Heard, edges: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[Heard, int]]:
        """The window, or its parts in which another speaks than before, each run by itself."""
        changes = np.flatnonzero(np.diff(labels)) + 1
        if not len(changes):
            yield heard, int(labels[0])
            return
        for first, last in pairwise([0, *changes.tolist(), len(labels)]):
            part = heard.window.part(int(edges[first, 0]), int(edges[last - 1, 1]))
            yield self._run(part), int(labels[first])

    def _settle(self) -> None:
        """No more people than spoke for a while, or than there are known to be."""
        if self._count is None:
            found = merges(self._means(), self._seconds())
            if unlike(found, FEWEST) < ALONE:
                self._join(gap(found, ALIKE, SURE, FEWEST))
            else:
                said = [part for cut in self._cuts for part, _ in cut]
                self._count = 1 + bool(self._are_two and self._are_two(said))
        enough = self._seconds() >= FEWEST
        if not enough.all() and enough.sum() >= (self._count or 1):
            means = self._means()
            likeness = np.where(enough, means @ means.T, -np.inf)
            self._become(np.where(enough, np.arange(len(enough)), likeness.argmax(axis=1)))
        if self._count is not None:
            self._join(-1.0, self._count)

    def _join(self, alike: float, fewest: int = 1) -> None:
        """Those whose voices are as much alike become one person, while there are more people."""
        found = merges(self._means(), self._seconds())
        most = max(0, len(self._found) - fewest)
        done = [merge for merge in found[:most] if merge.cosine >= alike]
        self._become(joined(done, len(self._found)))

    def _seconds(self) -> np.ndarray:
        return np.array([person.seconds for person in self._found])

    def _means(self) -> np.ndarray:
        return np.stack([person.total / person.seconds for person in self._found])

    def _become(self, labels: np.ndarray) -> None:
        """Those of one label become one person."""
        order = np.unique(labels, return_inverse=True)[1]
        people: dict[int, Speaker] = {}
        for number, person in zip(order.tolist(), self._found, strict=True):
            if number in people:
                people[number].join(person)
            else:
                people[number] = person
        self._found = [people[number] for number in sorted(people)]
        self._now = [int(order[number]) for number in self._now]


def told_apart(voices: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Number of the cluster of each voice, shape (n,), from 0: each is surely one person's.

    voices : of length 1, shape (n, 192). seconds : that they were heard, shape (n,).
    """
    long = seconds >= min(LEAST, float(seconds.max()))
    sure = [m for m in merges(voices[long], seconds[long]) if m.cosine >= SURE]
    labels = joined(sure, int(long.sum()))
    means = np.stack(
        [seconds[long][labels == n] @ voices[long][labels == n] for n in range(labels.max() + 1)]
    )
    found = np.empty(len(voices), int)
    found[long] = labels
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    found[~long] = (voices[~long] @ (means / lengths).T).argmax(axis=1)
    return found


def parts(window: Window) -> np.ndarray:
    """Where voices are taken: first sample and end of even parts of each piece, shape (k, 2)."""
    cut: list[tuple[int, int]] = []
    for first, last in pairwise(window.edges.tolist()):
        count = -(-(last - first) // round(PART * RATE))
        cut += pairwise(np.linspace(first, last, count + 1).astype(int).tolist())
    return np.array(cut)
