"""TIMIT (Garofolo et al. 1993), for gender and age: `TRAIN/DR1/FCJF0/SA1.WAV`, `DOC/SPKRINFO.TXT`.

SPKRINFO.TXT has ID, Sex, DR, Use, RecDate and BirthDate (MM/DD/YY, `??` where unknown); age is what
lies between, to the year where only that is known. The audio is NIST SPHERE. `split` is the
corpus's own. Tried on made trees only, not on the corpus.
"""

from collections.abc import Iterator
from pathlib import Path

from persona.corpora.layouts.files import Coded, Row, audio, gender
from persona.errors import CorpusError

HOLDS = "TRAIN/DR1/FCJF0/SA1.WAV and DOC/SPKRINFO.TXT"


def clips(folder: Path) -> Iterator[Row]:
    """Rows of the corpus in a folder."""
    people = _speakers(folder)
    for file in audio(folder):
        split, _, speaker = (name.upper() for name in file.parts[-4:-1])
        if split in ("TRAIN", "TEST") and speaker[1:] in people:
            sex, age = people[speaker[1:]]
            row = {"file": file, "speaker": speaker, "gender": gender(sex), "age": age}
            yield {**row, "split": split.lower()}


def _speakers(folder: Path) -> dict[str, tuple[str, int | str]]:
    """Sex and age of every speaker, by the ID."""
    files = [file for file in folder.rglob("*") if file.name.lower() == "spkrinfo.txt"]
    if not files:
        raise CorpusError(f"{folder} holds no SPKRINFO.TXT: name the folder that holds {HOLDS}.")
    lines = files[0].read_text("utf-8", errors="replace").splitlines()
    parts = [line.split() for line in lines if line.strip() and not line.startswith(";")]
    return {part[0].upper(): (part[1], _age(part[4], part[5])) for part in parts}


def _age(recorded: str, born: str) -> int | str:
    """Years between two dates MM/DD/YY; empty where a year is not known."""
    (month, day, year), (birth_month, birth_day, birth_year) = recorded.split("/"), born.split("/")
    try:
        to_come = "?" not in born + recorded and (month, day) < (birth_month, birth_day)
        return int(year) - int(birth_year) - to_come
    except ValueError:
        return ""


LAYOUT = Coded(HOLDS, clips)
