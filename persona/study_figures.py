"""Plots of the chapters beyond the paper. Each returns a figure readable without colour."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from persona import evaluation
from persona.corpora import EMOTIONS
from persona.evaluation import Sums
from persona.figures import ACCENT, INK, PALE, _subplots
from persona.tables import MEASURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def groups(table: pd.DataFrame, headings: Mapping[str, str]) -> "Figure":
    """Error of every group (`ablations.errors.by_group`), a panel per task of `headings`.

    A filled marker differs from the other groups after Holm's correction, an open one does not.
    """
    places: dict[tuple[str, str], float] = {}
    bottom, last = 0.0, ""
    for attribute, group in table[["attribute", "group"]].drop_duplicates().to_numpy():
        bottom += 1.7 if places and attribute != last else 1.0
        places[attribute, group], last = bottom, attribute
    figure, axes = _subplots(1, len(headings), 11, 0.24 * bottom + 0.8)
    for axis, (task, heading) in zip(axes[0], headings.items(), strict=True):
        factor = 1 if "years" in heading else 100
        for _, row in table[table["task"] == task].iterrows():
            y, fill = places[row["attribute"], row["group"]], row["p_holm"] < 0.05
            value, low, high = factor * row[["value", "low", "high"]].to_numpy(float)
            axis.plot([low, high], [y, y], color=PALE, linewidth=4)
            axis.plot(value, y, "o", color=INK, fillstyle="full" if fill else "none")
        axis.set(title=heading, yticks=list(places.values()), ylim=(bottom + 0.8, 0.2))
        shown = [f"{attribute}: {group}" for attribute, group in places]
        axis.set_yticklabels(shown if axis is axes[0, 0] else [])
        axis.grid(axis="x", alpha=0.3)
    return figure


def beside(confusions: Mapping[str, np.ndarray]) -> "Figure":
    """Confusion matrices of the emotions side by side, in per cent of each row."""
    import seaborn

    figure, axes = _subplots(1, len(confusions), 4.6 * len(confusions), 4)
    for axis, (title, counts) in zip(axes[0], confusions.items(), strict=True):
        seaborn.heatmap(
            100 * counts / counts.sum(axis=1, keepdims=True), annot=True, fmt=".0f", cmap="Blues",
            cbar=False, square=True, vmin=0, vmax=100, xticklabels=EMOTIONS,
            yticklabels=EMOTIONS if axis is axes[0, 0] else False, ax=axis,
        )  # fmt: skip
        axis.set(title=title, xlabel="said", ylabel="acted" if axis is axes[0, 0] else "")
        axis.tick_params(rotation=30)
    return figure


def reliability(curves: Mapping[str, pd.DataFrame]) -> "Figure":
    """Accuracy against confidence, a panel per task; keys are "TASK, STATE".

    The area of a marker is the share of clips in its bin.
    """
    tasks = list(dict.fromkeys(name.split(", ")[0] for name in curves))
    figure, axes = _subplots(1, len(tasks), 4.2 * len(tasks), 3.8)
    for axis, task in zip(axes[0], tasks, strict=True):
        states = [name for name in curves if name.startswith(f"{task}, ")]
        styles = (("--", "s", ACCENT), ("-", "o", INK))
        for name, (line, marker, colour) in zip(states, styles, strict=True):
            curve = curves[name]
            size = 15 + 400 * curve["clips"] / curve["clips"].sum()
            axis.plot(curve["confidence"], curve["accuracy"], line, color=colour,
                      label=name.split(", ")[1])  # fmt: skip
            axis.scatter(curve["confidence"], curve["accuracy"], size, marker=marker,
                         color=colour, alpha=0.6)  # fmt: skip
        low = min(curves[name].iloc[:, 1:].to_numpy().min() for name in states)
        axis.plot([low, 1], [low, 1], ":", color=INK)
        axis.set(title=task, xlabel="confidence", ylabel="share right")
        axis.legend(frameon=False, loc="upper left")
    return figure


def conditions(table: pd.DataFrame, headings: Mapping[str, str]) -> "Figure":
    """What every degradation costs, a panel per metric of `headings` (metric to heading).

    table : columns `condition`, `trained`, `metric`, `value`, `low`, `high`; a marker per
        `trained`, of which there are two or three.
    """
    places = {name: y for y, name in enumerate(table["condition"].unique())}
    figure, axes = _subplots(1, len(headings), 11, 0.3 * len(places) + 1.2)
    trained = table["trained"].unique()
    for axis, (metric, heading) in zip(axes[0], headings.items(), strict=True):
        factor = 1 if "years" in heading else 100
        for shift, name, marker, colour in zip(
            np.linspace(-0.24, 0.24, len(trained)), trained, "soD", (ACCENT, INK, PALE),
            strict=False,
        ):  # fmt: skip
            rows = table[(table["metric"] == metric) & (table["trained"] == name)]
            y = rows["condition"].map(places) + shift
            axis.hlines(y, factor * rows["low"], factor * rows["high"], color=colour, alpha=0.5)
            axis.plot(factor * rows["value"], y, marker, color=colour, markersize=5, label=name)
        axis.set(title=heading, yticks=range(len(places)), ylim=(len(places) - 0.5, -0.5))
        axis.set_yticklabels(list(places) if axis is axes[0, 0] else [])
        axis.grid(axis="x", alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(trained), frameon=False)
    return figure


def sections(results: Mapping[str, Sums], names: Sequence[str]) -> "Figure":
    """Every variant's three measures with 95 % intervals; `names` are "SECTION: VARIANT"."""
    figure, axes = _subplots(1, len(MEASURES), 11, 0.3 * len(names) + 0.8)
    markers = dict(zip(dict.fromkeys(name.split(": ")[0] for name in names), "os^D", strict=False))
    for axis, (metric, (heading, factor, _)) in zip(axes[0], MEASURES.items(), strict=True):
        for y, name in enumerate(names):
            value, low, high = factor * evaluation.score(results[name]).loc[metric].to_numpy()
            axis.plot([low, high], [y, y], color=PALE, linewidth=4)
            axis.plot(value, y, markers[name.split(": ")[0]], color=INK)
        axis.set(title=heading, yticks=range(len(names)), ylim=(len(names) - 0.5, -0.5))
        axis.set_yticklabels(names if axis is axes[0, 0] else [])
        axis.grid(axis="x", alpha=0.3)
    return figure
