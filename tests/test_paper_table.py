"""The paper's table, and ours beside it."""

import pandas as pd
import pytest
from test_figures import sums

from persona.study import paper_table as paper
from persona.study.comparison import pivot, tidy
from persona.study.paper_table import Cell


def test_the_papers_numbers_are_as_printed():
    quoted = paper.quoted()
    assert len(quoted) == 6
    best = quoted[Cell("xvector", "cnn")]
    assert best["emotion_accuracy"] == pytest.approx(0.6561)
    assert best["gender_accuracy"] == pytest.approx(0.9852)
    assert best["age_rmse"] == 8.6623


def test_the_papers_numbers_are_rows_of_a_tidy_frame_without_intervals():
    frame = paper.tidy().set_index(["network", "metric"])
    assert len(frame) == 18 and set(frame["tested on"]) == {"paper"}
    assert frame.loc[("x-vector, CNN", "age_rmse"), "value"] == 8.6623
    assert frame[["low", "high"]].isna().all(axis=None)


class TestTheTableBesideThePapers:
    @pytest.fixture(scope="class")
    @classmethod
    def table(cls):
        index = ["network", "tested on"]
        rows = {
            ("MFCC, FCN", "random clips"): sums(0.54, 0.97),
            ("MFCC, FCN", "unseen speakers"): sums(0.44, 0.91),
            ("CAM++, CNN", "random clips"): sums(0.6),
            ("ignores the voice", "random clips"): sums(0.17, 0.5, 13),
        }
        return pivot(pd.concat([paper.tidy(), tidy(rows, index)]), index)

    def test_shows_the_paper_and_both_protocols_one_below_the_other(self, table):
        assert list(table.index[:3]) == [
            ("MFCC, FCN", "paper"),
            ("MFCC, FCN", "random clips"),
            ("MFCC, FCN", "unseen speakers"),
        ]
        assert table.loc[("MFCC, FCN", "paper"), "emotion, %"] == "47.3"
        assert table.loc[("MFCC, FCN", "random clips"), "emotion, %"].startswith("54.0 [")
        assert table.loc[("MFCC, FCN", "unseen speakers"), "gender, %"].startswith("91.0 [")

    def test_shows_what_only_one_of_both_has(self, table):
        assert table.loc[("CAM++, CNN", "random clips"), "emotion, %"].startswith("60.0 [")
        assert ("CAM++, CNN", "paper") not in table.index
        assert table.loc[("WavLM, CNN", "paper"), "gender, %"] == "54.5"

    def test_ends_with_the_predictor_that_ignores_the_voice(self, table):
        assert table.index[-1] == ("ignores the voice", "random clips")
        assert table.iloc[-1]["age RMSE, years"].startswith("13.0 [")
