"""MELD (Poria et al. 2019), scenes of a series: `train_splits/dia0_utt0.mp4`, `train_sent_emo.csv`.

Tables and folders are those of the archive (github.com/declare-lab/MELD); the films may have been
turned into audio of the same names. A speaker is a name in the script: whoever is only a role
("Woman") may be several, and what several say at once ("All") is left out. `split` is the corpus's
own, and shares speakers. Tried on made trees only, and on the head of the real table.
"""

from collections.abc import Iterator
from pathlib import Path

from persona.corpora.layouts.files import Coded, Row, audio, emotion, rows
from persona.errors import CorpusError

HOLDS = "train_sent_emo.csv and train_splits/dia0_utt0.mp4 (dev and test likewise)"

FOLDERS = {
    "train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test",
}  # fmt: skip


def clips(folder: Path) -> Iterator[Row]:
    """Rows of the corpus in a folder."""
    here = {(file.parent.name, file.stem): file for file in audio(folder)}
    tables = {split: folder / f"{split}_sent_emo.csv" for split in FOLDERS}
    if not any(table.is_file() for table in tables.values()):
        raise CorpusError(f"{folder} holds no table of MELD: name the folder that holds {HOLDS}.")
    for split, table in tables.items():
        for row in rows(table) if table.is_file() else ():
            name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            if row["Speaker"].lower() not in ("", "all", "both"):
                missing = folder / FOLDERS[split] / f"{name}.mp4"
                yield {
                    "file": here.get((FOLDERS[split], name), missing),
                    "speaker": row["Speaker"],
                    "emotion": emotion(row["Emotion"]),
                    "sentence": row["Utterance"],
                    "split": split,
                }


LAYOUT = Coded(HOLDS, clips)
