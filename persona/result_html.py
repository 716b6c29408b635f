"""A prediction as HTML with inline SVG: sharp at any size, in the colours of the page's theme."""

from collections.abc import Sequence
from html import escape

import numpy as np

from persona import audio
from persona.corpora import EMOTIONS, GENDERS
from persona.predictor import Prediction

NOT_FOR = (
    "It was trained on acted speech. Do not use it to decide about people, to tell what someone "
    "feels, or to check who or how old someone is."
)
OLDEST = 100
"""End of the scale that ages are drawn on, in years."""


def envelope(source: audio.Source, points: int = 400) -> np.ndarray:
    """Lowest and highest sample in each of about `points` parts of a recording, shape (n, 2)."""
    with audio.Reader(source) as reader:
        length = max(reader.seconds / points, 1 / 1000)
        return np.array([(block.min(), block.max()) for block in reader.blocks(length)])


def result(name: str, heard: Prediction, waveform: np.ndarray) -> str:
    """One `<section>` for one recording; `name` is shown, never interpreted."""
    emotion, gender = _highest(heard.emotion), _highest(heard.gender)
    years = f"{heard.age:.0f} years"
    notes = "".join(f"<p class='persona-faint'>{escape(note)}</p>" for note in heard.notes)
    parts = [
        f"<h3>{escape(name)}</h3>",
        f"<p class='persona-faint'>{_duration(heard.seconds)}</p>{notes}",
        "<dl class='persona-answers' role='status'>",
        f"<div><dt>Emotion</dt><dd class='persona-emotion'>{emotion}</dd></div>",
        f"<div><dt>Gender</dt><dd class='persona-gender'>{gender}</dd></div>",
        f"<div><dt>Age</dt><dd class='persona-age'>{years}</dd></div></dl>",
        _waveform(waveform),
        _time_axis(heard.seconds, margin=False),
        "<h4>Emotion</h4>" + _bars("Emotion", heard.emotion),
        "<h4>Gender</h4>" + _bars("Gender", heard.gender),
        _age(heard),
    ]
    if len(heard.timeline.starts) > 1:
        parts.append(_timeline(heard))
    return f"<section aria-label='{escape(name)}'>{''.join(parts)}</section>"


def error(sentence: str) -> str:
    """One sentence on what went wrong, announced by screen readers."""
    return f"<p class='persona-error' role='alert'>{escape(sentence)}</p>"


def progress(sentence: str, share: float) -> str:
    """A progress bar, `share` from 0 to 1, under a sentence."""
    return (
        f"<p role='status'>{escape(sentence)}</p>"
        f"<progress max='1' value='{share:.3f}' aria-label='Progress'></progress>"
    )


def about(limits: Sequence[str], refused: Sequence[str]) -> str:
    """What the model's card says it cannot do and is not for, folded."""
    lists = [
        f"<h4>{title}</h4><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
        for title, lines in (("Limits", limits), ("Not for", refused))
    ]
    return (
        f"<details><summary>What this model can and cannot do</summary>{''.join(lists)}</details>"
    )


def _highest(shares: dict[str, float]) -> str:
    name, share = max(shares.items(), key=lambda item: item[1])
    return f"{name} {share:.0%}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _bars(what: str, shares: dict[str, float]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        f"<td><div class='persona-bar'><span style='width:{share:.1%}'></span></div></td>"
        f"<td class='persona-share'>{share:.0%}</td></tr>"
        for name, share in shares.items()
    )
    return f"<table class='persona-bars' aria-label='{what}, probabilities'>{rows}</table>"


def _age(heard: Prediction) -> str:
    low, high = heard.age_low, heard.age_high
    words = f"{heard.age:.0f} years, {low:.0f} to {high:.0f}"
    scale = "".join(f"<span>{year}</span>" for year in range(0, OLDEST + 1, 20))
    return (
        "<h4>Age</h4>"
        f"<svg viewBox='0 0 {OLDEST} 10' height='26' preserveAspectRatio='none' role='img' "
        f"aria-label='Age {words}'>"
        f"<rect x='0' y='4' width='{OLDEST}' height='2' fill='var(--track)'/>"
        f"<rect x='{low:.2f}' y='2' width='{min(high, OLDEST) - low:.2f}' height='6' "
        "fill='var(--accent)' opacity='0.35'/>"
        f"<rect x='{min(heard.age, OLDEST) - 0.3:.2f}' y='0' width='0.6' height='10' "
        "fill='var(--accent)'/></svg>"
        f"<div class='persona-scale' aria-hidden='true'>{scale}</div>"
        f"<p class='persona-interval'>{heard.age:.0f} years; 8 of 10 actors' ages lie within an "
        f"interval made like this one, {low:.0f} to {high:.0f}.</p>"
    )


def _waveform(ends: np.ndarray) -> str:
    """`ends`: lowest and highest sample per part; drawn at the height of the loudest."""
    loudest = max(float(np.abs(ends).max()), 1e-6)
    heights = np.clip(ends / loudest, -1, 1)
    upper = [f"{i},{-high:.3f}" for i, (_, high) in enumerate(heights)]
    lower = [f"{i},{-low:.3f}" for i, (low, _) in enumerate(heights)]
    return (
        f"<svg viewBox='0 -1 {max(1, len(ends) - 1)} 2' height='72' preserveAspectRatio='none' "
        "role='img' aria-label='Waveform'>"
        f"<polygon points='{' '.join(upper + lower[::-1])}' fill='var(--accent)'/></svg>"
    )


def _timeline(heard: Prediction) -> str:
    """A row for each emotion, for gender and for age; windows are drawn where they begin."""
    line, seconds = heard.timeline, heard.seconds
    starts, loud = line.starts, ~line.silent
    ends = np.append(starts[1:], seconds)
    spans = list(zip(starts, ends, strict=True))
    rows = [
        _row(name, _shades(spans, line.emotion[:, i], seconds), _peak(name, line.emotion[loud, i]))
        for i, name in enumerate(EMOTIONS)
    ]
    female = line.gender[:, GENDERS.index("female")]
    rows.append(_row("female", _shades(spans, female, seconds), _peak("female", female[loud])))
    young, old = line.age[loud].min(), line.age[loud].max()
    ages = f"age over time, {young:.0f} to {old:.0f} years"
    rows.append(_row(f"age {young:.0f}-{old:.0f}", _steps(spans, line.age, seconds), ages))
    return (
        "<h4>Over time</h4><p class='persona-faint'>The stronger the colour, the more "
        "probable; empty where it is silent. Age is drawn from its lowest to its highest value.</p>"
        f"<table class='persona-bars' aria-label='Over time'>{''.join(rows)}</table>"
        + _time_axis(seconds, margin=True)
    )


def _row(name: str, drawn: str, words: str) -> str:
    return (
        f"<tr><th scope='row'>{name}</th><td class='persona-time'>"
        "<svg viewBox='0 0 1000 10' height='16' preserveAspectRatio='none' role='img' "
        f"aria-label='{words}'><rect width='1000' height='10' fill='var(--track)'/>"
        f"{drawn}</svg></td></tr>"
    )


def _peak(name: str, values: np.ndarray) -> str:
    return f"{name} over time, at most {values.max():.0%}"


def _shades(spans: list[tuple[float, float]], values: np.ndarray, seconds: float) -> str:
    return "".join(
        f"<rect x='{1000 * start / seconds:.1f}' width='{1000 * (end - start) / seconds:.1f}' "
        f"height='10' fill='var(--accent)' opacity='{value:.2f}'/>"
        for (start, end), value in zip(spans, values, strict=True)
        if not np.isnan(value)
    )


def _steps(spans: list[tuple[float, float]], ages: np.ndarray, seconds: float) -> str:
    low, high = np.nanmin(ages), np.nanmax(ages)
    heights = 8 * (1 - (ages - low) / max(high - low, 1e-6))
    return "".join(
        f"<rect x='{1000 * start / seconds:.1f}' width='{1000 * (end - start) / seconds:.1f}' "
        f"y='{height:.1f}' height='2' fill='var(--ink)'/>"
        for (start, end), height in zip(spans, heights, strict=True)
        if not np.isnan(height)
    )


def _time_axis(seconds: float, margin: bool) -> str:
    own = " persona-time-axis" if margin else ""
    middle = _duration(seconds / 2)
    return (
        f"<div class='persona-scale{own}' aria-hidden='true'><span>0 s</span>"
        f"<span>{middle}</span><span>{_duration(seconds)}</span></div>"
    )
