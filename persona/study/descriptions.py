"""What figures show, in sentences for those who cannot see them: ends, extremes, what is clear."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from persona.evaluation import Sums
from persona.study.comparison import value
from persona.study.terms import METRICS, listed, number
from persona.study.wording import changes


def ends(values: Mapping[str, float], digits: int = 1) -> str:
    """The least and the largest of some values, e.g. "17.0 (MFCC) to 69.1 (CAM++)"."""
    known = {name: value for name, value in values.items() if value == value}
    if not known:
        return "nothing"
    least, most = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    if least == most:
        return f"{known[least]:.{digits}f}"
    return f"{known[least]:.{digits}f} ({least}) to {known[most]:.{digits}f} ({most})"


def intervals(
    rows: Mapping[str, Mapping[str, Sums]], baseline: Sums | None, measures: Sequence[str]
) -> str:
    """Per measure the ends of every series, and what ignoring the voice gives; names as shown."""
    names = list(dict.fromkeys(name for series in rows.values() for name in series))
    sentences = []
    for metric in measures:
        measure, parts = METRICS[metric], []
        for name in names:
            found = {
                label: measure.factor * value(series[name], metric)
                for label, series in rows.items()
                if name in series
            }
            parts.append(f"{name} {ends(found, measure.digits)}")
        if baseline is not None:
            parts.append(f"ignoring the voice {number(value(baseline, metric), metric)}")
        sentences.append(f"{measure.heading}: {'; '.join(parts)}.")
    return " ".join(sentences)


def differences(table: pd.DataFrame) -> str:
    """Which differences of `comparison.compare` are clear."""
    clear = int(table["clear"].sum())
    whole = table.set_axis(
        pd.MultiIndex.from_tuples((_row(row), metric) for row, metric in table.index)
    )
    named = f": {changes(whole)}" if clear else ""
    return f"Of {len(table)} differences, {clear} are significant{named}."


def _row(label: str | tuple[str, ...]) -> str:
    """A row's label with all of its parts."""
    return ", ".join(label) if isinstance(label, tuple) else label


def groups(table: pd.DataFrame, headings: Mapping[str, str]) -> str:
    """Per task the groups with the least and the largest error, and those that are clear."""
    sentences = []
    for task, heading in headings.items():
        rows = table[table["task"] == task]
        rows = rows.assign(name=rows["attribute"] + ": " + rows["group"].astype(str))
        clear = listed(list(rows.loc[rows["clear"].astype(bool), "name"])) or "none"
        found = ends(dict(zip(rows["name"], rows["value"].astype(float), strict=True)))
        sentences.append(f"{heading}: {found}; significant: {clear}.")
    return " ".join(sentences)


def confusion(
    counts: Mapping[str, np.ndarray], classes: Sequence[str], columns: Sequence[str]
) -> str:
    """Per matrix what is right most and least often, and the most frequent mistake."""
    sentences = []
    for title, matrix in counts.items():
        share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        right = {name: share[row, list(columns).index(name)] for row, name in enumerate(classes)}
        wrong = {
            f"{name} called {column}": share[row, place]
            for row, name in enumerate(classes)
            for place, column in enumerate(columns)
            if column != name
        }
        worst = max(wrong, key=wrong.__getitem__)
        sentences.append(
            f"{title}: right in per cent, {ends(right, 0)}; the most frequent mistake is {worst} "
            f"({wrong[worst]:.0f} %).".removeprefix(": ")
        )
    return " ".join(sentences)


def learning_curves(history: pd.DataFrame) -> str:
    """Per task and part the loss of the first, the best and the last epoch."""
    sentences = []
    for (task, part), rows in history.groupby(["task", "part"], sort=False):
        loss = rows.groupby("epoch")["loss"].mean()
        sentences.append(
            f"{task}, {part}: {loss.iloc[0]:.2f} at first, least {loss.min():.2f} in epoch "
            f"{loss.idxmin()}, {loss.iloc[-1]:.2f} at the end."
        )
    return " ".join(sentences)


def curves(series: Mapping[str, Mapping[float, Sums]], measures: Sequence[str]) -> str:
    """Per measure and series the values of the least and the largest amount."""
    sentences = []
    for metric in measures:
        parts = []
        for name, points in series.items():
            least, most = min(points), max(points)
            first, last = (number(value(points[at], metric), metric) for at in (least, most))
            parts.append(f"{name} {first} at {least:,.0f}, {last} at {most:,.0f}")
        sentences.append(f"{METRICS[metric].heading}: {'; '.join(parts)}.")
    return " ".join(sentences)


def reliability(tasks: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    """Per task and state how often answers are right in the bin that holds most of them."""
    sentences = []
    for task, states in tasks.items():
        for name, curve in states.items():
            fullest = curve.iloc[int(np.argmax(curve["clips"]))]
            sentences.append(
                f"{task}, {name}: of the most frequent answers, with a confidence of "
                f"{fullest['confidence']:.0%}, {fullest['accuracy']:.0%} are right."
            )
    return " ".join(sentences)


def age_scatter(panels: Mapping[str, Sums]) -> str:
    """Per panel how far predicted means reach where true ages reach further or less far."""
    sentences = []
    for title, sums in panels.items():
        n, true, predicted, *_ = sums.age.sum(axis=0).T
        spans = [f"{min(x / n):.0f} to {max(x / n):.0f} years" for x in (predicted, true)]
        r = number(value(sums, "age_r"), "age_r")
        sentences.append(f"{title}: predicted means of {spans[0]} for ages of {spans[1]}; "
                         f"over clips they correlate by {r}.")  # fmt: skip
    return " ".join(sentences)


def shares(table: pd.DataFrame) -> str:
    """Per factor its least and largest share of the variance; the index is as shown."""
    return "Per cent of the variance: " + "; ".join(
        f"{factor} {ends(dict(zip(map(str, table.index), table[factor], strict=True)))}"
        for factor in table
    ) + "."  # fmt: skip


def neighbours(points: Mapping[str, np.ndarray], clips: pd.DataFrame) -> str:
    """Per map of points, shape (n, 2), how often the nearest other one has the same label."""
    from scipy.spatial import KDTree

    sentences = []
    for name, where in points.items():
        nearest = KDTree(where).query(where, k=2)[1][:, 1]
        alike = {
            column: (clips[column].to_numpy() == clips[column].to_numpy()[nearest]).mean()
            for column in ("speaker", "emotion", "gender")
        }
        words = listed([f"{column} in {share:.0%}" for column, share in alike.items()])
        sentences.append(f"{name}: the nearest other clip is of the same {words}.")
    return " ".join(sentences)
