"""The book's plots of clips and embeddings; each returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from persona.audio import RATE
from persona.labels import GENDERS
from persona.own.style import GREY, HATCHES, INK, SERIES, legend, look, subplots
from persona.study import descriptions
from persona.study.terms import listed, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from persona.network import Network
    from persona.own.described import Described

_COLUMNS = ("emotion", "gender", "age", "speaker")
_LAYERS = {
    "Linear": "fully connected",
    "Conv1d": "convolution",
    "Halving": "max-pooling",
    "ReLU": "ReLU",
}


def speakers(clips: pd.DataFrame) -> "Described":
    """Ages of the speakers, women above the axis and men below."""
    figure, axes = subplots(1, 1, 7.5, 3.6)
    axis = axes[0, 0]
    people = clips.drop_duplicates("speaker")
    bins = np.arange(5 * (people["age"].min() // 5), people["age"].max() + 6, 5)
    for number, (gender, sign) in enumerate(zip(GENDERS, (1, -1), strict=True)):
        ages = people.loc[people["gender"] == gender, "age"]
        counts = np.histogram(ages, bins)[0]
        axis.bar(bins[:-1], sign * counts, 4.6, align="edge", color=look(gender).colour,
                 hatch=HATCHES[number], edgecolor="white",
                 label=f"{gender}, {len(ages)} speakers")  # fmt: skip
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.yaxis.set_major_formatter(lambda number, _: f"{abs(number):.0f}")
    axis.set(xlabel="age, years", ylabel="speakers")
    legend(figure, [axis])
    every, sexes = people["age"], people["gender"].value_counts()
    figure.finding = (
        listed([f"{n} {gender} speakers" for gender, n in sexes.items()])
        + f" of {every.min()} to {every.max()} years, half of them up to {every.median():.0f}."
    )
    return figure


def waveform(samples: np.ndarray, segments: np.ndarray | None = None) -> "Described":
    """Amplitude over time: float samples at 16 kHz, shape (n,).

    segments : start and end in seconds of what is shaded as speech, shape (k, 2).
    """
    figure, axes = subplots(1, 1, 9, 2.4)
    axis = axes[0, 0]
    axis.plot(np.arange(len(samples)) / RATE, samples, color=INK, linewidth=0.5)
    spoken = segments if segments is not None else np.empty((0, 2))
    for start, end in spoken:
        axis.axvspan(start, end, color=look("validation").colour, alpha=0.15, label="speech")
    axis.set(xlabel="time, s", ylabel="amplitude", xlim=(0, len(samples) / RATE))
    legend(figure, [axis])
    spans = [f"{start:.2f} to {end:.2f} s" for start, end in spoken]
    figure.finding = (
        f"{len(samples) / RATE:.2f} s, loudest at {abs(samples).argmax() / RATE:.2f} s; "
        f"speech: {listed(spans) or 'not marked'}."
    )
    return figure


def spectrogram(power: np.ndarray, hop: int = 160, floor: float = 80.0) -> "Described":
    """Power over time and frequency, in decibels below its largest value.

    power : shape (frequencies, frames), from 0 Hz to half of 16 kHz. hop : samples between frames.
    floor : decibels below which all is white.
    """
    decibels = 10 * np.log10(np.maximum(power, 1e-20) / power.max())
    figure, axes = subplots(1, 1, 9, 3.2)
    image = axes[0, 0].imshow(
        np.maximum(decibels, -floor), aspect="auto", origin="lower", cmap="Greys",
        extent=(0, power.shape[1] * hop / RATE, 0, RATE / 2000),
    )  # fmt: skip
    axes[0, 0].set(xlabel="time, s", ylabel="frequency, kHz")
    figure.colorbar(image, ax=axes[0, 0], label="dB")
    below = np.searchsorted(np.cumsum(power.sum(axis=1)) / power.sum(), 0.9) / (len(power) - 1)
    figure.finding = f"90 % of the power is below {below * RATE / 2000:.1f} kHz."
    return figure


def takes(clips: Mapping[str, Mapping[str, np.ndarray]], hop: int = 160) -> "Described":
    """Clips side by side: spectrogram, pitch and loudness over time, a column for each title.

    clips : by title, `power` of shape (frequencies, frames), `pitch` in Hz (NaN: no voice) and
        `loudness` in decibels, shape (frames,). hop : samples between frames. Axes are shared, so
        that what is higher, louder or longer looks so.
    """
    figure, axes = subplots(3, len(clips), 1.9 * len(clips) + 0.4, 5.4)
    longest = max(len(one["loudness"]) for one in clips.values()) * hop / RATE
    loudest = max(one["power"].max() for one in clips.values())
    for column, (title, one) in zip(axes.T, clips.items(), strict=True):
        frames = one["power"].shape[1]
        decibels = 10 * np.log10(np.maximum(one["power"], 1e-20) / loudest)
        column[0].imshow(
            decibels, aspect="auto", origin="lower", cmap="Greys", vmin=-80, vmax=0,
            extent=(0, frames * hop / RATE, 0, RATE / 2000),
        )  # fmt: skip
        column[0].set_title(title)
        for axis, name, colour in zip(column[1:], ("pitch", "loudness"), SERIES, strict=False):
            axis.plot(np.arange(len(one[name])) * hop / RATE, one[name], color=colour)
        column[2].set_xlabel("time, s")
    words = ("frequency, kHz", "pitch, Hz", "loudness, dB")
    for row, label in zip(axes, words, strict=True):
        low, high = (f(axis.get_ylim()[end] for axis in row) for f, end in ((min, 0), (max, 1)))
        for axis in row:
            axis.set(xlim=(0, longest), ylim=(low, high))
            if axis is not row[0]:
                axis.set_yticklabels([])
        row[0].set_ylabel(label)
    medians = {
        what: "; ".join(f"{title} {np.nanmedian(one[what]):.0f}" for title, one in clips.items())
        for what in ("pitch", "loudness")
    }
    figure.finding = f"Median pitch, Hz: {medians['pitch']}. Loudness, dB: {medians['loudness']}."
    return figure


def chain(steps: Sequence[tuple[str, str]]) -> "Described":
    """Steps from left to right, each a box of a name and what happens there."""
    figure, axes = subplots(1, 1, 11, 1.0)
    axis = axes[0, 0]
    for x, (name, does) in enumerate(steps):
        if x:
            _arrow(axis, (x - 1, 0), (x, 0))
        _box(axis, x, 0, f"{name}\n{does}")
    axis.set(xlim=(-0.5, len(steps) - 0.5), ylim=(-0.5, 0.5))
    axis.set_axis_off()
    figure.finding = f"From left to right: {'; '.join(': '.join(step) for step in steps)}."
    return figure


def frames(
    matrices: Mapping[str, np.ndarray], hop: int = 160, label: str = "coefficient"
) -> "Described":
    """Matrices of shape (numbers, frames) over time, one above the other.

    matrices : by title. label : what the numbers of a frame are.
    """
    figure, axes = subplots(len(matrices), 1, 9, 2.5 * len(matrices))
    for axis, (title, matrix) in zip(axes[:, 0], matrices.items(), strict=True):
        image = axis.imshow(
            matrix, aspect="auto", origin="lower", cmap="cividis", interpolation="nearest",
            extent=(0, matrix.shape[1] * hop / RATE, 0, len(matrix)),
        )  # fmt: skip
        axis.set(title=title, ylabel=label)
        figure.colorbar(image, ax=axis)
    axes[-1, 0].set_xlabel("time, s")
    figure.finding = " ".join(
        f"{title}: {matrix.shape[0]} numbers in each of {matrix.shape[1]} frames, "
        f"from {matrix.min():.1f} to {matrix.max():.1f}."
        for title, matrix in matrices.items()
    )
    return figure


def maps(points: Mapping[str, np.ndarray], clips: pd.DataFrame) -> "Described":
    """2-D maps, a row per representation, marked by emotion, gender, age and speaker.

    points : representation to an array of shape (len(clips), 2).
    """
    figure, axes = subplots(len(points), len(_COLUMNS), 11, 2.7 * len(points) + 0.8)
    figure.set_dpi(110)  # thousands of markers: at full density they alone would weigh a megabyte
    for row, (name, where) in zip(axes, points.items(), strict=True):
        for axis, column in zip(row, _COLUMNS, strict=True):
            _scatter(axis, where, clips[column])
            axis.set(xticks=[], yticks=[], title=column)
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(shown(name))
        ages = row[_COLUMNS.index("age")]
        figure.colorbar(ages.collections[0], ax=ages, label="years", shrink=0.8)
    for number, axis in enumerate(axes.flat):
        if number >= len(_COLUMNS):
            axis.set_title("")
    legend(figure, list(axes[0, :2]), columns=8, scale=2.5)
    named = {shown(name): where for name, where in points.items()}
    figure.finding = descriptions.neighbours(named, clips)
    return figure


def _scatter(axis: "Axes", where: np.ndarray, labels: pd.Series) -> None:
    """Points coloured by number, or with a marker and colour for every class."""
    x, y = where.T
    if labels.name == "age":
        axis.scatter(x, y, c=labels, s=12, cmap="cividis", linewidths=0)
        return
    classes = sorted(labels.unique())
    for number, one in enumerate(classes):
        chosen = (labels == one).to_numpy()
        marker, colour = look(str(one), number)
        if labels.name == "speaker":  # more than there are colours: the number tells them apart
            marker, colour = f"${number + 1}$", look("", number).colour
            axis.scatter(x[chosen], y[chosen], s=14, color=colour, marker=marker, linewidths=0)
            continue
        axis.scatter(x[chosen], y[chosen], s=14, color=colour, marker=marker, alpha=0.8,
                     linewidths=0, label=str(one))  # fmt: skip


def embedding(vector: np.ndarray, parts: Mapping[str, int] | None = None) -> "Described":
    """The numbers of one vector, shape (d,), as bars; the axis is logarithmic beyond 1.

    parts : names of stretches of the vector and how many numbers each has.
    """
    figure, axes = subplots(1, 1, 9, 2.4)
    axis, start = axes[0, 0], 0
    for number, (name, size) in enumerate((parts or {"": len(vector)}).items()):
        places = np.arange(start, start + size)
        colour = look("", number).colour if name else GREY
        axis.bar(places, vector[places], 1, color=colour, label=name or None)
        start += size
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set_yscale("symlog", linthresh=1)
    axis.set(xlabel="dimension", ylabel="value", xlim=(-0.5, len(vector) - 0.5))
    legend(figure, [axis])
    low, high = vector.argmin(), vector.argmax()
    figure.finding = (
        f"{len(vector)} numbers, from {vector[low]:.1f} (dimension {low}) to {vector[high]:.1f} "
        f"(dimension {high})."
    )
    return figure


def network(model: "Network") -> "Described":
    """The layers of a network from its input to its three heads, drawn from the model itself.

    A box is a layer with weights and what follows it without any; behind it, the shape of what it
    puts out for one clip. Dropout is left out.
    """
    size = len(model.input.mean)
    steps = [("embedding, standardised", str(size)), *_steps(model, size)]
    figure, axes = subplots(1, 1, 5.4, 0.62 * (len(steps) + 1) + 0.4)
    axis = axes[0, 0]
    for y, (name, shape) in enumerate(steps):
        _box(axis, 0, y, f"{name}: {shape}")
        if y:
            _arrow(axis, (0, y - 1), (0, y))
    heads = {"emotion": model.emotion, "gender": model.gender, "age": model.age.linear}
    for x, (task, head) in zip((-0.8, 0, 0.8), heads.items(), strict=True):
        _arrow(axis, (0, len(steps) - 1), (x, len(steps)))
        _box(axis, x, len(steps), f"{task}: {head.out_features}")
    axis.set(xlim=(-1.2, 1.2), ylim=(len(steps) + 0.5, -0.5))
    axis.set_axis_off()
    figure.finding = (
        f"From above: {'; '.join(f'{name}, {shape}' for name, shape in steps)}; heads: "
        f"{listed([f'{task}, {head.out_features}' for task, head in heads.items()])}."
    )
    return figure


def _steps(model: "Network", dimension: int) -> list[tuple[str, str]]:
    """Layers of the trunk with weights, by name, and the shape of their output."""
    import torch

    found: list[tuple[list[str], str]] = []
    x = torch.zeros(1, dimension)
    for layer in model.trunk:
        x, kind = layer(x), type(layer).__name__
        shape = " x ".join(map(str, x.shape[1:]))
        if any(True for _ in layer.parameters()):
            found.append(([_LAYERS[kind]], shape))
        elif found and kind in _LAYERS:
            found[-1] = ([*found[-1][0], _LAYERS[kind]], shape)
    return [(", ".join(names), shape) for names, shape in found]


def _box(axis: "Axes", x: float, y: float, text: str) -> None:
    frame = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": INK}
    axis.text(x, y, text, ha="center", va="center", fontsize=10, bbox=frame)


def _arrow(axis: "Axes", start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-", "color": GREY}, zorder=0)
