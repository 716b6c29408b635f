"""How public benchmarks split CREMA-D: by the lists that they keep, or by their rules anew.

`data/splits/` holds the lists, and in `provenance.json` what was read where, what is inferred
and what is not known. Each function takes clips (columns clip, speaker) to fold numbers, as of
`folds.given`.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from persona import evaluation
from persona.errors import CorpusError
from persona.evaluation import SUM_COLUMNS, Sums
from persona.experiment import Experiment
from persona.folds import LEFT_OUT, TRAINED, WATCHED
from persona.keeping import store
from persona.run import Results, identity

PARTS = {"train": TRAINED, "validation": WATCHED} | {str(fold): fold for fold in range(10)}
"""Words of a list, and the fold numbers that they mean."""


def listed(clips: pd.DataFrame, name: str, column: str) -> np.ndarray:
    """Fold numbers by a list of clips or of speakers; who is not on it is only trained on.

    Raises `CorpusError` where the list has a name twice, or a part that does not exist.
    """
    file = store.shipped() / "splits" / f"{name}.csv"
    rows = pd.read_csv(file, dtype=str)
    if len(twice := rows[column][rows[column].duplicated()]):
        raise CorpusError(f"{file} lists {twice.iloc[0]} twice: a clip is in one part of a split.")
    if len(unknown := rows["part"][~rows["part"].isin(list(PARTS))]):
        raise CorpusError(f"{file} has a part {unknown.iloc[0]!r}; it may be {', '.join(PARTS)}.")
    parts = dict(zip(rows[column], rows["part"].map(PARTS), strict=True))
    return np.array([parts.get(one, TRAINED) for one in clips[column].astype(str)])


def emobox(clips: pd.DataFrame) -> np.ndarray:
    """EmoBox: one fold of clips."""
    return listed(clips, "emobox", "clip")


def ogm_ge(clips: pd.DataFrame) -> np.ndarray:
    """OGM-GE, and what followed it in learning from sound and picture: one fold of clips."""
    return listed(clips, "ogm_ge", "clip")


def nkululeko(clips: pd.DataFrame) -> np.ndarray:
    """nkululeko: training, validation and test speakers."""
    return listed(clips, "nkululeko", "speaker")


def emo_superb(clips: pd.DataFrame) -> np.ndarray:
    """EMO-SUPERB: five folds of speakers."""
    return listed(clips, "emo_superb", "speaker")


def tensorflow_datasets(clips: pd.DataFrame) -> np.ndarray:
    """TensorFlow Datasets: 70, 10 and 20 % of the speakers, shuffled with seed 0; exact."""
    speakers = sorted(clips["speaker"].astype(str).unique())
    np.random.RandomState(0).shuffle(speakers)
    trained, known = int(0.7 * len(speakers)), int((0.7 + 0.1) * len(speakers))
    part = dict.fromkeys(speakers, 0)
    part |= dict.fromkeys(speakers[:known], WATCHED) | dict.fromkeys(speakers[:trained], TRAINED)
    numbers = clips["speaker"].astype(str).map(part).to_numpy()
    missing = ("1040_ITH_SAD_XX", "1006_TIE_NEU_XX", "1013_WSI_DIS_XX", "1017_IWW_FEA_XX")
    return np.where(clips["clip"].isin(missing), LEFT_OUT, numbers)


def hear(clips: pd.DataFrame) -> np.ndarray:
    """HEAR: file names shuffled with its seed, in five parts; ours are others than its names."""
    names = sorted(clips["clip"])
    random.Random("split_k_folds").shuffle(names)
    fold = {name: k for k, part in enumerate(np.array_split(names, 5)) for name in part}
    return clips["clip"].map(fold).to_numpy()


def x_ares(clips: pd.DataFrame) -> np.ndarray:
    """X-ARES: 15 % test and 15 % validation of shuffled clips; its shuffle has no seed, ours 0."""
    order, size = np.random.default_rng(0).permutation(len(clips)), int(0.15 * len(clips))
    numbers = np.full(len(clips), TRAINED)
    numbers[order[:size]], numbers[order[size : 2 * size]] = 0, WATCHED
    return numbers


def mteb(clips: pd.DataFrame) -> np.ndarray:
    """MTEB: five shuffled folds, seed 42, of clips in an order that we take to be of names."""
    from sklearn.model_selection import KFold

    numbers, order = np.empty(len(clips), int), np.argsort(clips["clip"].to_numpy(str))
    folds = KFold(5, shuffle=True, random_state=42).split(order)
    for fold, (_, tested) in enumerate(folds):
        numbers[order[tested]] = fold
    return numbers


BENCHMARKS: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "EmoBox": emobox,
    "HEAR": hear,
    "X-ARES": x_ares,
    "MTEB": mteb,
    "OGM-GE": ogm_ge,
    "TensorFlow Datasets": tensorflow_datasets,
    "nkululeko": nkululeko,
    "EMO-SUPERB": emo_superb,
}
"""Fold numbers by the benchmark that cuts them."""


def counted(clips: pd.DataFrame) -> pd.DataFrame:
    """What each benchmark's split is, of these clips.

    Returns a row per benchmark: `folds`, clips `trained`, `validated` and `tested` (of the first
    fold where there are several), `speakers` tested in any fold, and of them `shared`, who are
    trained on while they are tested.
    """
    rows, speaker = {}, clips["speaker"].to_numpy()
    for name, cut in BENCHMARKS.items():
        numbers = cut(clips)
        shared: set[Any] = set()
        for fold in range(numbers.max() + 1):
            trained = (numbers >= TRAINED) & (numbers != fold)
            shared |= set(speaker[numbers == fold]) & set(speaker[trained])
        rows[name] = {
            "folds": numbers.max() + 1,
            "trained": ((numbers >= TRAINED) & (numbers != 0)).sum(),
            "validated": (numbers == WATCHED).sum(),
            "tested": (numbers == 0).sum(),
            "speakers": len(set(speaker[numbers >= 0])),
            "shared": len(shared),
        }
    return pd.DataFrame(rows).T


def memberships(clips: pd.DataFrame) -> pd.DataFrame:
    """Clips with a column `condition`: which benchmarks test them, for `tested_by`."""
    tested = {name: cut(clips) >= 0 for name, cut in BENCHMARKS.items()}
    flags = np.stack(list(tested.values()), axis=1)
    names = np.array(list(tested), object)
    return clips.assign(condition=["+".join(names[row]) for row in flags])


def tested_by(results: Results, experiment: Experiment, benchmark: str) -> Sums:
    """Sums of an experiment with the labels of `memberships` over what a benchmark tests."""
    rows = results.rows[results.rows["experiment"] == identity(experiment)]
    rows = rows[[benchmark in condition.split("+") for condition in rows["condition"]]]
    added = rows.groupby(["seed", "speaker"], as_index=False)[SUM_COLUMNS].sum()
    return evaluation.from_frame(added)


def known() -> dict[str, Any]:
    """What was read of each benchmark, as of `data/splits/provenance.json`."""
    return store.read_json(store.shipped() / "splits" / "provenance.json")
