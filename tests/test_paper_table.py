"""The paper's table, and ours beside it."""

import numpy as np
import pytest
from test_figures import sums

from persona.study import paper_table as paper
from persona.study.paper_table import Cell

OURS = {
    Cell("mfcc", "fcn"): {"random-clip": sums(0.54, 0.97), "speaker-disjoint": sums(0.44, 0.91)},
    Cell("campplus", "cnn"): {"random-clip": sums(0.6)},
}
BASELINE = {"random-clip": sums(0.17, 0.5, 13)}


def test_the_papers_numbers_are_as_printed():
    quoted = paper.quoted()
    assert len(quoted) == 6
    best = quoted[Cell("xvector", "cnn")]
    assert best["emotion_accuracy"] == pytest.approx(0.6561)
    assert best["gender_accuracy"] == pytest.approx(0.9852)
    assert best["age_rmse"] == 8.6623


class TestTheTableBesideThePapers:
    @pytest.fixture(scope="class")
    @classmethod
    def table(cls):
        return paper.beside(OURS, BASELINE)

    def test_shows_the_paper_and_both_protocols(self, table):
        assert table.loc[("MFCC, FCN", "paper"), "emotion, %"] == "47.3"
        assert table.loc[("MFCC, FCN", "random clips"), "emotion, %"].startswith("54.0 [")
        assert table.loc[("MFCC, FCN", "unseen speakers"), "gender, %"].startswith("91.0 [")

    def test_shows_what_the_paper_does_not_have(self, table):
        assert table.loc[("CAM++, CNN", "random clips"), "emotion, %"].startswith("60.0 [")
        assert ("CAM++, CNN", "paper") not in table.index

    def test_says_what_was_not_run(self, table):
        assert table.loc[("WavLM, CNN", "paper"), "gender, %"] == "54.5"
        assert set(table.loc[("WavLM, CNN", "here")]) == {"not run here"}
        assert ("MFCC, FCN", "here") not in table.index

    def test_ends_with_the_predictor_that_ignores_the_voice(self, table):
        assert table.index[-1] == ("ignores the voice", "random clips")
        assert table.iloc[-1]["age RMSE, years"].startswith("13.0 [")


def test_the_papers_numbers_lie_inside_or_outside_our_intervals():
    ours = {cell: series["random-clip"] for cell, series in OURS.items()}
    table = paper.agreement(ours)
    assert set(table.index.get_level_values("network")) == {"MFCC, FCN"}
    assert list(table["lies"]) == ["below", "below", "below"]
    same = paper.agreement({Cell("mfcc", "fcn"): sums(0.4728, 0.9402, 7.2733)})
    np.testing.assert_allclose(same["paper"], same["value"])
    none = paper.agreement({Cell("campplus", "fcn"): sums(0.6)})
    assert none.empty and list(none.index.names) == ["network", "metric"]
