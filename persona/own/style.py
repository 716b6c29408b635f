"""The one look of all figures: colours, markers, legend. Readable without colour, light and dark.

A protocol, a task and a part of the data have one marker and one colour wherever they are drawn.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from persona.own.described import Described

INK, BLUE, RED, GREEN, GOLD, GREY = "#30343f", "#2c7fb8", "#c8553d", "#3a7d44", "#b7791f", "#8a8f98"
SERIES = (BLUE, RED, GREEN, GOLD, INK, GREY)
MARKERS = "osD^vP"
HATCHES = ("", "//", "..", "xx", "\\\\", "++")


class Look(NamedTuple):
    """Marker and colour of one series."""

    marker: str
    colour: str


LOOKS = {
    "random-clip": Look("s", BLUE),
    "speaker-disjoint": Look("o", RED),
    "given": Look("^", GREEN),
    "paper": Look("D", INK),
    "training": Look("s", INK),
    "validation": Look("o", RED),
    "female": Look("o", RED),
    "male": Look("s", BLUE),
}


def look(name: str, number: int = 0) -> Look:
    """Marker and colour of a series by its name, else by its number among its like."""
    return LOOKS.get(name) or Look(MARKERS[number % len(MARKERS)], SERIES[number % len(SERIES)])


def subplots(
    rows: int, columns: int, width: float, height: float
) -> tuple["Described", np.ndarray]:
    """A figure and its axes, shape (rows, columns), in the style of the book; sizes in inches."""
    import matplotlib.pyplot as plt
    import seaborn

    from persona.own.described import Described

    seaborn.set_theme(style="ticks", context="notebook", font_scale=0.9)
    plt.rcParams |= {"figure.dpi": 160, "svg.fonttype": "none", "axes.titlelocation": "left"}
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained",
        FigureClass=Described,
    )  # fmt: skip
    assert isinstance(figure, Described)
    plt.close(figure)  # else a notebook shows it a second time, of its own accord
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def legend(figure: "Described", axes: Sequence, columns: int = 4, scale: float = 1) -> None:
    """One legend below the figure, each label once, taken from all of `axes`.

    scale : of the markers against those drawn.
    """
    labelled: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            labelled.setdefault(label, handle)
    if labelled:
        figure.legend(
            list(labelled.values()), list(labelled), loc="outside lower center",
            ncols=columns, frameon=False, markerscale=scale,
        )  # fmt: skip
