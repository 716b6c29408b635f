"""Comparisons: planned, paired over speakers, corrected, and never from too few draws."""

import numpy as np
import pytest

from persona.errors import PersonaError
from persona.evaluation import Sums
from persona.study import compare, score
from persona.study.comparison import differences, pivot, tidy, value
from persona.study.terms import METRICS


def sums_of(accuracy: float, people: int = 12, age_error: float = 1.0) -> Sums:
    """Speakers of a hundred clips each, all of anger, of which a share is named so."""
    emotion = np.zeros((1, people, 6, 6))
    emotion[:, :, 0, 0], emotion[:, :, 0, 1] = 100 * accuracy, 100 * (1 - accuracy)
    gender = np.zeros((1, people, 2, 2))
    gender[..., 0, 0] = 100
    squares, absolute = 100 * age_error**2, 100 * age_error
    age = np.broadcast_to([100.0, 0, 0, 0, squares, 0, absolute], (1, people, 7)).copy()
    return Sums(emotion, gender, age, np.arange(people))


GOOD, BAD = sums_of(0.7), sums_of(0.6, age_error=3.0)
EMOTION = ["emotion_accuracy"]


class TestCompare:
    def test_a_difference_is_the_first_minus_the_second_in_the_unit_that_is_shown(self):
        table = compare({"a": (GOOD, BAD)})
        row = table.loc[("a", "emotion_accuracy")]
        assert (row["difference"], row["low"], row["high"]) == pytest.approx((10, 10, 10))
        assert row["clear"]
        assert table.loc[("a", "age_rmse"), "difference"] == pytest.approx(-2)

    def test_what_does_not_differ_is_not_clear(self):
        table = compare({"a": (GOOD, GOOD)})
        assert table["p_holm"].tolist() == [1.0] * 3
        assert not table["clear"].any()

    def test_p_values_are_corrected_over_all_rows(self):
        alone = compare({"a": (GOOD, BAD)}, EMOTION)["p_holm"].iloc[0]
        pairs = {"a": (GOOD, BAD)} | {name: (BAD, BAD) for name in "bcd"}
        assert compare(pairs, EMOTION)["p_holm"].iloc[0] == pytest.approx(4 * alone)

    def test_too_few_draws_are_refused_and_how_many_do_is_said(self):
        with pytest.raises(PersonaError, match=r"99 draws cannot tell any .* take 120 or"):
            compare({"a": (GOOD, BAD)}, draws=99)
        assert compare({"a": (GOOD, BAD)}, draws=120)["clear"].any()

    def test_a_task_without_labels_is_never_clear(self):
        nothing = Sums(GOOD.emotion * 0, GOOD.gender, GOOD.age, GOOD.speakers)
        table = compare({"a": (nothing, nothing), "b": (GOOD, BAD)}, EMOTION)
        assert not table.loc[("a", "emotion_accuracy"), "clear"]
        assert np.isnan(table.loc[("a", "emotion_accuracy"), "p_holm"])
        assert table.loc[("b", "emotion_accuracy"), "clear"]
        assert "nan" not in differences(table).to_string()

    def test_an_unknown_measure_is_one_sentence(self):
        for call in (lambda: compare({"a": (GOOD, BAD)}, ["age_rmsee"]),
                     lambda: score({"a": GOOD}, ["age_rmsee"])):  # fmt: skip
            with pytest.raises(PersonaError, match="no measure 'age_rmsee'; choose from emotion"):
                call()


class TestTables:
    def test_labels_of_several_parts_are_levels_of_the_printed_index(self):
        table = compare({("a", "x"): (GOOD, BAD), ("a", "y"): (BAD, BAD)})
        printed = differences(table)
        assert printed.index.tolist() == [("a", "x"), ("a", "y")]
        assert printed.loc[("a", "x"), "emotion, %"] == "+10.0 [+10.0, +10.0]*"
        assert printed.loc[("a", "y"), "emotion, %"] == "0.0 [0.0, 0.0]"
        assert printed.loc[("a", "x"), "age RMSE, years"] == "-2.0 [-2.0, -2.0]*"

    def test_scores_carry_their_interval(self):
        table = score({("a", "x"): GOOD, ("b", "y"): BAD})
        assert table.loc[("a", "x"), "emotion, %"] == "70.0 [70.0, 70.0]"
        assert table.loc[("b", "y"), "age RMSE, years"] == "3.0 [3.0, 3.0]"
        assert list(table.columns) == ["emotion, %", "gender, %", "age RMSE, years"]

    def test_a_tidy_frame_has_a_row_for_each_experiment_and_metric(self):
        frame = tidy({("a", "x"): GOOD, ("b", "y"): BAD}, ["network", "tested on"])
        assert list(frame) == ["network", "tested on", "metric", "value", "low", "high"]
        assert len(frame) == 2 * len(METRICS)
        assert frame.set_index(["network", "metric"])["value"]["a", "age_rmse"] == 1

    def test_a_pivot_keeps_the_order_in_which_things_came(self):
        counts = {("z", "one"): GOOD, ("a", "one"): BAD, ("z", "two"): BAD}
        table = pivot(tidy(counts, ["network", "place"]), ["network", "place"], METRICS)
        assert list(table.index) == [("z", "one"), ("z", "two"), ("a", "one")]
        assert list(table.columns) == [METRICS[metric].heading for metric in METRICS]
        assert list(table.index.names) == ["network", "place"]

    def test_a_value_is_over_all_speakers(self):
        assert value(GOOD, "emotion_accuracy") == pytest.approx(0.7)
