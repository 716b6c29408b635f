"""A prediction as HTML with inline SVG: sharp at any size, in the colours of the page's theme."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np

from persona.app.predictor import Prediction
from persona.labels import EMOTIONS, GENDERS

NOT_FOR = (
    "It was trained on acted speech. Do not use it to decide about people, to tell what someone "
    "feels, or to check who or how old someone is."
)
OLDEST = 100
"""End of the scale that ages are drawn on, in years."""

POINTS = 400
"""Of a waveform that is drawn."""

Span = tuple[float, float, float]


def result(name: str, predicted: Prediction, key: str = "") -> str:
    """One `<section>` for one recording; `name` is shown, never interpreted.

    key : names the recording that is played, so that its position can be shown.
    """
    emotion, gender = _highest(predicted.emotion), _highest(predicted.gender)
    notes = "".join(f"<p class='persona-faint'>{escape(note)}</p>" for note in predicted.notes)
    spoken = f"{_duration(predicted.seconds)}, {_duration(predicted.speech_seconds)} of speech"
    parts = [
        f"<h3>{escape(name)}</h3>",
        f"<p class='persona-faint'>{spoken}</p>{notes}",
        "<dl class='persona-answers' role='status'>",
        f"<div><dt>Emotion</dt><dd class='persona-emotion'>{emotion}</dd></div>",
        f"<div><dt>Gender</dt><dd class='persona-gender'>{gender}</dd></div>",
        f"<div><dt>Age</dt><dd class='persona-age'>{predicted.age:.0f} years</dd></div></dl>",
        _quality(predicted),
        "<div class='persona-timed'>" + _waveform(predicted) + "<i class='persona-at'></i></div>",
        _time_axis(predicted.seconds, margin=False),
        "<h4>Emotion</h4>" + _bars("Emotion", predicted.emotion),
        "<h4>Gender</h4>" + _bars("Gender", predicted.gender),
        _age(predicted),
    ]
    if len(predicted.timeline.starts) > 1:
        parts.append(_timeline(predicted))
    shown = escape(name)
    return f"<section aria-label='{shown}' data-audio='{escape(key)}'>{''.join(parts)}</section>"


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


def downloads(csv: str, json: str) -> str:
    """Links that save results, given as text of either form; nothing is fetched."""
    links = [
        f"<a download='persona.{kind}' href='data:{kind_of_text};base64,"
        f"{b64encode(text.encode()).decode()}'>Save as {kind.upper()}</a>"
        for kind, kind_of_text, text in (
            ("csv", "text/csv", csv),
            ("json", "application/json", json),
        )
    ]
    return f"<p class='persona-downloads'>{' '.join(links)}</p>"


def _highest(shares: dict[str, float]) -> str:
    name, share = max(shares.items(), key=lambda item: item[1])
    return f"{name} {share:.0%}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _quality(predicted: Prediction) -> str:
    """What the recording is like, and how far that is to be trusted, in one line."""
    quality = predicted.quality
    words = [
        f"level {quality.level:.0f} dB",
        f"{quality.snr:.0f} dB above the noise",
        f"up to {quality.bandwidth / 1000:.1f} kHz",
        f"farther from the training voices than {quality.distance_percentile:.0f} % of unseen "
        "speakers",
    ]
    if quality.clipped > 0.001:
        words.append(f"{quality.clipped:.1%} clipped")
    if predicted.trust is not None:
        words.insert(0, f"emotion right with a probability of {predicted.trust:.0%}")
    return f"<p class='persona-quality'>Recording: {'; '.join(words)}.</p>"


def _bars(what: str, shares: dict[str, float]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        f"<td><div class='persona-bar'><span style='width:{share:.1%}'></span></div></td>"
        f"<td class='persona-share'>{share:.0%}</td></tr>"
        for name, share in shares.items()
    )
    return f"<table class='persona-bars' aria-label='{what}, probabilities'>{rows}</table>"


def _age(predicted: Prediction) -> str:
    age, low, high = predicted.age, predicted.age_low, predicted.age_high
    scale = "".join(f"<span>{year}</span>" for year in range(0, OLDEST + 1, 20))
    return (
        "<h4>Age</h4>"
        f"<svg viewBox='0 0 {OLDEST} 10' height='26' preserveAspectRatio='none' role='img' "
        f"aria-label='Age {age:.0f} years, {low:.0f} to {high:.0f}'>"
        f"<rect x='0' y='4' width='{OLDEST}' height='2' fill='var(--track)'/>"
        f"<rect x='{low:.2f}' y='2' width='{min(high, OLDEST) - low:.2f}' height='6' "
        "fill='var(--accent)' opacity='0.35'/>"
        f"<rect x='{min(age, OLDEST) - 0.3:.2f}' y='0' width='0.6' height='10' "
        "fill='var(--accent)'/></svg>"
        f"<div class='persona-scale' aria-hidden='true'>{scale}</div>"
        f"<p class='persona-interval'>{age:.0f} years; some 8 of 10 unseen actors' ages lie within "
        f"an interval made like this one, {low:.0f} to {high:.0f}.</p>"
    )


def _waveform(predicted: Prediction) -> str:
    """Lowest and highest sample over time, at the height of the loudest; strong where speech is."""
    points, seconds = predicted.envelope, predicted.seconds
    edges = np.unique(np.linspace(0, len(points), min(POINTS, len(points)) + 1).astype(int))
    low = np.minimum.reduceat(points[:, 0], edges[:-1])
    high = np.maximum.reduceat(points[:, 1], edges[:-1])
    loudest = max(float(np.abs([low, high]).max()), 1e-6)
    at = np.linspace(0, 1000, len(low))
    upper = [f"{x:.1f},{-y / loudest:.3f}" for x, y in zip(at, high, strict=True)]
    lower = [f"{x:.1f},{-y / loudest:.3f}" for x, y in zip(at, low, strict=True)]
    speech = _rectangles([(a, b, 0.18) for a, b in predicted.speech.tolist()], seconds, "-1", "2")
    return (
        "<svg viewBox='0 -1 1000 2' height='72' preserveAspectRatio='none' role='img' "
        f"aria-label='Waveform, shaded where somebody speaks'>{speech}"
        f"<polygon points='{' '.join(upper + lower[::-1])}' fill='var(--accent)'/></svg>"
    )


def _timeline(predicted: Prediction) -> str:
    """A row for each emotion, for gender and for age, coloured where somebody speaks."""
    line, seconds, spans = predicted.timeline, predicted.seconds, predicted.spans()
    rows = [
        _row(name, _shades(spans, line.emotion[:, i], seconds), _peak(name, line.emotion[:, i]))
        for i, name in enumerate(EMOTIONS)
    ]
    female = line.gender[:, GENDERS.index("female")]
    rows.append(_row("female", _shades(spans, female, seconds), _peak("female", female)))
    young, old = line.age.min(), line.age.max()
    ages = f"age over time, {young:.0f} to {old:.0f} years"
    rows.append(_row(f"age {young:.0f}-{old:.0f}", _steps(spans, line.age, seconds), ages))
    return (
        "<h4>Over time</h4><p class='persona-faint'>The stronger the colour, the more "
        "probable; empty where nobody speaks. Age is drawn from its lowest to its highest "
        "value.</p><div class='persona-timed persona-beside'>"
        f"<table class='persona-bars' aria-label='Over time'>{''.join(rows)}</table>"
        "<i class='persona-at'></i></div>" + _time_axis(seconds, margin=True)
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


def _shades(spans: list[tuple[float, float, int]], values: np.ndarray, seconds: float) -> str:
    return _rectangles([(a, b, values[i]) for a, b, i in spans], seconds, "0", "10")


def _rectangles(spans: Sequence[Span], seconds: float, top: str, height: str) -> str:
    return "".join(
        f"<rect x='{1000 * a / seconds:.1f}' y='{top}' width='{1000 * (b - a) / seconds:.1f}' "
        f"height='{height}' fill='var(--accent)' opacity='{opacity:.2f}'/>"
        for a, b, opacity in spans
    )


def _steps(spans: list[tuple[float, float, int]], ages: np.ndarray, seconds: float) -> str:
    low, high = ages.min(), ages.max()
    heights = 8 * (1 - (ages - low) / max(high - low, 1e-6))
    return "".join(
        f"<rect x='{1000 * a / seconds:.1f}' width='{1000 * (b - a) / seconds:.1f}' "
        f"y='{heights[i]:.1f}' height='2' fill='var(--ink)'/>"
        for a, b, i in spans
    )


def _time_axis(seconds: float, margin: bool) -> str:
    own = " persona-time-axis" if margin else ""
    return (
        f"<div class='persona-scale{own}' aria-hidden='true'><span>0 s</span>"
        f"<span>{_duration(seconds / 2)}</span><span>{_duration(seconds)}</span></div>"
    )
