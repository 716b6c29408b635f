"""A prediction as a TextGrid, Praat's text format, which ELAN imports too."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from persona.labels import GENDERS
from persona.model.prediction import Prediction

Interval = tuple[float, float, str]


def paths(folder: str | os.PathLike[str], files: Sequence[str]) -> dict[str, Path]:
    """Where the TextGrid of each file belongs: `talk.TextGrid` for talk.wav.

    Where several have one name, the whole path goes into it.
    """
    stems = {file: "standard input" if file == "-" else Path(file).stem for file in files}
    count = Counter(stem.casefold() for stem in stems.values())
    for file, stem in stems.items():
        if count[stem.casefold()] > 1:
            stems[file] = os.path.normpath(file).replace(os.sep, "_")
    return {file: Path(folder) / f"{stem}.TextGrid" for file, stem in stems.items()}


def text(predicted: Prediction) -> str:
    """Tiers emotion, gender, age and speech, empty where nobody speaks; that of an emotion which
    is not named, or of what the model does not answer, is empty.
    """
    line, spans = predicted.timeline, predicted.spans()
    tiers: dict[str, list[Interval]] = {"emotion": [], "gender": [], "age": []}
    if line.emotion is not None and predicted.emotion:
        tiers["emotion"] = [(a, b, line.emotions[line.emotion[i].argmax()]) for a, b, i in spans]
    if line.gender is not None:
        tiers["gender"] = [(a, b, GENDERS[line.gender[i].argmax()]) for a, b, i in spans]
    if line.age is not None:
        tiers["age"] = [(a, b, f"{line.age[i]:.0f}") for a, b, i in spans]
    tiers["speech"] = [(a, b, "speech") for a, b in predicted.speech.tolist()]
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
        doubled = label.replace('"', '""')  # as Praat writes a quotation mark
        lines += [
            f"        intervals [{place}]:",
            f"            xmin = {start!r}",
            f"            xmax = {until!r}",
            f'            text = "{doubled}"',
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
