"""What is called better than chance is: models that know nothing, few speakers, one clip."""

import numpy as np
import pandas as pd
import pytest

from persona import evaluation
from persona.model import limits
from persona.model.measured import describe, scores

CLASSES = ("anger", "happy", "sad")


def clips(speakers: int, each: int = 3, seed: int = 0, whole: bool = True) -> pd.DataFrame:
    """Emotions dealt at random, to whole speakers or to clips."""
    rng = np.random.default_rng(seed)
    n = speakers * each
    dealt = rng.permutation(np.resize(CLASSES, speakers if whole else n))
    return pd.DataFrame({
        "clip": [f"{k:04d}" for k in range(n)],
        "speaker": [f"s{k // each:02d}" for k in range(n)],
        "emotion": np.repeat(dealt, each) if whole else dealt,
        "gender": None,
        "age": np.nan,
    })  # fmt: skip


def guesses(table: pd.DataFrame, seed: int = 0, knowing: float = 0.0) -> pd.DataFrame:
    """Predictions at random, alike for a speaker's clips; a share of them right."""
    rng = np.random.default_rng(1000 + seed)
    people = table["speaker"].unique()
    heard = dict(zip(people, rng.choice(CLASSES, len(people)), strict=True))
    said = table["speaker"].map(heard).where(rng.random(len(table)) >= knowing, table["emotion"])
    rows = pd.DataFrame({"clip": table["clip"], "seed": 0, "fold": np.arange(len(table)) % 5})
    for name in CLASSES:
        rows[f"p_{name}"] = np.where(said == name, 0.9, 0.05)
    return rows.assign(p_female=0.5, age=30.0)


def said(table: pd.DataFrame, predicted: pd.DataFrame) -> str:
    """The sentence of a card on emotion, and on how many speakers it takes."""
    described, _ = describe(predicted, table, ["emotion"], limit=limits.of_own)
    return " ".join(described["limits"])


@pytest.mark.parametrize("whole", [True, False])
def test_a_model_that_knows_nothing_is_better_than_chance_no_more_than_by_chance(whole):
    """Whole speakers of one emotion: the most frequent of the others is below a guess."""
    better = 0
    for seed in range(40):
        table = clips(30, seed=seed, whole=whole)
        words = said(table, guesses(table, seed))
        assert "than a guess (33%)" in words or not whole
        better += "is better than" in words
    assert better <= 4


def test_a_model_that_knows_something_is_better_than_a_guess():
    table = clips(30)
    assert "this is better than a guess (33%)." in said(table, guesses(table, knowing=0.6))


def test_of_few_speakers_no_interval_is_given_and_nothing_is_better():
    table = clips(evaluation.FEWEST - 1, each=4)
    words = said(table, guesses(table, knowing=1.0))
    assert "in 100% of clips" in words and "a guess (33%) is the best" in words
    assert "take labels of 10 speakers" in words
    assert "[" not in words and "better than" not in words.replace("is better than chance", "")


def test_one_clip_has_no_interval():
    table = clips(1, each=1)
    found = scores(guesses(table, knowing=1.0), table, ["emotion"])
    assert found["emotion_accuracy"] == {"value": 1.0, "low": None, "high": None}


@pytest.mark.parametrize("shares", [(1, 1), (3, 1), (2, 3, 5)])
def test_a_guess_scores_what_many_guesses_do(shares):
    labels = np.repeat(["a", "b", "c"][: len(shares)], np.array(shares) * 20_000)
    table = pd.DataFrame({"emotion": labels, "gender": None})
    found = evaluation.guessed(table)
    guess = np.random.default_rng(0).choice(np.unique(labels), len(labels))
    right = labels == guess
    recalls = [right[labels == name].mean() for name in np.unique(labels)]
    f1 = [
        2 * (right & (labels == name)).sum() / ((labels == name).sum() + (guess == name).sum())
        for name in np.unique(labels)
    ]
    assert found == pytest.approx(
        {
            "emotion_accuracy": right.mean(),
            "emotion_uar": np.mean(recalls),
            "emotion_f1": np.mean(f1),
        },
        abs=0.01,
    )


def test_intervals_of_the_fewest_speakers_hold_nearly_as_often_as_they_say():
    rng = np.random.default_rng(0)

    def held(speakers: int) -> float:
        weights = evaluation.resample(speakers, 400)
        drawn = rng.normal(0, 1, (500, speakers)) @ weights.T / speakers
        low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
        return float(((low <= 0) & (high >= 0)).mean())

    assert held(5) < 0.87 < held(evaluation.FEWEST)
