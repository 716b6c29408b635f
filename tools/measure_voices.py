"""Measure what a person's usual voice brings: data/results/voices.parquet.

python tools/measure_voices.py

Networks of two folds of the recipe that ships answer to speakers whom they do not know, on CREMA-D
and on EmoDB: as everybody is heard, and against the person's usual voice, learnt from clips that
are not scored. The constants of `people.voice` were chosen on the first of the two folds.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona.cross_validation import train_fold
from persona.dataset import Dataset
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import recipe, voices
from persona.people import voice

FOLDS = (0, 1)
DRAWS = 8
PLAIN = EMOTIONS.index("neutral")
WAYS = (
    ("plain", 1), ("plain", 3), ("mixed", 3), ("mixed", 10), ("mixed", 20), ("skewed", 20),
    ("one emotion", 10), ("mostly plain", 20),
)  # fmt: skip
"""What is heard of a person, and how many clips of it."""


def enrolled(kind: str, count: int, emotions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of a person's clips from which the voice is learnt; emotions : shape (n,)."""
    weight = np.ones(len(emotions))
    if kind == "plain":
        weight = np.where(emotions == PLAIN, weight, 0)
    elif kind == "one emotion":
        weight = np.where(emotions == rng.choice(np.unique(emotions)), weight, 0)
    elif kind == "skewed":
        weight = rng.dirichlet(np.full(len(EMOTIONS), 0.5))[emotions]
    elif kind == "mostly plain":  # four of five
        plain = emotions == PLAIN
        weight = np.where(plain, 0.8 / max(plain.sum(), 1), 0.2 / max((~plain).sum(), 1))
    count = min(count, int((weight > 0).sum()), len(emotions) // 2)
    return rng.choice(len(emotions), count, replace=False, p=weight / weight.sum())


def answers(corpus: str, fold: int) -> Iterator[dict[str, Any]]:
    """Counts by speaker and way: clips scored, and right without a voice, with it, with others'."""
    experiment = recipe.shipped()
    network, split = train_fold(experiment, experiment.seeds[0], fold)
    home = Dataset("crema-d", experiment.representation)
    usual = _usual(home, np.concatenate([split.train, split.validation]))
    data = Dataset(corpus, experiment.representation)
    emotion = pd.Categorical(data.clips["emotion"], EMOTIONS).codes.astype(int)
    tested = split.test if corpus == "crema-d" else np.flatnonzero(emotion >= 0)
    person = data.clips["speaker"].astype(str).to_numpy()

    def emotions(embeddings: np.ndarray) -> np.ndarray:
        return network.predict(torch.from_numpy(np.float32(embeddings))).emotion.numpy()

    people = np.unique(person[tested])
    rows = {one: tested[person[tested] == one] for one in people}
    away = {one: data.embeddings[own].mean(axis=0) - usual[0] for one, own in rows.items()}
    for number, one in enumerate(people):
        own = rows[one]
        x, true = data.embeddings[own], emotion[own]
        right = emotions(x).argmax(axis=1) == true
        others = np.mean([away[other] for other in people if other != one], axis=0)
        with_others = emotions(x - others).argmax(axis=1) == true
        for kind, count in WAYS:
            for draw in range(DRAWS):
                rng = np.random.default_rng([fold, number, draw])
                heard = enrolled(kind, count, true, rng)
                rest = np.setdiff1d(np.arange(len(own)), heard)
                plain = PLAIN if kind == "plain" else None
                offset = voice.learn(x[heard], usual, emotions, plain)
                after = emotions(x[rest] - offset).argmax(axis=1) == true[rest]
                yield {
                    "corpus": corpus, "fold": fold, "speaker": str(number), "heard": kind,
                    "clips": count, "scored": len(rest), "alone": right[rest].sum(),
                    "with_voice": after.sum(), "with_others": with_others[rest].sum(),
                }  # fmt: skip
    print(f"{corpus}, fold {fold}: {len(people)} people", flush=True)


def _usual(home: Dataset, known: np.ndarray) -> np.ndarray:
    emotion = pd.Categorical(home.clips["emotion"], EMOTIONS).codes.astype(int)[known]
    speakers = home.clips["speaker"].astype(str).to_numpy()[known]
    return voices.usual(home.embeddings[known], emotion, speakers, len(EMOTIONS))


def main() -> None:
    rows = pd.DataFrame(
        row for corpus in ("crema-d", "emodb") for fold in FOLDS for row in answers(corpus, fold)
    )
    keys = ["corpus", "fold", "speaker", "heard", "clips"]
    summed = rows.groupby(keys, as_index=False, sort=False).sum()
    made = {
        "made_by": "tools/measure_voices.py",
        "experiment": recipe.shipped().description(),
        "folds": list(FOLDS),
        "draws": DRAWS,
        "constants": {n: getattr(voice, n) for n in ("SHRINK", "SHRINK_PLAIN", "STEPS", "DAMPING")},
    }
    file = store.shipped() / "results" / "voices.parquet"
    store.write_table(file, {c: summed[c].to_numpy() for c in summed}, made)


if __name__ == "__main__":
    main()
