"""Out-of-fold predictions on disk: the single source of every accuracy, interval and figure.

One Parquet file per configuration holds one row per clip and seed: what a network that was not
trained on that clip said about it. Its metadata says what made it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import paths
from persona.corpora import EMOTIONS
from persona.errors import FeatureError

PROBABILITIES = [f"p_{emotion}" for emotion in EMOTIONS]
"""Columns of the emotion probabilities, in the order of `corpora.EMOTIONS`."""

COLUMNS = ["clip", "seed", "fold", *PROBABILITIES, "p_female", "age"]
"""`age` in years; `fold` is the one the clip was tested in."""

_SMALL = dict.fromkeys([*PROBABILITIES, "p_female"], np.float16) | {
    "seed": np.int16,
    "fold": np.int8,
    "age": np.float32,
}


@dataclass(frozen=True)
class Configuration:
    """What was trained: a representation (or several joined by "+"), a network, a protocol."""

    representation: str
    architecture: str
    protocol: str
    recipe: str

    def __str__(self) -> str:
        return " ".join((self.representation, self.architecture, self.protocol, self.recipe))

    def file(self, folder: Path) -> Path:
        return folder / (str(self).replace(" ", "-") + ".parquet")


def default_folder() -> Path:
    """Where the study keeps its predictions."""
    return paths.build() / "predictions"


def write(
    folder: Path, configuration: Configuration, rows: pd.DataFrame, provenance: dict[str, Any]
) -> None:
    """Write the predictions of one configuration (columns `COLUMNS`), whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rows = rows[COLUMNS].astype(_SMALL)
    metadata = json.dumps({**asdict(configuration), **provenance}, sort_keys=True)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({"persona": metadata})
    file = configuration.file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    parquet.write_table(table, unfinished, compression="zstd", compression_level=9)
    unfinished.replace(file)


def provenance(file: Path) -> dict[str, Any]:
    """What made a file of predictions; empty if there is no such file."""
    import pyarrow.parquet as parquet

    if not file.exists():
        return {}
    return json.loads(parquet.read_metadata(file).metadata[b"persona"])


def read(configurations: Iterable[Configuration], folder: Path | None = None) -> pd.DataFrame:
    """Predictions of several configurations, with their four parts as further columns.

    Raises `FeatureError` naming the first configuration that has no predictions.
    """
    folder = folder or default_folder()
    frames = [_read_one(configuration, folder) for configuration in configurations]
    return pd.concat(frames, ignore_index=True)


def _read_one(configuration: Configuration, folder: Path) -> pd.DataFrame:
    file = configuration.file(folder)
    if not file.exists():
        raise FeatureError(
            f"There are no predictions {file.name} in {folder}: make them with `make study`."
        )
    rows = pd.read_parquet(file).astype(dict.fromkeys([*PROBABILITIES, "p_female"], np.float32))
    return rows.assign(**asdict(configuration))


def grid(
    representations: Sequence[str],
    architectures: Sequence[str],
    protocols: Sequence[str],
    recipes: Sequence[str],
) -> list[Configuration]:
    """Every combination of the four."""
    return [
        Configuration(representation, architecture, protocol, recipe)
        for representation in representations
        for architecture in architectures
        for protocol in protocols
        for recipe in recipes
    ]
