"""A figure that says what it shows to those who cannot see it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D


class Described(Figure):
    """A figure whose title and `finding`, some sentences, are its picture's alternative text.

    Without a finding the text is read from the lines and bars that are drawn.
    """

    finding = ""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """The picture, and in its metadata the text, where nbconvert looks for it, too."""
        from IPython.core.pylabtools import print_figure

        said = self.finding or " ".join(map(_drawn, self.axes)).strip()
        title = self.get_suptitle()
        alt = f"{title}. {said}" if title else said
        shown = {"text/plain": repr(self), "image/png": print_figure(self, "png", base64=True)}
        return shown, {"image/png": {"alt": alt}} if alt else {}


def _drawn(axis: Axes) -> str:
    """Where each line of an axis begins, ends and has its extremes, and how long its bars are."""
    series = [f"{label} {values}".strip() for label, values in _series(axis)]
    named = ", ".join(name for name in (axis.get_title("left"), axis.get_ylabel()) if name)
    over = f" over {axis.get_xlabel()}" if axis.get_xlabel() else ""
    heading = f"{named}{over}: " if named or over else ""
    return f"{heading}{'; '.join(series)}." if series else ""


def _series(axis: Axes) -> Iterator[tuple[str, str]]:
    """Label and values of what has a label, else of the lines."""
    handles, labels = axis.get_legend_handles_labels()
    unnamed = [(line, "") for line in axis.get_lines()] if not handles else []
    for handle, label in [*zip(handles, labels, strict=True), *unnamed]:
        if isinstance(handle, BarContainer):
            of = axis.yaxis if handle.orientation == "horizontal" else axis.xaxis
            each = zip(of.get_ticklabels(), np.asarray(handle.datavalues), strict=False)
            yield label, ", ".join(f"{tick.get_text()} {value:.3g}" for tick, value in each)
        elif isinstance(handle, ErrorbarContainer) and handle.lines[0]:
            yield label, _course(handle.lines[0])
        elif isinstance(handle, Line2D):
            yield label, _course(handle)


def _course(line: Line2D) -> str:
    values = np.ma.masked_invalid(np.asarray(line.get_ydata(), float)).compressed()
    if not len(values):
        return "nothing"
    first, last, low, high = values[0], values[-1], values.min(), values.max()
    if low == high:
        return f"{low:.3g}"
    least = f", least {low:.3g}" if low < min(first, last) else ""
    most = f", most {high:.3g}" if high > max(first, last) else ""
    return f"{first:.3g} at first, {last:.3g} at the end{least}{most}"
