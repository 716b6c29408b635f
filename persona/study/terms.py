"""Names and measures as they are shown: the one place that words, units and decimals come from."""

from collections.abc import Iterable
from typing import NamedTuple

from persona import representations
from persona.errors import listed as listed  # chapters have their words from here


class Measure(NamedTuple):
    """How a metric of `evaluation.METRICS` is shown: heading, unit, factor and decimals."""

    heading: str
    unit: str
    factor: float
    digits: int
    higher_is_better: bool


MEASURES = {
    "emotion": "emotion_accuracy",
    "gender": "gender_accuracy",
    "age": "age_rmse",
}
"""The paper's three measures, by task."""

METRICS = {
    "emotion_accuracy": Measure("emotion, %", "points", 100, 1, True),
    "emotion_uar": Measure("emotion recall, %", "points", 100, 1, True),
    "emotion_f1": Measure("emotion F1, %", "points", 100, 1, True),
    "gender_accuracy": Measure("gender, %", "points", 100, 1, True),
    "gender_uar": Measure("gender recall, %", "points", 100, 1, True),
    "gender_f1": Measure("gender F1, %", "points", 100, 1, True),
    "age_rmse": Measure("age RMSE, years", "years", 1, 1, False),
    "age_mae": Measure("age error, years", "years", 1, 1, False),
    "age_ccc": Measure("age concordance", "", 1, 2, True),
    "age_r": Measure("age correlation", "", 1, 2, True),
}
"""How every metric is shown."""

NAMES = {
    "fcn": "FCN",
    "cnn": "CNN",
    "random-clip": "random clips",
    "speaker-disjoint": "unseen speakers",
    "given": "as the benchmark splits",
    "crema-d": "CREMA-D",
    "emodb": "EmoDB",
    "speechocean762": "speechocean762",
    "deviation": "age in deviations",
    "year": "age in years",
    "block2": "second block",
    "block3": "third block",
    "block2_ends": "ends of the second block",
    "block3_ends": "ends of the third block",
    "delta": "with changes",
}


def shown(name: str) -> str:
    """A code name, or several joined by "+", as readers see it."""
    if "+" in name:
        return " + ".join(shown(part) for part in name.split("+"))
    if name in NAMES:
        return NAMES[name]
    if name in representations.NAMES:
        return representations.class_of(name).title
    stem, _, rest = name.partition("_")
    if stem in representations.NAMES:
        part = f"layer {rest}" if rest.isdigit() else NAMES.get(rest, rest.replace("_", " "))
        return f"{representations.class_of(stem).title} ({part})"
    return name


def interval(values: Iterable[float], metric: str, sign: str = "") -> str:
    """A value of a metric, and the limits of its interval: "54.0 [52.2, 55.9]"."""
    measure = METRICS[metric]
    return bracketed((measure.factor * value for value in values), sign, measure.digits)


def bracketed(values: Iterable[float], sign: str = "", digits: int = 1) -> str:
    """A value, and in brackets the limits of its interval, if it has one (NaN: none)."""
    middle, low, high = (_rounded(value, sign, digits) for value in values)
    return middle if low == "-" else f"{middle} [{low}, {high}]"


def number(value: float, metric: str, sign: str = "") -> str:
    """A value of a metric in its unit and decimals; "-0.0" is written "0.0", NaN "-"."""
    measure = METRICS[metric]
    return _rounded(measure.factor * value, sign, measure.digits)


def _rounded(value: float, sign: str, digits: int) -> str:
    if value != value:
        return "-"
    text = f"{value:{sign}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def p_value(p: float, draws: int, corrected: float | None = None) -> str:
    """A bootstrap p value as it is printed, e.g. "< 0.0002" where no draw is beyond 0; NaN: "-".

    corrected : by the number of tests, printed in place of p, and as a bound where p is one.
    """
    if p != p:
        return "-"
    shown_p = p if corrected is None else corrected
    return f"< {shown_p:.2g}" if p <= 2 / (draws + 1) and shown_p < 1 else f"{shown_p:.2g}"
