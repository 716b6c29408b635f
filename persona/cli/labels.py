"""Who says what when, as files of labels that other programs read."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from persona.cli import textgrid
from persona.model.prediction import Prediction, Turn, highest


def paths(
    folder: str | os.PathLike[str], files: Sequence[str], ending: str = ".TextGrid"
) -> dict[str, Path]:
    """Where the labels of each file belong: `talk.TextGrid` for talk.wav.

    Where several have one name, the whole path goes into it.
    """
    stems = {file: "standard input" if file == "-" else Path(file).stem for file in files}
    count = Counter(stem.casefold() for stem in stems.values())
    for file, stem in stems.items():
        if count[stem.casefold()] > 1:
            stems[file] = re.sub(r"[/\\:]", "_", os.path.normpath(file))
    return {file: Path(folder) / f"{stem}{ending}" for file, stem in stems.items()}


def rttm(predicted: Prediction, file: str) -> str:
    """NIST's form, in which diarisation is scored: a line for each piece of speech of a person."""
    name = "_".join(file.split()) or "recording"
    return "".join(
        f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> person_{person} <NA> <NA>\n"
        for person, turn in _turns(predicted)
        for start, end in turn.speech
    )


def srt(predicted: Prediction, _: str) -> str:
    """SubRip's subtitles: one for each turn."""
    return "".join(
        f"{n}\n{_time(turn.start, ',')} --> {_time(turn.end, ',')}\n{_label(person, turn)}\n\n"
        for n, (person, turn) in enumerate(_turns(predicted), start=1)
    )


def vtt(predicted: Prediction, _: str) -> str:
    """WebVTT, in which a browser's player shows who speaks."""
    cues = (
        f"\n{_time(turn.start, '.')} --> {_time(turn.end, '.')}\n"
        f"<v Person {person}>{_feeling(turn)}\n"
        for person, turn in _turns(predicted)
    )
    return "".join(chain(["WEBVTT\n"], cues))


def audacity(predicted: Prediction, _: str) -> str:
    """A track of labels for Audacity."""
    return "".join(
        f"{turn.start:.6f}\t{turn.end:.6f}\t{_label(person, turn)}\n"
        for person, turn in _turns(predicted)
    )


WRITERS: dict[str, tuple[str, Callable[[Prediction, str], str]]] = {
    "textgrid": (".TextGrid", lambda predicted, _: textgrid.text(predicted)),
    "rttm": (".rttm", rttm),
    "srt": (".srt", srt),
    "vtt": (".vtt", vtt),
    "audacity": (".txt", audacity),
}
"""Form: how its files end, and what writes one of a prediction and the stem of its file's name."""


def _turns(predicted: Prediction) -> list[tuple[int, Turn]]:
    """Everyone's turns in order of time, each with the person's number from 1."""
    people = enumerate(predicted.people, start=1)
    turns = [(number, turn) for number, person in people for turn in person.turns]
    return sorted(turns, key=lambda pair: pair[1].start)


def _label(person: int, turn: Turn) -> str:
    feeling = _feeling(turn)
    return f"Person {person}: {feeling}" if feeling else f"Person {person}"


def _feeling(turn: Turn) -> str:
    """Empty where the model answers no emotion."""
    return "" if turn.trust is None else highest(turn.emotion)


def _time(seconds: float, point: str) -> str:
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
