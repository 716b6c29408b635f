"""Emozionalmente (Catania et al. 2023), crowdsourced Italian: `audio/`, `metadata/*.csv`.

`samples.csv` names file, actor and the emotion that was to be expressed, `users.csv` gender and age
of actors: as zenodo.org/records/6569824 and nkululeko's importer have them. Emotions are those
meant, not those heard. Tried on made tables only, not on the corpus.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import emotion, gender, rows

HOLDS = "audio/, metadata/samples.csv and metadata/users.csv"


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    people = {row["username"]: row for row in rows(folder / "metadata" / "users.csv")}
    for row in rows(folder / "metadata" / "samples.csv"):
        actor = people.get(row["actor"], {})
        yield {
            "file": folder / "audio" / row["file_name"],
            "speaker": row["actor"],
            "emotion": emotion(row["emotion_expressed"]),
            "gender": gender(actor.get("gender", "")),
            "age": actor.get("age", ""),
            "sentence": row["sentence"],
        }
