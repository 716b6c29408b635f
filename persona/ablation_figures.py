"""Plots of the chapters on speakers, joint learning, the loss and the trunk."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from persona import evaluation
from persona.evaluation import Sums
from persona.figures import ACCENT, INK, MARKERS, PALE, _subplots
from persona.folds import PROTOCOLS
from persona.tables import MEASURES, NAMES_SHOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def protocols(counts: Mapping[str, Sums], rows: list[str], baseline: Sums) -> "Figure":
    """What each row gets on random clips (square) and on unseen speakers (circle).

    counts : keys "ROW, PROTOCOL"; a row without one of the two has one marker. baseline : the
        predictor that ignores the voice, drawn as a dotted line.
    """
    figure, axes = _subplots(1, len(MEASURES), 11, 0.32 * len(rows) + 1.1)
    everyone = evaluation.score(baseline)["value"]
    for axis, (metric, (heading, factor, _)) in zip(axes[0], MEASURES.items(), strict=True):
        for y, row in enumerate(rows):
            ends = []
            for protocol, marker, colour in zip(PROTOCOLS, "so", (ACCENT, INK), strict=True):
                if f"{row}, {protocol}" not in counts:
                    continue
                scores = factor * evaluation.score(counts[f"{row}, {protocol}"]).loc[metric]
                axis.plot(scores[["low", "high"]], [y, y], color=colour, alpha=0.35, linewidth=4)
                label = NAMES_SHOWN[protocol] if y == 0 else None
                axis.plot(scores["value"], y, marker, color=colour, label=label)
                ends.append(scores["value"])
            axis.plot(ends, [y] * len(ends), color=INK, linewidth=0.7)
        axis.axvline(factor * everyone[metric], color=INK, linestyle=":")
        axis.set(title=heading, yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5))
        axis.set_yticklabels(rows if axis is axes[0, 0] else [])
        axis.grid(axis="x", alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def learning_curves(counts: Mapping[str, Sums], baseline: Sums) -> "Figure":
    """Measures over the number of training clips, a line per number of training speakers.

    counts : keys "SPEAKERS x CLIPS OF EACH". The dotted line ignores the voice.
    """
    figure, axes = _subplots(1, len(MEASURES), 11, 3.4)
    cells = sorted(tuple(map(int, name.split(" x "))) for name in counts)
    speakers = sorted({cell[0] for cell in cells})
    for axis, (metric, (heading, factor, _)) in zip(axes[0], MEASURES.items(), strict=True):
        for number, marker, shade in zip(speakers, MARKERS, _shades(len(speakers)), strict=False):
            each = [clips for people, clips in cells if people == number]
            scores = [
                factor * evaluation.score(counts[f"{number} x {clips}"])["value"][metric]
                for clips in each
            ]
            total = number * np.array(each)
            axis.plot(total, scores, f"{marker}-", color=shade, label=f"{number} speakers")
            axis.annotate(f" {number}", (total[-1], scores[-1]), va="center", color=INK)
        baseline_value = factor * evaluation.score(baseline)["value"][metric]
        axis.axhline(baseline_value, color=INK, linestyle=":")
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(lambda clips, _: f"{clips:.0f}")
        axis.set(title=heading, xlabel="training clips")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(speakers), frameon=False)
    return figure


def _shades(number: int) -> list[tuple[float, ...]]:
    import seaborn

    return seaborn.blend_palette([PALE, INK], number)


def differences(table: pd.DataFrame) -> "Figure":
    """Planned comparisons (`_scores.planned`) with their intervals, a panel per measure.

    A filled marker is told from chance after Holm's correction, an open one is not.
    """
    labels = [", ".join(label[:-1]) for label in table.index]
    places = {label: y for y, label in enumerate(dict.fromkeys(labels))}
    figure, axes = _subplots(1, len(MEASURES), 11, 0.32 * len(places) + 0.9)
    measure = table.index.get_level_values(-1)
    for axis, (heading, _, _) in zip(axes[0], MEASURES.values(), strict=True):
        shown = table.assign(y=[places[label] for label in labels])[measure == heading]
        for _, row in shown.iterrows():
            fill = "full" if row["p_holm"] < 0.05 else "none"
            axis.plot(row[["low", "high"]], [row["y"]] * 2, color=PALE, linewidth=4)
            axis.plot(row["difference"], row["y"], "o", color=INK, fillstyle=fill)
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set(title=f"difference in {heading}", yticks=range(len(places)))
        axis.set_ylim(len(places) - 0.5, -0.5)
        axis.set_yticklabels(list(places) if axis is axes[0, 0] else [])
        axis.grid(axis="x", alpha=0.3)
    return figure
