"""Other people's ages: who is learnt from, who is tested, and how what is said is summed up."""

import numpy as np
import pandas as pd
import pytest
import torch

from persona import evaluation, predictions
from persona.ablations import ages, best
from persona.corpora import EMOTIONS
from persona.losses import Targets
from persona.predictions import PROBABILITIES

WIDTH = 4


def people(corpus: str, number: int, each: int = 3) -> pd.DataFrame:
    speaker = np.repeat(np.arange(number), each)
    return pd.DataFrame(
        {
            "clip": [f"{corpus} {i}" for i in range(number * each)],
            "corpus": corpus,
            "speaker": [f"{corpus} {s}" for s in speaker],
            "emotion": EMOTIONS[0],
            "gender": np.where(speaker % 2, "male", "female"),
            "age": 20 + speaker,
        }
    )


@pytest.fixture
def clips() -> pd.DataFrame:
    parts = [people(name, 10) for name in ages.TESTED[:2]]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def data(clips) -> best.Rows:
    n = len(clips)
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(n, WIDTH)).astype(np.float32))
    own = clips[clips["corpus"] == ages.TESTED[0]]
    return best.Rows(vectors, Targets.of(clips), torch.ones(n, 3), own, [])


@pytest.fixture
def learnt(monkeypatch) -> list[np.ndarray]:
    """The rows that networks learn from, in the order of the folds; training is short."""
    rows: list[np.ndarray] = []
    train = best.train

    def noted(data, chosen, seeds, recipe):
        rows.append(chosen)
        return train(data, chosen, seeds, best.Recipe(epochs=2, batch=8))

    monkeypatch.setattr(best, "train", noted)
    return rows


@pytest.mark.parametrize("strangers", [False, True])
def test_every_clip_of_both_corpora_is_tested_once_by_networks_that_never_heard_its_speaker(
    clips, data, learnt, strangers
):
    said = ages.out_of_fold(data, clips, 0, strangers=strangers)
    assert list(said.columns) == predictions.COLUMNS
    assert sorted(said["clip"]) == sorted(clips["clip"])
    speaker = clips.set_index("clip")["speaker"]
    for fold, rows in enumerate(learnt):
        tested = set(speaker[said.loc[said["fold"] == fold, "clip"]])
        assert not tested & set(clips["speaker"].iloc[rows])


def test_strangers_are_learnt_from_where_that_is_asked_for(clips, data, learnt):
    ages.out_of_fold(data, clips, 0, strangers=False)
    ages.out_of_fold(data, clips, 0, strangers=True)
    corpora = [set(clips["corpus"].iloc[rows]) for rows in learnt]
    assert all(c == {"CREMA-D"} for c in corpora[:5])
    assert all(c == {"CREMA-D", "speechocean762"} for c in corpora[5:])


def test_a_speaker_is_judged_by_the_mean_over_clips_and_seeds(clips):
    own = clips.iloc[:6]  # two speakers, aged 20 and 21, three clips each
    seeds = [
        pd.DataFrame(0.0, index=own.index, columns=PROBABILITIES).assign(
            clip=own["clip"], seed=seed, fold=0, p_female=0.0, age=said
        )
        for seed, said in enumerate(([10, 20, 30, 40, 40, 40], [20, 20, 20, 50, 60, 70]))
    ]
    counts = ages.averaged(evaluation.sums(pd.concat(seeds), own))
    assert counts.age[0, :, 0].tolist() == [1, 1]
    assert counts.age[0, :, 1].tolist() == [20, 21]
    assert counts.age[0, :, 2].tolist() == [20, 50]


def test_the_table_knows_a_perfect_ear_from_a_deaf_one(clips):
    said = clips[["clip"]].assign(**dict.fromkeys(PROBABILITIES, 0.0), seed=0, fold=0, p_female=0.0)
    right = evaluation.sums(said.assign(age=clips["age"]), clips)
    deaf = evaluation.sums(said.assign(age=24.5), clips)
    counts = {
        f"{learnt} | {tested}": right if learnt == "CREMA-D" else deaf
        for learnt in ages.LEARNT
        for tested in ages.TESTED
    }
    table = ages.correlations(counts, draws=50)
    assert len(table) == len(ages.TESTED) * len(ages.LEARNT)
    assert table.loc[("CREMA-D", "CREMA-D"), "r per clip"] == "1.00 [1.00, 1.00]"
    deaf_row = table.loc[("CREMA-D", "CREMA-D and speechocean762")]
    assert deaf_row["r per speaker"] == "0.00 [0.00, 0.00]"
    assert deaf_row["age RMSE, years"].startswith(deaf_row["deviation of the ages, years"])
