"""speechocean762: other people's ages, to learn age from more voices than CREMA-D's 91.

250 native speakers of Mandarin, half of them children, read English sentences (Zhang et al. 2021;
OpenSLR 101, CC BY 4.0). The repository ships vectors of ten clips of each, not the audio.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import features, representations
from persona.corpora import GENDERS
from persona.errors import CorpusError
from persona.provenance import software

CLIPS = 10
"""Clips taken of each speaker, evenly spaced in the order of their names."""

COMMIT = "613968e"
"""Of jimbozhang/speechocean762, from which the shipped table was made."""

SPEAKERS = 250
ADULT = 18


NAME = "speechocean762"


def path() -> Path:
    """Where the table is kept."""
    return features.path(NAME)


def clips(folder: Path) -> pd.DataFrame:
    """Chosen clips of a checkout of jimbozhang/speechocean762, sorted by name.

    Columns: clip, speaker, age (years), gender, file. Raises `CorpusError` for another folder.
    """
    parts = []
    for part in ("train", "test"):
        try:
            utterances, ages, genders = (
                pd.read_csv(folder / part / name, sep=r"\s+", header=None, dtype=str)
                for name in ("utt2spk", "spk2age", "spk2gender")
            )
        except OSError as error:
            raise CorpusError(
                f"{folder} is no checkout of speechocean762: {error.filename} is missing."
            ) from error
        utterances.columns = ["clip", "speaker"]
        age, gender = (dict(zip(table[0], table[1], strict=True)) for table in (ages, genders))
        full = {name[0]: name for name in GENDERS}
        parts.append(
            utterances.assign(
                age=utterances["speaker"].map(age).astype(int),
                gender=utterances["speaker"].map(gender).map(full),
            )
        )
    table = pd.concat(parts).sort_values("clip")
    number = table.groupby("speaker").cumcount()
    of = table.groupby("speaker")["clip"].transform("size")
    # The first clip of each of CLIPS equal stretches.
    table = table[(number * CLIPS) % of < CLIPS]
    names = zip(table["speaker"], table["clip"], strict=True)
    files = [folder / "WAVE" / f"SPEAKER{speaker}" / f"{clip}.WAV" for speaker, clip in names]
    return table.assign(file=pd.Series(files, index=table.index)).reset_index(drop=True)


HEARD_THROUGH: dict[str, dict[str, Any]] = {
    "dvector_layers": {},
    "mfcc": {"pooling": "mean+std+delta"},
}
"""Representations, and their parameters, whose vectors are joined: those of `best.TABLES`."""


def extract(folder: Path) -> None:
    """Embed the chosen clips of a checkout of jimbozhang/speechocean762 into the table."""
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from tqdm import tqdm

    from persona import audio

    chosen = clips(folder)
    loaded = [representations.load(name, **given) for name, given in HEARD_THROUGH.items()]
    vectors = []
    for start in tqdm(range(0, len(chosen), 32), "speechocean762", unit="batch"):
        heard = [audio.read(file).samples for file in chosen["file"].iloc[start : start + 32]]
        vectors.append(np.hstack([r.embed(heard) for r in loaded]))
    flat = pa.array(np.concatenate(vectors).ravel())
    columns = {name: pa.array(chosen[name]) for name in ("clip", "speaker", "age", "gender")}
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, sum(r.dimension for r in loaded))
    provenance = {
        "corpus": "speechocean762 (Zhang et al. 2021), OpenSLR 101",
        "licence": "CC BY 4.0",
        "commit": COMMIT,
        "fusion": [r.provenance() for r in loaded],
        "software": software("torch", "numpy", "librosa", "resemblyzer"),
    }
    table = pa.table(columns).replace_schema_metadata({"persona": json.dumps(provenance)})
    parquet.write_table(
        table, path(), compression="zstd", compression_level=9,
        use_dictionary=["clip", "speaker", "gender"],
        use_byte_stream_split=["embedding.list.element"],
    )  # fmt: skip


def read() -> tuple[pd.DataFrame, np.ndarray]:
    """Labels (columns clip, speaker, age, gender) and embeddings, float32, shape (n, d)."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path())
    width = table.schema.field("embedding").type.list_size
    values = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, width)
    return table.drop_columns(["embedding"]).to_pandas(), values
