"""Names, numbers and intervals as readers see them."""

import pytest

from persona import evaluation, representations
from persona.study import terms


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("mfcc", "MFCC"), ("mfcc+dvector", "MFCC + d-vector"), ("new", "new"), ("fcn", "FCN"),
        ("speaker-disjoint", "unseen speakers"), ("mfcc_delta", "MFCC (with changes)"),
        ("dvector_layers", "d-vector (layers)"),
        ("dvector_layers+campplus_block3", "d-vector (layers) + CAM++ (third block)"),
        ("whisper_4", "Whisper (layer 4)"),
    ],
)  # fmt: skip
def test_code_names_are_shown_as_readers_know_them(code, name):
    assert terms.shown(code) == name


@pytest.mark.parametrize("name", representations.NAMES)
def test_every_representation_is_shown_by_its_title(name):
    assert terms.shown(name) == representations.class_of(name).title


def test_every_metric_has_a_heading():
    assert set(terms.METRICS) == set(evaluation.METRICS)
    assert set(terms.MEASURES.values()) <= set(terms.METRICS)


@pytest.mark.parametrize(
    ("value", "metric", "sign", "text"),
    [
        (0.5412, "emotion_accuracy", "", "54.1"),
        (0.1, "emotion_accuracy", "+", "+10.0"),
        (-0.0001, "emotion_accuracy", "", "0.0"),
        (0.0001, "emotion_accuracy", "+", "0.0"),
        (9.86, "age_rmse", "", "9.9"),
        (0.456, "age_ccc", "", "0.46"),
        (float("nan"), "age_ccc", "+", "-"),
    ],
)
def test_a_number_has_the_unit_and_decimals_of_its_metric(value, metric, sign, text):
    assert terms.number(value, metric, sign) == text


def test_an_interval_stands_behind_its_value():
    assert terms.interval((0.54, 0.522, 0.559), "emotion_uar") == "54.0 [52.2, 55.9]"
    assert terms.bracketed((1.26, -0.01, 2.5), "+") == "+1.3 [0.0, +2.5]"


def test_a_value_without_an_interval_stands_alone():
    nan = float("nan")
    assert terms.bracketed((54.04, nan, nan)) == "54.0"
    assert terms.interval((nan, nan, nan), "emotion_uar") == "-"


@pytest.mark.parametrize(
    ("p", "text"), [(2 / 10_001, "< 0.0002"), (0.012345, "0.012"), (1.0, "1"), (float("nan"), "-")]
)
def test_a_p_value_is_no_smaller_than_its_draws_allow(p, text):
    assert terms.p_value(p, 10_000) == text


def test_a_corrected_p_value_is_a_bound_where_no_draw_is_beyond_0():
    assert terms.p_value(2 / 10_001, 10_000, corrected=0.0048) == "< 0.0048"
    assert terms.p_value(0.002, 10_000, corrected=0.048) == "0.048"
    assert terms.p_value(2 / 101, 100, corrected=1.0) == "1"


@pytest.mark.parametrize(
    ("words", "text"),
    [([], "none"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_lists_read_as_in_a_sentence(words, text):
    assert terms.listed(words) == text
