"""Out-of-fold predictions: a row per clip and seed, in the columns that everything reads."""

import numpy as np
import pandas as pd
import pytest
import torch

from persona import predictions
from persona.network import Predicted
from persona.predictions import COLUMNS, PROBABILITIES

EMOTION = np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], [0, 0, 0, 0, 0, 1]], np.float32)
PREDICTED = Predicted(
    torch.from_numpy(EMOTION), torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([30.0, 41.5])
)
CLIPS = np.array(["a", "b"])


def test_a_row_holds_clip_seed_fold_probabilities_and_age():
    rows = predictions.frame(PREDICTED, CLIPS, 7, 3)
    assert list(rows.columns) == COLUMNS
    assert rows["clip"].tolist() == ["a", "b"]
    assert rows["seed"].tolist() == [7, 7] and rows["fold"].tolist() == [3, 3]
    assert np.array_equal(rows[PROBABILITIES].to_numpy(), EMOTION)
    assert rows["p_female"].tolist() == pytest.approx([0.9, 0.2])
    assert rows["age"].tolist() == [30, 41.5]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_probabilities_are_kept_in_float32_whatever_they_came_in(kind):
    arrays = Predicted(*(np.asarray(part, kind) for part in PREDICTED))
    rows = predictions.frame(arrays, CLIPS, 0, 0)
    assert {str(t) for t in rows[[*PROBABILITIES, "p_female", "age"]].dtypes} == {"float32"}


def test_a_probability_next_to_one_stays_apart_from_one():
    sure = PREDICTED._replace(gender=torch.tensor([[1 - 1e-6, 1e-6], [1e-6, 1 - 1e-6]]))
    rows = predictions.frame(sure, CLIPS, 0, 0)
    assert rows["p_female"].min() > 0 and rows["p_female"].max() < 1


def test_seeds_are_averaged_clip_by_clip_and_not_renormalised_away():
    other = Predicted(PREDICTED.emotion.flip(0), PREDICTED.gender, PREDICTED.age + 10)
    both = pd.concat(
        [predictions.frame(PREDICTED, CLIPS, 1, 3), predictions.frame(other, CLIPS[::-1], 4, 2)]
    )
    mean = predictions.averaged(both).set_index("clip")
    assert mean.loc["a", "age"] == pytest.approx((30 + 51.5) / 2)
    assert mean.loc["b", "age"] == pytest.approx((41.5 + 40) / 2)
    assert np.allclose(mean[PROBABILITIES].sum(axis=1), 1)
    assert mean.loc["b", "p_female"] == pytest.approx((0.2 + 0.9) / 2)
    assert mean["seed"].tolist() == [0, 0]
    assert mean["fold"].tolist() == [3, 3]  # the first seed's


def test_one_seed_averaged_is_itself():
    rows = predictions.frame(PREDICTED, CLIPS, 0, 1)
    pd.testing.assert_frame_equal(predictions.averaged(rows), rows, check_dtype=False)
