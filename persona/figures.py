"""The book's plots. Each returns a matplotlib figure and is readable without colour."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from persona import evaluation
from persona.corpora import EMOTIONS
from persona.evaluation import Sums
from persona.folds import PROTOCOLS
from persona.predictions import Configuration
from persona.tables import CONSTANT, MEASURES, NAMES_SHOWN, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, ACCENT, PALE = "#30343f", "#c8553d", "#8fb8c4"
MARKERS = "os^Dvp"


def _subplots(rows: int, columns: int, width: float, height: float) -> tuple["Figure", np.ndarray]:
    import matplotlib.pyplot as plt
    import seaborn

    seaborn.set_theme(style="ticks", context="notebook", font_scale=0.85)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    plt.close(figure)  # else a notebook shows it a second time, of its own accord
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def speakers(clips: pd.DataFrame) -> "Figure":
    """Ages of the speakers, women above the axis and men below."""
    figure, axes = _subplots(1, 1, 7, 3)
    axis = axes[0, 0]
    people = clips.drop_duplicates("speaker")
    bins = np.arange(20, 80, 5)
    for gender, sign, colour, hatch in (("female", 1, ACCENT, ""), ("male", -1, PALE, "//")):
        ages = people.loc[people["gender"] == gender, "age"]
        counts = np.histogram(ages, bins)[0]
        axis.bar(bins[:-1], sign * counts, 4.6, align="edge", color=colour, hatch=hatch,
                 edgecolor="white", label=f"{gender}, {len(ages)} speakers")  # fmt: skip
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    axis.set(xlabel="age, years", ylabel="speakers")
    axis.legend(frameon=False)
    return figure


def confusion(
    counts: np.ndarray, labels: Sequence[str], *, said: str = "predicted", title: str = ""
) -> "Figure":
    """A confusion matrix, shape (C, C), rows the label, in per cent of each row."""
    import seaborn

    figure, axes = _subplots(1, 1, 5.2, 4.2)
    share = 100 * counts / counts.sum(axis=1, keepdims=True)
    seaborn.heatmap(
        share, annot=True, fmt=".0f", cmap="Blues", cbar=False, square=True, vmin=0, vmax=100,
        xticklabels=labels, yticklabels=EMOTIONS, ax=axes[0, 0],
    )  # fmt: skip
    axes[0, 0].set(xlabel=said, ylabel="acted", title=title)
    axes[0, 0].tick_params(rotation=0)
    return figure


def maps(points: Mapping[str, np.ndarray], clips: pd.DataFrame) -> "Figure":
    """2-D maps, one row per representation, marked by emotion, gender, age and speaker.

    points : representation to an array of shape (len(clips), 2).
    """
    columns = ("emotion", "gender", "age", "speaker")
    figure, axes = _subplots(len(points), len(columns), 11, 2.8 * len(points))
    for (name, where), row in zip(points.items(), axes, strict=True):
        for column, axis in zip(columns, row, strict=True):
            _scatter(axis, where, clips[column])
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row is axes[0]:
                axis.set_title(column)
        row[0].set_ylabel(NAMES_SHOWN.get(name, name))
    return figure


def _scatter(axis: "Axes", where: np.ndarray, labels: pd.Series) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.markers import MarkerStyle

    x, y = where.T
    if labels.name == "age":
        dots = axis.scatter(x, y, c=labels, s=6, cmap="cividis", linewidths=0)
        axis.figure.colorbar(dots, ax=axis, label="years", shrink=0.8)
        return
    values = sorted(labels.unique())
    colours = plt.get_cmap("turbo")(np.linspace(0.05, 0.95, len(values)))
    for i, value in enumerate(values):
        chosen = (labels == value).to_numpy()
        axis.scatter(x[chosen], y[chosen], s=8, color=colours[i], linewidths=0, alpha=0.8,
                     marker=MarkerStyle(MARKERS[i % len(MARKERS)]), label=str(value))  # fmt: skip
    if len(values) <= len(MARKERS):
        axis.legend(fontsize=6, markerscale=1.4, frameon=False, handletextpad=0, loc="best")


def shares(table: pd.DataFrame) -> "Figure":
    """Share of variance that each factor accounts for: index representation, columns factors."""
    figure, axes = _subplots(1, 1, 7, 3)
    axis = axes[0, 0]
    shown = table.rename(index=NAMES_SHOWN)
    shown.plot.bar(ax=axis, rot=0, width=0.8, color=["#30343f", "#8fb8c4", "#c8553d", "#e8c07d"])
    for bars, hatch in zip(axis.containers, ("", "//", "..", "xx"), strict=False):
        for bar in bars:  # type: ignore[attr-defined]
            bar.set(hatch=hatch, edgecolor="white")
    axis.set(ylabel="% of the variance", xlabel="")
    axis.legend(frameon=False, ncols=4)
    return figure


def learning_curves(history: pd.DataFrame, title: str) -> "Figure":
    """Mean training and validation loss of each task per epoch, with the range over networks."""
    figure, axes = _subplots(1, 3, 10, 2.8)
    for axis, (task, rows) in zip(axes[0], history.groupby("task", sort=False), strict=True):
        for part, style in (("training", "--"), ("validation", "-")):
            by_epoch = rows[rows["part"] == part].groupby("epoch")["loss"]
            mean = by_epoch.mean()
            axis.plot(
                mean.index, mean, style, color=ACCENT if part == "validation" else INK, label=part
            )
            axis.fill_between(mean.index, by_epoch.min(), by_epoch.max(), alpha=0.12, color=INK)
        axis.set(title=task, xlabel="epoch", ylabel="loss", ylim=(0, None))
    axes[0, 0].legend(frameon=False)
    figure.suptitle(title)
    return figure


def age_scatter(predictions: Mapping[str, pd.DataFrame], clips: pd.DataFrame) -> "Figure":
    """Each speaker's age against the ages said of their clips (mean and 10-90 % range)."""
    figure, axes = _subplots(1, len(predictions), 4 * len(predictions), 3.8)
    for axis, (title, rows) in zip(axes[0], predictions.items(), strict=True):
        merged = rows.merge(clips[["clip", "speaker", "age"]], on="clip", suffixes=("_said", ""))
        people = merged.groupby("speaker").agg(
            age=("age", "first"),
            mean=("age_said", "mean"),
            low=("age_said", lambda said: said.quantile(0.1)),
            high=("age_said", lambda said: said.quantile(0.9)),
        )  # fmt: skip
        axis.vlines(people["age"], people["low"], people["high"], color=PALE, linewidth=1.5)
        axis.plot(people["age"], people["mean"], "o", color=INK, markersize=3.5)
        axis.plot([18, 78], [18, 78], ":", color=ACCENT)
        axis.set(title=title, xlabel="age, years", ylabel="age said, years", xlim=(16, 80),
                 ylim=(16, 80))  # fmt: skip
    return figure


def protocols(results: Mapping[str, Sums], architectures: Sequence[str], recipe: str) -> "Figure":
    """The headline: every network on random clips and on unseen speakers, beside the paper's."""
    figure, axes = _subplots(1, 3, 11, 0.42 * 5 * len(architectures) + 1.2)
    published = paper().set_index(["representation", "architecture"])
    pairs = [(r, a) for r in NAMES_SHOWN if r in _names(results) for a in architectures]
    pairs += [("xvector", a) for a in architectures if "xvector" not in _names(results)]
    labels = [f"{NAMES_SHOWN[r]} {NAMES_SHOWN[a]}" for r, a in pairs]
    for axis, (metric, (heading, factor, _)) in zip(axes[0], MEASURES.items(), strict=True):
        for y, (representation, architecture) in enumerate(pairs):
            quoted = published[metric].get((representation, architecture))
            if quoted is not None:
                axis.plot(quoted * factor, y, "D", color=INK, fillstyle="none", label="paper")
            ends = []
            for protocol, marker, colour in zip(PROTOCOLS, "os", (PALE, ACCENT), strict=True):
                key = str(Configuration(representation, architecture, protocol, recipe))
                if key not in results:
                    continue
                value, low, high = factor * evaluation.score(results[key]).loc[metric].to_numpy()
                axis.plot([low, high], [y, y], color=colour, linewidth=5, alpha=0.35)
                axis.plot(value, y, marker, color=colour, label=f"ours, {NAMES_SHOWN[protocol]}")
                ends.append(value)
            if len(ends) == 2:
                axis.plot(ends, [y, y], "-", color=INK, linewidth=0.8, zorder=0)
        ignoring = evaluation.score(results[f"{CONSTANT} speaker-disjoint"])["value"][metric]
        axis.axvline(ignoring * factor, color=INK, linestyle=":", label="ignores the voice")
        axis.set(title=heading, yticks=range(len(pairs)), ylim=(len(pairs) - 0.5, -0.5))
        axis.set_yticklabels(labels if axis is axes[0, 0] else [])
        axis.grid(axis="x", alpha=0.3)
    handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    return figure


def _names(results: Mapping[str, Sums]) -> set[str]:
    return {key.split()[0] for key in results}
