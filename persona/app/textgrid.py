"""A prediction as a TextGrid, Praat's text format, which ELAN imports too."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from persona import store
from persona.app.predictor import Prediction
from persona.labels import EMOTIONS, GENDERS

Interval = tuple[float, float, str]


class Folder:
    """Writes a TextGrid for each of `files`: `talk.TextGrid` for talk.wav.

    Where several have one name, the whole path goes into it.
    """

    def __init__(self, folder: str | os.PathLike[str], files: Iterable[str]) -> None:
        self._folder = Path(folder)
        self._stems = Counter(Path(file).stem.casefold() for file in files)

    def write(self, file: str, predicted: Prediction) -> None:
        """Raises `StoreError` where the folder cannot be written to."""
        stem = "standard input" if file == "-" else Path(file).stem
        if self._stems[stem.casefold()] > 1:
            stem = os.path.normpath(file).replace(os.sep, "_")
        store.write_bytes(self._folder / f"{stem}.TextGrid", text(predicted).encode())


def text(predicted: Prediction) -> str:
    """Tiers emotion, gender, age and speech, empty where nobody speaks."""
    line, spans = predicted.timeline, predicted.spans()
    tiers: dict[str, list[Interval]] = {
        "emotion": [(a, b, EMOTIONS[line.emotion[i].argmax()]) for a, b, i in spans],
        "gender": [(a, b, GENDERS[line.gender[i].argmax()]) for a, b, i in spans],
        "age": [(a, b, f"{line.age[i]:.0f}") for a, b, i in spans],
        "speech": [(a, b, "speech") for a, b in predicted.speech.tolist()],
    }
    end = predicted.seconds
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end!r}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += _tier(number, name, _without_gaps(intervals, end), end)
    return "\n".join(lines) + "\n"


def _tier(number: int, name: str, intervals: list[Interval], end: float) -> list[str]:
    lines = [
        f"    item [{number}]:",
        '        class = "IntervalTier"',
        f'        name = "{name}"',
        "        xmin = 0",
        f"        xmax = {end!r}",
        f"        intervals: size = {len(intervals)}",
    ]
    for place, (start, until, label) in enumerate(intervals, start=1):
        lines += [
            f"        intervals [{place}]:",
            f"            xmin = {start!r}",
            f"            xmax = {until!r}",
            f'            text = "{label}"',
        ]
    return lines


def _without_gaps(intervals: list[Interval], end: float) -> list[Interval]:
    """The intervals, with empty ones between: a tier covers all of its time."""
    whole, at = [], 0.0
    for start, until, label in intervals:
        if start > at:
            whole.append((at, start, ""))
        whole.append((start, until, label))
        at = until
    return [*whole, (at, end, "")] if end > at else whole
