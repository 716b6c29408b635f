"""The book's plots of results, each a matplotlib figure; plots of data are in `figures_data`.

Rows and series keep the order in which they are given, and whatever can be named by
`terms.shown` is named by it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from persona import evaluation
from persona.evaluation import Sums
from persona.labels import EMOTIONS
from persona.own.style import GREY, HATCHES, INK, Look, legend, look, subplots
from persona.study import descriptions
from persona.study.comparison import value
from persona.study.terms import MEASURES, METRICS, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from persona.own.described import Described

PANELS = tuple(MEASURES.values())
"""The paper's three measures, a panel each."""

IGNORES = "ignores the voice"
"""What the dotted line of the constant predictor is called."""

_WIDTH = 11.0  # inches, of a figure with a panel per measure
_DODGE = 0.17  # of a row's height, between the markers of two series


def intervals(
    rows: Mapping[Any, Mapping[str, Sums]],
    baseline: Sums | None = None,
    quoted: Mapping[Any, Mapping[str, float]] | None = None,
    measures: Sequence[str] = PANELS,
) -> "Described":
    """Values with 95 % intervals over speakers: a row per label, a marker per series.

    rows : label to the sums of each series; a label without any has a row all the same.
    baseline : of the predictor that ignores the voice, a dotted line.
    quoted : label to values by metric that others report, drawn as open diamonds.
    measures : metrics of `evaluation.METRICS`, a panel each.
    """
    names = list(dict.fromkeys(name for series in rows.values() for name in series))
    figure, axes = subplots(1, len(measures), _WIDTH, _height(len(rows), max(1, len(names))))
    for metric, axis in zip(measures, axes[0], strict=True):
        _label_rows(axis, list(rows), first=axis is axes[0, 0])
        axis.set_title(METRICS[metric].heading)
        if baseline is not None:
            at = METRICS[metric].factor * value(baseline, metric)
            axis.axvline(at, color=INK, linestyle=":", label=IGNORES)
    for number, name in enumerate(names):
        for y, series in enumerate(rows.values()):
            if name not in series:
                continue
            found = evaluation.score(series[name])
            place = y + _DODGE * (number - (len(names) - 1) / 2)
            for metric, axis in zip(measures, axes[0], strict=True):
                ours = METRICS[metric].factor * found.loc[metric].to_numpy()
                _interval(axis, place, ours, look(name, number), _name(name))
    for y, label in enumerate(rows):
        for metric, axis in zip(measures, axes[0], strict=True):
            if (theirs := (quoted or {}).get(label, {}).get(metric)) is not None:
                how = look("paper")
                axis.plot(METRICS[metric].factor * theirs, y, how.marker, color=how.colour,
                          fillstyle="none", markersize=7, label="paper")  # fmt: skip
    legend(figure, axes[0])
    shown_rows = {_name(y): {_name(x): of for x, of in row.items()} for y, row in rows.items()}
    figure.finding = descriptions.intervals(shown_rows, baseline, measures)
    return figure


def differences(table: pd.DataFrame) -> "Described":
    """Differences of `comparison.compare` with their intervals, a panel per metric.

    A filled marker is significant after Holm's correction, an open one is not.
    """
    labels = list(dict.fromkeys(table.index.get_level_values(0)))
    metrics = list(dict.fromkeys(table.index.get_level_values(1)))
    figure, axes = subplots(1, len(metrics), _WIDTH, _height(len(labels)))
    for metric, axis in zip(metrics, axes[0], strict=True):
        _label_rows(axis, labels, first=axis is axes[0, 0])
        measure = METRICS[metric]
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set_title(f"{measure.heading.split(',')[0]}: difference, {measure.unit}".rstrip(", "))
        rows = table.xs(metric, level=1)
        for y, (_, row) in enumerate(rows.iterrows()):
            _tested(axis, y, row, "difference")
    legend(figure, axes[0])
    figure.finding = descriptions.differences(table)
    return figure


def groups(table: pd.DataFrame, headings: Mapping[str, str]) -> "Described":
    """Errors of groups of clips, a panel per task, a row per group, attributes set apart.

    table : columns attribute, group, task, value, low, high and clear (whether the group differs
        from the others after correction), in the unit of the heading.
    headings : task to the panel's title.
    """
    places: dict[tuple[str, str], float] = {}
    bottom, last = 0.0, ""
    for attribute, group in table[["attribute", "group"]].drop_duplicates().to_numpy():
        bottom += 1.7 if places and attribute != last else 1.0
        places[attribute, group], last = bottom, attribute
    figure, axes = subplots(1, len(headings), _WIDTH, _height(int(bottom)))
    for (task, heading), axis in zip(headings.items(), axes[0], strict=True):
        names = [f"{attribute}: {group}" for attribute, group in places]
        _label_rows(axis, names, list(places.values()), first=axis is axes[0, 0])
        axis.set_title(heading)
        for _, row in table[table["task"] == task].iterrows():
            _tested(axis, places[row["attribute"], row["group"]], row, "value")
    legend(figure, axes[0])
    figure.finding = descriptions.groups(table, headings)
    return figure


def confusion(
    counts: Mapping[str, np.ndarray],
    classes: Sequence[str] = EMOTIONS,
    *,
    true: str = "acted",
    predicted: str = "predicted",
    columns: Sequence[str] | None = None,
) -> "Described":
    """Confusion matrices side by side, in per cent of each row.

    counts : by title, shape (C, C), rows the label.
    classes : names of the rows, and of the columns unless `columns` are others.
    true, predicted : what rows and columns are called.
    """
    import seaborn

    figure, axes = subplots(1, len(counts), 4.6 * len(counts) + 0.6, 4.4)
    for axis, (title, matrix) in zip(axes[0], counts.items(), strict=True):
        share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        seaborn.heatmap(
            share, annot=True, fmt=".0f", cmap="Blues", cbar=False, square=True, vmin=0, vmax=100,
            xticklabels=columns or classes, yticklabels=classes, ax=axis,
        )  # fmt: skip
        axis.set(title=title, xlabel=f"{predicted}, % of the row", ylabel=true)
        axis.tick_params(axis="x", rotation=40)
        axis.tick_params(axis="y", rotation=0)
    figure.finding = descriptions.confusion(counts, classes, columns or classes)
    return figure


def learning_curves(history: pd.DataFrame, title: str) -> "Described":
    """Mean loss of each task per epoch on training and validation rows, a panel per task.

    history : columns of `training.History.frame`, of one network or of several; the band is their
        range.
    """
    tasks = list(dict.fromkeys(history["task"]))
    figure, axes = subplots(1, len(tasks), _WIDTH, 3.2)
    for task, axis in zip(tasks, axes[0], strict=True):
        rows = history[history["task"] == task]
        for part, line in (("training", "--"), ("validation", "-")):
            by_epoch = rows[rows["part"] == part].groupby("epoch")["loss"]
            mean, how = by_epoch.mean(), look(part)
            axis.plot(mean.index, mean, line, marker=how.marker, markersize=4, color=how.colour,
                      label=part)  # fmt: skip
            axis.fill_between(
                mean.index, by_epoch.min(), by_epoch.max(), alpha=0.15, color=how.colour
            )
        axis.set(title=task, xlabel="epoch", ylim=(0, None))
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel("loss")
    figure.suptitle(title, x=0.01, ha="left")
    legend(figure, axes[0])
    figure.finding = descriptions.learning_curves(history)
    return figure


def curves(
    series: Mapping[str, Mapping[float, Sums]],
    xlabel: str,
    baseline: Sums | None = None,
    measures: Sequence[str] = PANELS,
) -> "Described":
    """Measures over the amount of something (log scale), a line per series, 95 % bars.

    series : name to the sums at each amount.
    """
    figure, axes = subplots(1, len(measures), _WIDTH, 3.8)
    scores = {
        name: {amount: evaluation.score(sums) for amount, sums in sorted(points.items())}
        for name, points in series.items()
    }
    for metric, axis in zip(measures, axes[0], strict=True):
        factor = METRICS[metric].factor
        for number, (name, points) in enumerate(scores.items()):
            how = look(name, number)
            found = factor * np.array([s.loc[metric].to_numpy() for s in points.values()])
            axis.plot(list(points), found[:, 0], f"{how.marker}-", color=how.colour,
                      label=_name(name))  # fmt: skip
            axis.vlines(list(points), *found[:, 1:].T, color=how.colour, alpha=0.35, linewidth=3)
        if baseline is not None:
            axis.axhline(factor * value(baseline, metric), color=INK, linestyle=":", label=IGNORES)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}")
        axis.set(title=METRICS[metric].heading, xlabel=xlabel)
        axis.grid(axis="y", alpha=0.3)
    legend(figure, axes[0])
    named = {_name(name): points for name, points in series.items()}
    figure.finding = descriptions.curves(named, measures)
    return figure


def reliability(tasks: Mapping[str, Mapping[str, pd.DataFrame]]) -> "Described":
    """Accuracy against confidence, a panel per task and a line per state of the network.

    tasks : task to state to a frame of `calibration.reliability`. The area of a marker is the
        share of clips in its bin; on the dotted line confidence equals accuracy.
    """
    figure, axes = subplots(1, len(tasks), 4.6 * len(tasks), 4.2)
    for axis, (task, states) in zip(axes[0], tasks.items(), strict=True):
        for number, (name, curve) in enumerate(states.items()):
            how = look(name, number)
            size = 15 + 400 * curve["clips"] / curve["clips"].sum()
            axis.plot(curve["confidence"], curve["accuracy"], color=how.colour)
            axis.scatter(curve["confidence"], curve["accuracy"], size, marker=how.marker,
                         color=how.colour, alpha=0.6, label=name)  # fmt: skip
        low = min(curve[["confidence", "accuracy"]].min().min() for curve in states.values())
        axis.plot([low, 1], [low, 1], ":", color=INK)
        axis.set(title=task, xlabel="confidence", ylabel="share right")
    legend(figure, axes[0])
    figure.finding = descriptions.reliability(tasks)
    return figure


def age_scatter(panels: Mapping[str, Sums]) -> "Described":
    """Each speaker's age against the ages predicted of their clips, a panel per title.

    A dot is the mean over a speaker's clips and seeds, its bar one standard deviation either way;
    on the dotted line predicted equals true.
    """
    figure, axes = subplots(1, len(panels), 4.4 * len(panels), 4.2)
    for axis, (title, sums) in zip(axes[0], panels.items(), strict=True):
        n, true, predicted, _, squared, _, _ = sums.age.sum(axis=0).T
        mean = predicted / n
        spread = np.sqrt(np.maximum(squared / n - mean**2, 0))
        axis.errorbar(true / n, mean, spread, fmt="o", color=INK, ecolor=GREY, markersize=4,
                      elinewidth=1.2)  # fmt: skip
        ends = [min((true / n).min(), mean.min()) - 2, max((true / n).max(), mean.max()) + 2]
        axis.plot(ends, ends, ":", color=INK)
        axis.set(title=title, xlabel="age, years", ylabel="predicted age, years")
    figure.finding = descriptions.age_scatter(panels)
    return figure


def shares(table: pd.DataFrame) -> "Described":
    """Per cent of the variance between the groups of each factor.

    table : of `geometry.variance_shares`, index representation, a column per factor.
    """
    figure, axes = subplots(1, 1, 8, 3.8)
    axis = axes[0, 0]
    width = 0.8 / len(table.columns)
    for number, factor in enumerate(table):
        places = np.arange(len(table)) + width * (number - (len(table.columns) - 1) / 2)
        axis.bar(places, table[factor], width, color=look("", number).colour,
                 hatch=HATCHES[number % len(HATCHES)], edgecolor="white", label=factor)  # fmt: skip
    axis.set_xticks(range(len(table)), [shown(name) for name in table.index])
    axis.set_ylabel("% of the variance")
    legend(figure, [axis])
    figure.finding = descriptions.shares(table.rename(index=shown))
    return figure


def bars(
    shares: Mapping[str, Sequence[float]], title: str, ours: Sequence[str] = ()
) -> "Described":
    """A few shares as bars with their per cent behind them; small, to be read on a phone.

    shares : by name; a share alone, or with the limits of its interval behind it.
    ours : the names of those that stand out.
    """
    figure, axes = subplots(1, 1, 4.4, 0.3 * len(shares) + 0.3)
    axis, values = axes[0, 0], [100 * share for share, *_ in shares.values()]
    texts = [
        f"{100 * share:.0f}"
        + (f" ({' to '.join(f'{100 * limit:.0f}' for limit in limits)})" if limits else "")
        for share, *limits in shares.values()
    ]
    colours = [look("").colour if name in ours else GREY for name in shares]
    drawn = axis.barh(list(shares), values, 0.7, color=colours)
    axis.bar_label(drawn, texts, padding=3)
    axis.invert_yaxis()
    axis.set(title=title, xlim=(0, 100), xticks=[])
    axis.spines["bottom"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    named = [f"{name} {text}" for name, text in zip(shares, texts, strict=True)]
    figure.finding = f"{title}: {'; '.join(named)}."
    return figure


def _height(rows: int, series: int = 1) -> float:
    return (0.3 + 0.06 * (series - 1)) * rows + 1.3


def _label_rows(
    axis: "Axes", labels: Sequence[Any], places: Sequence[float] | None = None, *, first: bool
) -> None:
    """Name the rows of a panel from above; only the first panel shows the names."""
    at = list(range(len(labels))) if places is None else list(places)
    axis.set_yticks(at, [_name(label) for label in labels] if first else [""] * len(at))
    axis.set_ylim(max(at) + 0.6, min(at) - 0.6)
    axis.grid(axis="x", alpha=0.3)


def _name(label: Any) -> str:
    """A code name as it is shown; other labels as they are."""
    if isinstance(label, tuple):
        return ", ".join(map(_name, label))
    return label if " " in label or "++" in label else shown(label)


def _interval(
    axis: "Axes", y: float, values: np.ndarray, how: Look, label: str, filled: bool = True
) -> None:
    """A marker at the first of three values and a bar between the others."""
    middle, low, high = values
    axis.plot([low, high], [y, y], color=how.colour, alpha=0.35, linewidth=4,
              solid_capstyle="butt")  # fmt: skip
    axis.plot(middle, y, how.marker, color=how.colour, markersize=5,
              fillstyle="full" if filled else "none", label=label)  # fmt: skip


def _tested(axis: "Axes", y: float, row: pd.Series, of: str) -> None:
    """A row's interval, its marker filled where it is significant."""
    clear = bool(row["clear"])
    values = row[[of, "low", "high"]].to_numpy(float)
    _interval(axis, y, values, Look("o", INK), "significant" if clear else "not significant", clear)
