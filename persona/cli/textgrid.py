"""A prediction as a TextGrid, Praat's text format, which ELAN imports too."""

from persona.labels import GENDERS
from persona.model.prediction import Prediction, highest

Interval = tuple[float, float, str]


def text(predicted: Prediction) -> str:
    """Tiers emotion, gender, age and speech, and one of each person's turns, where several speak.

    They are empty where nobody speaks; that of an emotion which is not named, or of what the model
    does not answer, is empty.
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
    if len(predicted.people) > 1:
        for number, person in enumerate(predicted.people, start=1):
            tiers[f"person {number}"] = [
                (turn.start, turn.end, "speech" if turn.trust is None else highest(turn.emotion))
                for turn in person.turns
            ]
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
