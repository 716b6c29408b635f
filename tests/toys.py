"""A toy corpus, copies of it, a corpus from abroad and a toy representation, ready to be used.

They are registered when this module is imported, which a worker does as soon as it is sent
anything that is defined here.
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from persona import corpora, representations
from persona.audio import speech
from persona.corpora.base import Corpus
from persona.errors import AudioError, CorpusError
from persona.keeping import store
from persona.labels import EMOTIONS, GENDERS

SPEAKERS, EACH, DIMENSION = 10, 12, 12


def clips(speakers: int = SPEAKERS, each: int = EACH, prefix: str = "") -> pd.DataFrame:
    """Every speaker says `each` clips, two of each emotion in a row."""
    n = speakers * each
    speaker = np.repeat(np.arange(speakers), each)
    return pd.DataFrame(
        {
            "clip": [f"{prefix}{i:04d}" for i in range(n)],
            "speaker": speaker,
            "gender": np.array(GENDERS)[speaker % 2],
            "age": 20.0 + np.random.default_rng(1).permutation(speakers)[speaker] * 50 // speakers,
            "emotion": np.array(EMOTIONS)[np.arange(n) // 2 % 6],
        }
    )


def embeddings(table: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Noise that carries emotion in six dimensions, gender in one and age in another."""
    noise = np.random.default_rng(seed).normal(size=(len(table), DIMENSION))
    noise[:, :6] += 3 * np.eye(6)[pd.Categorical(table["emotion"], EMOTIONS).codes]
    noise[:, 6] += 4 * (table["gender"] == "male")
    noise[:, 7] += table["age"] / 5
    return noise.astype(np.float32)


class Toy(Corpus):
    """Ten speakers of twelve clips each; `folder` holds their audio where any is needed."""

    name, title = "toy", "Toy"

    def __init__(self, folder: Path | str | None = None, speakers: int = SPEAKERS):
        self.folder, self.speakers = folder and Path(folder), speakers

    def clips(self) -> pd.DataFrame:
        return clips(self.speakers)

    def file(self, clip: str) -> Path:
        if self.folder and (file := self.folder / f"{clip}.wav").is_file():
            return file
        raise CorpusError(f"The clip {clip} of {self.title} is missing: record it.")

    def digests(self) -> dict[str, str]:
        if self.folder:
            return super().digests()
        return dict.fromkeys(self.clips()["clip"], "never recorded")


class ToyAbroad(Toy):
    """Other people, who say other things."""

    name = "toy-abroad"

    def clips(self) -> pd.DataFrame:
        table = clips(3, prefix="abroad ")
        return table.assign(speaker="foreign " + table["speaker"].astype(str))


class ToyCopies(Toy):
    """Two copies of every clip of `Toy`: one alone, one with the next speaker behind it."""

    name = "toy-copies"

    def clips(self) -> pd.DataFrame:
        table = clips()
        parts = []
        for kind in ("alone", "babble"):
            audible = [
                (s,) if kind == "alone" else (s, (s + 1) % SPEAKERS)
                for s in table["speaker"].tolist()
            ]
            parts.append(
                table.assign(
                    original=table["clip"], clip=table["clip"] + f" {kind}", condition=kind,
                    audible=pd.Series(audible, dtype=object),
                )
            )  # fmt: skip
        return pd.concat(parts).sort_values("clip", ignore_index=True)


class ToyRepresentation:
    """Level and length of a clip, and a few of its samples.

    pause : seconds to sleep over every clip, so that one can be killed in the middle.
    width : numbers of an embedding: those six, over and over.
    """

    name, title, kind, rate, version = "toy", "Toy", "acoustic features", 16_000, 1
    libraries = ("numpy",)
    thread_safe, needs_download = True, False

    def __init__(self, pause: float = 0.0, dtype: str = "float32", least: int = 0, width: int = 6):
        self.pause, self.dtype, self.least, self.dimension = pause, dtype, least, width

    def embed(self, waveforms: Any) -> np.ndarray:
        rows = []
        for x in waveforms:
            time.sleep(self.pause)
            if len(x) < self.least:
                raise AudioError("It is too short: record more.")
            row = [x.std(), x.max(), len(x) / 16_000, *x[100:400:100]]
            rows.append(np.resize(row, self.dimension))
        values = np.array(rows, np.float32)
        if self.dtype == "int8":
            return np.rint(values * 100).clip(-128, 127).astype(np.int8)
        return values.astype(self.dtype)

    def provenance(self) -> dict[str, Any]:
        return {"representation": "toy", "version": self.version, "dtype": self.dtype}


corpora.REGISTRY |= {c.name: f"toys:{c.__name__}" for c in (Toy, ToyAbroad, ToyCopies)}
representations._REGISTRY["toy"] = "ToyRepresentation"
sys.modules["persona.representations.toy"] = sys.modules[__name__]


def record(folder: Path, names: Iterable[str], seed: int = 0) -> None:
    """A short noise for every clip."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number, name in enumerate(names):
        noise = rng.normal(0, 0.1, 4000 + 200 * (number % 10))
        soundfile.write(folder / f"{name}.wav", noise, 16_000)


def provenance(corpus: Corpus) -> dict[str, Any]:
    """What a feature table of the toy representation says of itself."""
    made_by = ToyRepresentation().provenance()
    of = {"name": corpus.name, "fingerprint": "0" * 64, "clips": len(corpus.clips())}
    return {"representation": made_by, "speech": speech.provenance(), "corpus": of, "skipped": {}}


def write_features(corpus: Corpus, values: np.ndarray | None = None, name: str = "toy") -> Path:
    """A feature table as `features.extract` would have made it."""
    table = corpus.clips()
    values = embeddings(table) if values is None else values
    file = store.made() / "features" / corpus.name / f"{name}.parquet"
    columns = {"clip": table["clip"].to_numpy(), "embedding": values}
    store.write_table(file, columns, provenance(corpus))
    return file


def home(folder: Path) -> None:
    """Feature tables of every toy corpus among what was made; PERSONA_BUILD names the folder."""
    for corpus in (Toy(), ToyAbroad(), ToyCopies()):
        write_features(corpus)


def stop_workers() -> None:
    """End this process's workers, so that the next ones see the environment of their time."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(kill_workers=True)
