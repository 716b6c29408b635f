"""What is predicted: the three tasks and their classes, in the order of every array."""

from collections.abc import Iterable

EMOTIONS = ("anger", "disgust", "fear", "happy", "neutral", "sad")
GENDERS = ("female", "male")
TASKS = ("emotion", "gender", "age")


def emotion_classes(labels: Iterable[object]) -> tuple[str, ...]:
    """The classes among emotion labels, sorted, missing ones left out; `EMOTIONS` where none is."""
    return tuple(sorted({label for label in labels if isinstance(label, str)})) or EMOTIONS
