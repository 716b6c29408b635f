"""Who speaks in which of the files that `persona predict` is given."""

import os
from collections.abc import Sequence

from persona import corpora
from persona.errors import PersonaError


def named(files: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Files to predict, those that tables name in the place of the tables; and the speakers that
    tables name, by file. Whom several tables name is one person.

    Raises `PersonaError` where two name different speakers of a file, `CorpusError` for a table
    that cannot be read.
    """
    names: list[str] = []
    speakers: dict[str, str] = {}
    for file in files:
        if not corpora.is_table(file) or os.path.isdir(file):
            names.append(file)
            continue
        table = corpora.Table(file)
        for clip, speaker in table.clips()[["clip", "speaker"]].itertuples(index=False):
            names.append(os.fspath(table.folder / clip))
            if (other := speakers.setdefault(names[-1], speaker)) != speaker:
                raise PersonaError(
                    f"Two tables name {other!r} and {speaker!r} as the speaker of {names[-1]}: "
                    "leave one of them out."
                )
    return names, speakers


def check(same: bool, tables: bool, voice: str | None, people: int | None, resume: bool) -> None:
    """Raise `PersonaError` where options do not go with recordings whose speakers are known."""
    if not (same or tables):
        return
    what = "--same-speaker" if same else "A table, which names who speaks,"
    for given, option, why in (
        (same and tables, "with a table", "which names who speaks"),
        (voice, "with --voice", "as voices are learnt from these recordings"),
        ((people or 1) > 1, f"with --people {people}", "as one person speaks in each recording"),
        (resume, "with --resume", "as each answer rests on all recordings of its speaker"),
    ):
        if given:
            raise PersonaError(f"{what} does not go {option}, {why}: leave one of them out.")
