"""A prediction as HTML with inline SVG: sharp at any size, in the colours of the page's theme."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from persona.labels import GENDERS
from persona.model.prediction import Prediction, highest

NOT_FOR = (
    "It was trained on acted speech. Do not use it to decide about people, to tell what someone "
    "feels, or to check who or how old someone is."
)
OLDEST = 100
"""End of the scale that ages are drawn on, in years."""

POINTS = 400
"""Of a waveform that is drawn."""

Spans = Sequence[tuple[float, float, int]]


def result(name: str, predicted: Prediction, key: str = "") -> str:
    """One `<section>` for one recording; `name` is shown, never interpreted.

    key : names the recording that is played, so that its position can be shown.
    """
    seconds, shown = predicted.seconds, escape(name)
    spoken = f"{_duration(seconds)}, {_duration(predicted.speech_seconds)} of speech"
    answers = {
        "emotion": "" if predicted.trust is None else highest(predicted.emotion),
        "gender": highest(predicted.gender) if predicted.gender else "",
        "age": "" if predicted.age is None else f"{predicted.age:.0f} years",
    }
    parts = [
        f"<h3>{shown}</h3>",
        *(f"<p class='persona-faint'>{escape(line)}</p>" for line in (spoken, *predicted.notes)),
        "<dl class='persona-answers' role='status'>",
        *(
            f"<div><dt>{task.capitalize()}</dt>"
            f"<dd class='persona-{task}'>{escape(answer)}</dd></div>"
            for task, answer in answers.items()
            if answer
        ),
        "</dl>",
        _quality(predicted),
        "<div class='persona-timed'>" + _waveform(predicted) + "<i class='persona-at'></i></div>",
        _time_axis(seconds),
        _bars("Emotion", predicted.emotion) if predicted.emotion else "",
        _bars("Gender", predicted.gender) if predicted.gender else "",
        _age(predicted),
        _timeline(predicted) if len(predicted.timeline.starts) > 1 else "",
    ]
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
        f"<a download='persona.{kind}' href='data:{media};base64,"
        f"{b64encode(text.encode()).decode()}'>Save as {kind.upper()}</a>"
        for kind, media, text in (("csv", "text/csv", csv), ("json", "application/json", json))
    ]
    return f"<p class='persona-downloads'>{' '.join(links)}</p>"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _quality(predicted: Prediction) -> str:
    """What the recording is like, in one line."""
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
    return f"<p class='persona-quality'>Recording: {'; '.join(words)}.</p>"


def _bars(what: str, shares: dict[str, float]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        f"<td><div class='persona-bar'><span style='width:{share:.1%}'></span></div></td>"
        f"<td class='persona-share'>{share:.0%}</td></tr>"
        for name, share in shares.items()
    )
    table = f"<table class='persona-bars' aria-label='{what}, probabilities'>{rows}</table>"
    return f"<h4>{what}</h4>{table}"


def _age(predicted: Prediction) -> str:
    age, low, high = predicted.age, predicted.age_low, predicted.age_high
    if age is None or low is None or high is None:
        return ""
    return (
        "<h4>Age</h4>"
        f"<svg viewBox='0 0 {OLDEST} 10' height='26' preserveAspectRatio='none' role='img' "
        f"aria-label='Age {age:.0f} years, {low:.0f} to {high:.0f}'>"
        f"<rect x='0' y='4' width='{OLDEST}' height='2' fill='var(--track)'/>"
        f"<rect x='{low:.2f}' y='2' width='{min(high, OLDEST) - low:.2f}' height='6' "
        "fill='var(--accent)' opacity='0.35'/>"
        f"<rect x='{min(age, OLDEST) - 0.3:.2f}' y='0' width='0.6' height='10' "
        "fill='var(--accent)'/></svg>"
        f"{_scale(range(0, OLDEST + 1, 20))}"
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
    speech = "".join(
        _rectangle(a, b, seconds, "y='-1' height='2' fill='var(--accent)' opacity='0.18'")
        for a, b in predicted.speech
    )
    return (
        "<svg viewBox='0 -1 1000 2' height='72' preserveAspectRatio='none' role='img' "
        f"aria-label='Waveform, shaded where somebody speaks'>{speech}"
        f"<polygon points='{' '.join(upper + lower[::-1])}' fill='var(--accent)'/></svg>"
    )


def _timeline(predicted: Prediction) -> str:
    """A row for each emotion, for gender and for age, coloured where somebody speaks."""
    line, seconds, spans = predicted.timeline, predicted.seconds, predicted.spans()
    probabilities: dict[str, np.ndarray] = {}
    if line.emotion is not None:
        probabilities |= zip(line.emotions, line.emotion.T, strict=True)
    if line.gender is not None:
        probabilities["female"] = line.gender[:, GENDERS.index("female")]
    rows = [
        _row(name, _shades(spans, p, seconds), f"{name} over time, at most {p.max():.0%}")
        for name, p in probabilities.items()
    ]
    if line.age is not None:
        young, old = line.age.min(), line.age.max()
        ages = f"age over time, {young:.0f} to {old:.0f} years"
        rows.append(_row(f"age {young:.0f}-{old:.0f}", _steps(spans, line.age, seconds), ages))
    return (
        "<h4>Over time</h4><p class='persona-faint'>The stronger the colour, the more "
        "probable; empty where nobody speaks. Age is drawn from its lowest to its highest "
        "value.</p><div class='persona-timed persona-beside'>"
        f"<table class='persona-bars' aria-label='Over time'>{''.join(rows)}</table>"
        "<i class='persona-at'></i></div>" + _time_axis(seconds, " persona-time-axis")
    )


def _row(name: str, drawn: str, words: str) -> str:
    return (
        f"<tr><th scope='row'>{escape(name)}</th><td class='persona-time'>"
        "<svg viewBox='0 0 1000 10' height='16' preserveAspectRatio='none' role='img' "
        f"aria-label='{escape(words)}'><rect width='1000' height='10' fill='var(--track)'/>"
        f"{drawn}</svg></td></tr>"
    )


def _shades(spans: Spans, shares: np.ndarray, seconds: float) -> str:
    how = "y='0' height='10' fill='var(--accent)' opacity='{:.2f}'"
    return "".join(_rectangle(a, b, seconds, how.format(shares[i])) for a, b, i in spans)


def _steps(spans: Spans, ages: np.ndarray, seconds: float) -> str:
    tops = 8 * (1 - (ages - ages.min()) / max(np.ptp(ages), 1e-6))
    how = "y='{:.1f}' height='2' fill='var(--ink)'"
    return "".join(_rectangle(a, b, seconds, how.format(tops[i])) for a, b, i in spans)


def _rectangle(start: float, end: float, seconds: float, how: str) -> str:
    x, width = 1000 * start / seconds, 1000 * (end - start) / seconds
    return f"<rect x='{x:.1f}' width='{width:.1f}' {how}/>"


def _time_axis(seconds: float, classes: str = "") -> str:
    times = ("0 s", _duration(seconds / 2), _duration(seconds))
    return _scale(times, classes)


def _scale(marks: Iterable[object], classes: str = "") -> str:
    spans = "".join(f"<span>{mark}</span>" for mark in marks)
    return f"<div class='persona-scale{classes}' aria-hidden='true'>{spans}</div>"
