"""Measure what a person's usual voice brings: data/results/voices.parquet.

python tools/measure_voices.py

Networks of every fold of the recipe that ships answer to speakers whom they do not know, on
CREMA-D, on degraded copies of it and on EmoDB: as everybody is heard, and against the person's
usual voice, learnt from clips that are not scored. The constants of `people.voice` were chosen on
the first fold of the first deal. A fold that was measured stays in build/voices.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import calibration, folds
from persona.cross_validation import train_fold
from persona.dataset import Dataset
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import recipe, voices
from persona.people import voice

DEALS = 2
"""Of the folds, of the recipe's; a fold takes some four minutes."""

DRAWS = 8
PLAIN = EMOTIONS.index("neutral")
WAYS = (
    ("plain", 1), ("plain", 3), ("mixed", 3), ("mixed", 10), ("mixed", 20), ("skewed", 20),
    ("one emotion", 10), ("mostly plain", 20),
)  # fmt: skip
"""What is heard of a person, and how many clips of it."""

CALIBRATED = (("plain", 3), ("mixed", 20))
"""Of these, confidences are kept."""

ANSWERED = {"crema-d": "crema-d", "degraded": "crema-d-degraded", "emodb": "emodb"}
"""Where the clips that are answered come from; voices are learnt at home, or in EmoDB."""


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


def answers(name: str, seed: int, fold: int, trained: Any) -> Iterator[dict[str, Any]]:
    """Counts by speaker and way: clips scored, and right without a voice, with it, with others'.

    The first draw of `CALIBRATED` ways also has `kept`: labels, and probabilities of either.
    """
    network, split = trained
    experiment = recipe.shipped()
    home = Dataset("crema-d", experiment.representation)
    usual = _usual(home, np.concatenate([split.train, split.validation]))
    learnt = home if name != "emodb" else Dataset(name, experiment.representation)
    answered = Dataset(ANSWERED[name], experiment.representation)
    same = answered.clips.get("original", answered.clips["clip"])
    assert (same.to_numpy() == learnt.clips["clip"].to_numpy()).all()
    emotion = pd.Categorical(learnt.clips["emotion"], EMOTIONS).codes.astype(int)
    tested = np.flatnonzero(emotion >= 0) if name == "emodb" else split.test
    person = learnt.clips["speaker"].astype(str).to_numpy()

    def emotions(embeddings: np.ndarray) -> np.ndarray:
        return network.predict(torch.from_numpy(np.float32(embeddings))).emotion.numpy()

    people = np.unique(person[tested])
    rows = {one: tested[person[tested] == one] for one in people}
    away = {one: learnt.embeddings[own].mean(axis=0) - usual[0] for one, own in rows.items()}
    for number, one in enumerate(people):
        own = rows[one]
        x, true = answered.embeddings[own], emotion[own]
        alone = emotions(x)
        right = alone.argmax(axis=1) == true
        others = np.mean([away[other] for other in people if other != one], axis=0)
        with_others = emotions(x - others).argmax(axis=1) == true
        for kind, count in WAYS:
            for draw in range(DRAWS):
                rng = np.random.default_rng([seed, fold, number, draw])
                heard = enrolled(kind, count, true, rng)
                rest = np.setdiff1d(np.arange(len(own)), heard)
                plain = PLAIN if kind == "plain" else None
                offset = voice.learn(learnt.embeddings[own[heard]], usual, emotions, plain)
                after = emotions(x[rest] - offset)
                kept = draw == 0 and (kind, count) in CALIBRATED
                yield {
                    "corpus": name, "seed": seed, "fold": fold, "speaker": one, "heard": kind,
                    "clips": count, "scored": len(rest), "alone": right[rest].sum(),
                    "with_voice": (after.argmax(axis=1) == true[rest]).sum(),
                    "with_others": with_others[rest].sum(),
                    "kept": (true[rest], alone[rest], after) if kept else None,
                }  # fmt: skip


def calibration_errors(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Expected calibration error without a voice and with it, by corpus and way.

    The temperature is that of least log loss, without a voice, of the other folds' clips at home.
    """
    kept = rows[rows["kept"].notna()]
    home = kept[(kept["corpus"] == "crema-d") & (kept["heard"] == CALIBRATED[-1][0])]
    found = []
    for (name, kind, count), own in kept.groupby(["corpus", "heard", "clips"], sort=False):
        true, before, after = [], [], []
        for (seed, fold), some in own.groupby(["seed", "fold"]):
            rest = home[(home["seed"] == seed) & (home["fold"] != fold)]["kept"]
            labels, _, _ = map(np.concatenate, zip(*rest, strict=True))
            known = np.concatenate([alone for _, alone, _ in rest])
            heat = calibration.temperature(known, labels)
            for labels, alone, voiced in some["kept"]:
                true.append(labels)
                before.append(calibration.tempered(alone, heat))
                after.append(calibration.tempered(voiced, heat))
        labels = np.concatenate(true)
        nobody = np.zeros(len(labels), int)
        errors = [
            float(calibration.expected_error(counts, np.ones((1, 1)))[0])
            for counts in (
                calibration.binned(np.concatenate(some), labels, nobody) for some in (before, after)
            )
        ]
        found.append({
            "corpus": name, "heard": kind, "clips": count, "alone": errors[0],
            "with_voice": errors[1],
        })  # fmt: skip
    return found


def _usual(home: Dataset, known: np.ndarray) -> np.ndarray:
    emotion = pd.Categorical(home.clips["emotion"], EMOTIONS).codes.astype(int)[known]
    speakers = home.clips["speaker"].astype(str).to_numpy()[known]
    return voices.usual(home.embeddings[known], emotion, speakers, len(EMOTIONS))


def measured(seed: int, fold: int) -> pd.DataFrame:
    """All rows of a fold, from build/voices where it was measured before."""
    file = store.made() / "voices" / f"{seed}-{fold}.pickle"
    if not file.exists():
        trained = train_fold(recipe.shipped(), seed, fold)
        rows = pd.DataFrame(row for name in ANSWERED for row in answers(name, seed, fold, trained))
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_pickle(unfinished := file.with_suffix(".unfinished"))
        unfinished.replace(file)
        print(f"deal {seed}, fold {fold}", flush=True)
    return pd.read_pickle(file)


def main() -> None:
    experiment = recipe.shipped()
    rows = pd.concat(
        [measured(seed, fold) for seed in experiment.seeds[:DEALS] for fold in range(folds.FOLDS)],
        ignore_index=True,
    )
    keys = ["corpus", "seed", "speaker", "heard", "clips"]
    counts = ["scored", "alone", "with_voice", "with_others"]
    summed = rows.groupby(keys, as_index=False, sort=False)[counts].sum()
    made = {
        "made_by": "tools/measure_voices.py",
        "experiment": experiment.description(),
        "draws": DRAWS,
        "calibration_errors": calibration_errors(rows),
        "constants": {n: getattr(voice, n) for n in ("SHRINK", "SHRINK_PLAIN", "STEPS", "DAMPING")},
    }
    file = store.shipped() / "results" / "voices.parquet"
    store.write_table(file, {c: summed[c].to_numpy() for c in summed}, made)


if __name__ == "__main__":
    main()
