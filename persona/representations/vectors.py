"""Vectors of one's own: a file of clips and embeddings in place of a representation."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import FeatureError, ModelError
from persona.keeping import store

_SUFFIXES = (".npz", ".parquet")


def is_file(name: str) -> bool:
    """Whether `name` is that of a file of vectors, and not of a representation or table."""
    return Path(name).suffix in _SUFFIXES


def read(file: str) -> tuple[np.ndarray, np.ndarray, "Vectors"]:
    """Names of clips, shape (n,), their embeddings, float32, shape (n, dimension), and the source.

    file : NumPy's .npz or Parquet, with `clip` and `embedding`.

    Raises `FeatureError` for any other.
    """
    try:
        clips, embeddings = _columns(Path(file))
        embeddings = np.array(embeddings, np.float32)
        if embeddings.ndim != 2 or clips.shape != (len(embeddings),) or not embeddings.size:
            raise ValueError(f"shapes {clips.shape} and {embeddings.shape}")
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise FeatureError(
            f"{file} is no file of vectors ({error}): save `clip`, names as str of shape (n,), and "
            "`embedding`, numbers of shape (n, dimension), by numpy.savez or as Parquet."
        ) from error
    source = Vectors(Path(file).name, store.sha256(Path(file)), embeddings.shape[1])
    return clips.astype(str), embeddings, source


def problem(clips: np.ndarray, embeddings: np.ndarray) -> str:
    """What is wrong with clips and their embeddings, in a few words."""
    if embeddings.ndim != 2 or embeddings.dtype not in (np.float32, np.float16, np.int8):
        return f"holds embeddings of type {embeddings.dtype} and shape {embeddings.shape}"
    names, counts = np.unique(clips.astype(str), return_counts=True)
    if (counts > 1).any():
        return f"holds the clip {names[counts > 1][0]} more than once"
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        return f"holds numbers that are not finite, of clip {clips[~finite][0]}"
    return ""


def _columns(file: Path) -> tuple[np.ndarray, Any]:
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return arrays["clip"], arrays["embedding"]
    import pyarrow.parquet as parquet

    table = parquet.read_table(file, columns=["clip", "embedding"])
    return table["clip"].to_numpy(), table["embedding"].to_pylist()


class Vectors:
    """What a model listens to that was trained on vectors of one's own: nothing but vectors.

    file : its name. sha256 : of the file. dimension : length of a vector.
    """

    name = "vectors"
    title = "Own vectors"
    kind = "general speech"
    rate = RATE
    version = 1
    libraries = ("numpy",)
    thread_safe = True
    needs_download = False
    dtype = "float32"

    def __init__(self, file: str = "", sha256: str = "", dimension: int = 1) -> None:
        self.file, self.sha256, self.dimension = file, sha256, dimension

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        raise ModelError(
            f"The vectors of {self.file} cannot be computed from audio here: compute them where "
            "they come from, and give them to `Predictor.heads.run`."
        )

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "file": self.file,
            "sha256": self.sha256,
            "dimension": self.dimension,
        }
