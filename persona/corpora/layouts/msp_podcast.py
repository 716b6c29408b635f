"""MSP-Podcast (Lotfian and Busso 2019): `Labels/labels_consensus.csv`, `Audios/`.

Columns FileName, EmoClass, SpkrID, Gender, Split_Set, as EmoBox's and nkululeko's importers read
them; releases differ in names of folders. Clips without agreement, or of another emotion (X, O),
have no emotion; clips of unknown speakers are left out, as they cannot be kept out of a test. Tried
on made tables only, not on the corpus.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import audio, first, gender, rows

HOLDS = "Labels/labels_consensus.csv and Audios/"

EMOTIONS = {
    "A": "anger", "S": "sad", "H": "happy", "U": "surprise", "F": "fear", "D": "disgust",
    "C": "contempt", "N": "neutral",
}  # fmt: skip

TABLES = [f"{part}/labels_con{s}ensus.csv" for part in ("Labels", "label", ".") for s in "sc"]


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder; `split` is the corpus's own."""
    files = {file.name: file for file in audio(folder)}
    for row in rows(first(folder, *TABLES)):
        if row["SpkrID"].lower() not in ("", "unknown"):
            yield {
                "file": files.get(row["FileName"], folder / "Audios" / row["FileName"]),
                "speaker": row["SpkrID"],
                "emotion": EMOTIONS.get(row["EmoClass"], ""),
                "gender": gender(row["Gender"]),
                "split": row["Split_Set"],
            }
