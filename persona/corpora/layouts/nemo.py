"""nEMO (Christop 2024), acted Polish: `data.tsv` and `samples/SM0_anger_1.wav`.

As in the checkout of github.com/amu-cai/nEMO and its README. The table was made of all 4,481 clips;
the audio of 159 was heard.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.corpora.layouts.files import emotion, gender, rows

HOLDS = "data.tsv and samples/SM0_anger_1.wav"


def clips(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the corpus in a folder."""
    for row in rows(folder / "data.tsv", "\t", quoted=False):
        yield {
            "file": folder / "samples" / row["file_id"],
            "speaker": row["speaker_id"],
            "emotion": emotion(row["emotion"]),
            "gender": gender(row["gender"]),
            "age": row["age"],
            "sentence": row["normalized_text"],
        }
