"""What layouts share: files by their names, tables of labels, one word for one thing."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from persona.errors import CorpusError

AUDIO = {".aac", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"}
"""Endings of audio files, in small letters."""

EMOTIONS = {
    "angry": "anger", "fearful": "fear", "happiness": "happy", "joy": "happy",
    "neutrality": "neutral", "sadness": "sad", "surprised": "surprise",
}  # fmt: skip
"""Words of corpora by the class of `labels.EMOTIONS` that they mean; others stay as they are."""

GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


def audio(folder: Path) -> list[Path]:
    """Audio files anywhere below a folder, sorted, without hidden ones."""
    found = folder.rglob("*")
    return sorted(p for p in found if p.suffix.lower() in AUDIO and not p.name.startswith("."))


def named(folder: Path, pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Audio files whose name without extension is of a pattern, with the pattern's groups.

    Of two files of one name the first: archives in use hold whole corpora twice.
    """
    seen = set()
    for file in audio(folder):
        match = re.fullmatch(pattern, file.stem)
        if match and match.group() not in seen:
            seen.add(match.group())
            yield file, match.groupdict()


def rows(file: Path, delimiter: str = ",", quoted: bool = True) -> Iterator[dict[str, str]]:
    """Rows of a table of labels (UTF-8) by its header, cells without spaces around them.

    Raises `CorpusError` where there is none.
    """
    try:
        with open(file, newline="", encoding="utf-8-sig") as opened:
            table = csv.DictReader(
                opened, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            )
            for row in table:
                yield {str(k).strip(): str(v or "").strip() for k, v in row.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{file} cannot be read, which holds the corpus's labels.") from error


def first(folder: Path, *paths: str) -> Path:
    """The first of some paths below a folder that is there, or else the first of them."""
    return next((folder / path for path in paths if (folder / path).exists()), folder / paths[0])


def emotion(word: str) -> str:
    """A corpus's word for an emotion as this project has it."""
    return EMOTIONS.get(word.lower(), word.lower())


def gender(word: str) -> str:
    """`female` or `male`, as a corpus writes them ("F", "male_masculine"); empty for another."""
    return GENDERS.get(word.lower().split("_")[0], "")
