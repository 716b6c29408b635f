"""Age by listening longer: lines and intervals for people of whom more was heard."""

import numpy as np
import pandas as pd
import pytest

from persona.calibration import AGE_BANDS
from persona.model import ages

INTERVAL = {"ages": [20.0, 60.0], "below": [10.0, 20.0], "above": [30.0, 10.0]}
FOUR = {"windows": 4, "slope": 2.0, "offset": -40.0, "ages": [20.0, 60.0], "below": [4.0, 4.0],
        "above": [6.0, 6.0]}  # fmt: skip


def answered(age, windows=1, seconds=5.0, lines=(FOUR,)):
    card = {"age_interval": INTERVAL, "age_by_windows": list(lines)}
    return ages.answered(card, age, windows, seconds)


class TestOneWindow:
    def test_keeps_its_age_and_the_interval_differs_with_it(self):
        assert answered(20) == (20, 10, 50)
        assert answered(40) == (40, 25, 60)
        assert answered(70) == (70, 50, 80)

    def test_has_no_interval_below_0(self):
        assert answered(5)[1] == 0

    def test_is_less_certain_without_a_step_below_a_second_of_speech(self):
        assert answered(40, seconds=0.999)[2] == pytest.approx(60, abs=0.02)
        assert answered(40, seconds=0.25)[2] == pytest.approx(80)


class TestSeveralWindows:
    def test_move_the_age_along_the_line_of_their_number(self):
        assert answered(50, windows=4) == (60, 56, 66)

    def test_between_two_sizes_lie_between_their_answers(self):
        assert answered(50, windows=2) == pytest.approx((55, (32.5 + 56) / 2, (65 + 66) / 2))

    def test_beyond_the_largest_size_are_as_of_it(self):
        assert answered(50, windows=30) == answered(50, windows=4)

    def test_are_as_one_for_a_model_that_has_no_lines(self):
        assert answered(50, windows=8, lines=()) == answered(50)


def predictions(people: int = 60, clips: int = 16, shrink: float = 0.5) -> pd.DataFrame:
    """Clips whose ages shrink by half towards 40 and err by themselves."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(people), clips)
    true = rng.uniform(20, 75, people)
    own = 40 + shrink * (true - 40) + rng.normal(0, 1, people)
    return pd.DataFrame({
        "speaker": person.astype(str), "fold": person % 5, "age": true[person],
        "age_predicted": own[person] + rng.normal(0, 8, len(person)),
    })  # fmt: skip


class TestLines:
    def test_undo_what_pooling_leaves_of_the_shrinkage(self):
        found = ages.by_windows(predictions())
        assert [line["windows"] for line in found] == [2, 4, 8, 16]
        slopes = [line["slope"] for line in found]
        assert slopes == sorted(slopes) and 1.7 < slopes[-1] < 2.1  # 1 / 0.5

    def test_err_less_than_the_mean_does_and_less_the_more_is_heard(self):
        found = ages.by_windows(predictions())
        assert all(line["error"] < line["error_of_mean"] for line in found)
        assert found[-1]["error"] < found[0]["error"]
        assert found[-1]["width"] < found[0]["width"]

    def test_hold_most_ages_of_each_band_among_people_they_were_not_fitted_to(self):
        [*_, last] = ages.by_windows(predictions())
        assert len(last["coverage"]) == len(AGE_BANDS) and min(last["coverage"]) > 0.6

    def test_are_judged_on_people_whom_they_were_not_fitted_to(self):
        """One fold's people are 20 years older than predicted, the other's 20 younger: a line from
        the other fold is 40 years off, one from both would be 20.
        """
        apart = predictions(shrink=1.0).assign(fold=lambda rows: rows["speaker"].astype(int) % 2)
        apart["age"] += np.where(apart["fold"] == 0, 20, -20)
        assert all(line["error"] > 35 for line in ages.by_windows(apart))

    def test_of_few_people_or_of_folds_that_share_them_there_are_none(self):
        few = predictions(people=ages.FEWEST - 1)
        assert ages.by_windows(few) == []
        shared = predictions()
        assert ages.by_windows(shared.assign(fold=np.arange(len(shared)) % 5)) == []
