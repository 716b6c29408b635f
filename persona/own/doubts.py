"""What in a table of clips looks unlike what was meant by it, told from its cells alone."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from persona.folds import FOLDS
from persona.labels import EMOTIONS
from persona.own import synonyms

YOUNG, OLD = 3, 95
"""Ages outside of which a voice is rarely recorded, and a wrong unit or a birth year is likely."""


_COLUMNS = {
    "emotion": r"label|class|category|mood|feeling|emotions|emotion\W.*|.*[_ ]emotion|emotion_.*",
    "gender": r"sex|genders|gender\W.*|.*[_ ](gender|sex)|gender_.*",
    "age": r"ages|years|age\W.*|.*[_ ]age|age_.*",
}
"""Names of columns that may hold the labels of a task."""


@dataclass(frozen=True)
class Finding:
    """One thing to know: a heading, a sentence, and what it is about, clip by clip.

    wrong : whether it has to be put right before training.
    """

    title: str
    words: str
    rows: tuple[str, ...] = ()
    wrong: bool = False


def doubts(clips: pd.DataFrame) -> list[Finding]:
    """Findings on labels and names of speakers; clips as of `Corpus.clips`."""
    return [
        *_spelling(clips), *_meant(clips), *_of_one_person(clips), *_ages(clips),
        *_one_by_one(clips),
    ]  # fmt: skip


def _meant(clips: pd.DataFrame) -> list[Finding]:
    """Emotions in other words, and labels under another column's name."""
    found, groups = [], dict[str, list[str]]()
    for label, emotion in synonyms.guesses(clips["emotion"].dropna().unique(), EMOTIONS).items():
        groups.setdefault(emotion or label, []).append(label)
    if several := [" = ".join(sorted(group)) for group in groups.values() if len(group) > 1]:
        words = (
            f"Some emotions may be one in several words ({several[0]}): where they are, write one, "
            "as they are learnt as several classes."
        )
        found.append(Finding("Emotions that may be one", words, tuple(several)))
    for task, names in _COLUMNS.items():
        column = next((c for c in clips if re.fullmatch(names, str(c).strip().casefold())), None)
        if column and clips[task].isna().all():
            words = (
                f"No clip has a label of {task}, and the column {column!r} is not read: where it "
                f"holds them, it is to be called {task}."
            )
            found.append(Finding(f"Perhaps a column of {task}", words))
    return found


def _spelling(clips: pd.DataFrame) -> list[Finding]:
    found = []
    if several := _alike(clips["emotion"].dropna().unique()):
        words = "Some emotions are spelt in two ways, which makes them two classes."
        found.append(Finding("Spelling", words, tuple(several), True))
    speakers = clips["speaker"].astype(str).unique()
    if several := _alike(speakers):
        words = (
            f"{len(several)} speakers are spelt in two ways, which makes them two people: where "
            "both are one, tests on unseen speakers hear voices of the training."
        )
        found.append(Finding("Spelling of speakers", words, tuple(several), True))
    if decimal := [name for name in speakers if re.fullmatch(r"\d+\.0+", name)]:
        words = (
            f"{len(decimal)} speakers are numbers with a decimal point, as a spreadsheet writes "
            "them where a cell of the column is empty: write them as words, and see that none of "
            "them is written without, too."
        )
        found.append(Finding("Speakers with a decimal point", words, tuple(decimal)))
    return found


def _alike(names: Iterable[str]) -> list[str]:
    """Names that differ in capitals, leading noughts, or by what stands between words, only."""
    groups: dict[str, list[str]] = {}
    for name in names:
        plain = re.sub(r"(\d)\.0+$", r"\1", unicodedata.normalize("NFKC", name).casefold())
        plain = re.sub(r"[\W_]+", " ", plain).strip() or plain
        plain = re.sub(r"(?<!\d)0+(?=\d)", "", plain)
        groups.setdefault(plain, []).append(name)
    return [" = ".join(sorted(group)) for group in groups.values() if len(group) > 1]


def _of_one_person(clips: pd.DataFrame) -> list[Finding]:
    found = []
    for task, odd in (("gender", 0.0), ("age", 10.0)):
        of_speaker: Any = clips.dropna(subset=[task]).groupby("speaker")[task]
        spread = of_speaker.nunique() - 1 if task == "gender" else of_speaker.max().sub(
            of_speaker.min()
        )  # fmt: skip
        if len(who := spread[spread > odd].index.astype(str)):
            people = "speakers have" if len(who) > 1 else "speaker has"
            words = f"{len(who)} {people} labels of {task} that one person cannot have."
            found.append(Finding(f"Odd {task}s", words, tuple(who), True))
    return found


def _ages(clips: pd.DataFrame) -> list[Finding]:
    found, ages = [], clips["age"].dropna()
    outside = clips[(clips["age"] < YOUNG) | (clips["age"] > OLD)]
    if len(outside):
        words = (
            f"{len(outside):,} clips are of ages below {YOUNG} or above {OLD}: years are meant, no "
            "classes, months or years of birth."
        )
        rows = tuple(f"{row['clip']}: {row['age']:g}" for _, row in outside.iterrows())
        found.append(Finding("Ages out of the ordinary", words, rows))
    for step, name in ((10, "ten"), (5, "five")):
        if ages.nunique() > 2 and not (ages % step).any():
            words = (
                f"All ages are multiples of {name}: where decades or other classes are meant, "
                "write their middle (45 for the forties), and read errors of a few years as none."
            )
            found.append(Finding("Rounded ages", words))
            break
    return found


def _one_by_one(clips: pd.DataFrame) -> list[Finding]:
    found, people = [], clips["speaker"].astype(str)
    paths = clips["clip"].map(PurePosixPath)
    same = sum(
        who in (str(path), path.name, path.stem) for who, path in zip(people, paths, strict=True)
    )
    if same > len(clips) / 2:
        words = (
            f"The speaker of {same:,} of {len(clips):,} clips is the name of the file: where a "
            "person has several files, name the person, or tests on unseen speakers hear voices of "
            "the training."
        )
        found.append(Finding("Speakers called like files", words))
    elif len(clips) >= FOLDS and people.nunique() > 0.9 * len(clips):
        words = (
            f"{len(clips):,} clips are of {people.nunique():,} speakers, hardly anyone is there "
            "twice: where one person stands under several names, tests on unseen speakers hear "
            "voices of the training."
        )
        found.append(Finding("Every clip its own speaker", words))
    emotions = clips["emotion"].dropna()
    if len(emotions) >= FOLDS and emotions.nunique() > len(emotions) / 2:
        words = (
            f"{len(emotions):,} clips have {emotions.nunique():,} emotions: a label that is there "
            "once cannot be learnt and tested. Is it the column that was meant?"
        )
        found.append(Finding("Labels that do not repeat", words))
        return found
    for task in ("emotion", "gender"):
        labels = clips[task].dropna()
        who = people[labels.index].groupby(labels).unique()
        alone = [f"{name}: {one[0]}" for name, one in who.items() if len(one) == 1]
        if alone and len(who) > 1:
            words = (
                f"{len(alone)} of {len(who)} {task}s are those of one speaker alone: of people who "
                "are not trained on, they cannot be learnt and tested."
            )
            found.append(Finding(f"{task.capitalize()}s of one speaker", words, tuple(alone)))
    return found
