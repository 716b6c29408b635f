"""Any model on any corpus: what its card reports of its own, reported of other people's clips."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persona import evaluation, features, predictions
from persona.calibration import AgeInterval
from persona.corpora import Corpus
from persona.errors import CorpusError, PersonaError, first
from persona.labels import TASKS
from persona.model import card as cards
from persona.model import measured
from persona.model.heads import Answers
from persona.model.predictor import Predictor
from persona.own import synonyms, voices
from persona.own import train as own
from persona.own.heard import heard

if TYPE_CHECKING:
    from pandas import DataFrame, Series

BATCH = 256

_MAP = '{"label": "class of the model", "another": null}'


def evaluate(
    predictor: Predictor,
    corpus: Corpus,
    mapping: Mapping[str, str | None] | None = None,
    *,
    jobs: int | None = None,
) -> dict[str, Any]:
    """A report of a model on a corpus, in plain JSON values.

    The clips go the road of training, cut to speech and embedded whole. Extraction shows progress
    and goes on where it was.

    mapping : emotion labels of the corpus to classes of the model, None for a label that is left
        out; labels that it does not name stay as they are. Clips whose label is then no class of
        the model are left out of emotion, and counted.

    The constant is the better of a guess and the best that one answer for all of this corpus can
    be: its most frequent classes and its mean age. Intervals are 95 % bootstrap intervals over
    speakers, None where they are fewer than `evaluation.FEWEST`.

    Raises `PersonaError` where the corpus has no label of what the model answers.
    """
    tasks = cards.tasks(predictor.card)
    clips, left_out = _mapped(corpus.clips(), mapping or {}, predictor.emotions)
    only, suggested = "", {}
    if "emotion" in tasks:
        unmapped = [label for label in left_out if label not in (mapping or {})]
        suggested = _suggested(unmapped, clips["emotion"], predictor.emotions)
        if len(left := clips["emotion"].dropna().unique()) == 1:
            only, clips = str(left[0]), clips.assign(emotion=None)
    if not any(clips[task].notna().any() for task in tasks):
        raise CorpusError(
            f"{corpus.title} has no label of what the model answers ({', '.join(tasks)}; emotions "
            f"{', '.join(predictor.emotions)}): fill labels in, or map them with --map."
            f"{' ' + _map_line(suggested) if suggested else ''}"
        )
    embeddings = embed(predictor, corpus, jobs)
    predicted = predict(predictor, embeddings, clips["clip"])
    notes = own.unheard(corpus, own.tables(predictor, corpus, jobs))
    usual = evaluation.usual(clips)
    ignorant = evaluation.always(usual, clips["clip"], predictor.emotions)
    constant = measured.by_chance(evaluation.evaluate(ignorant, clips)["value"], clips)
    metrics = measured.scores(predicted, clips, [t for t in TASKS if t in tasks])
    report = {
        "model": predictor.card["name"],
        "corpus": corpus.title,
        "clips": len(clips),
        "speakers": int(clips["speaker"].nunique()),
        "map": dict(mapping or {}),
        "left_out": left_out,
        "suggested_map": suggested,
        "only_emotion": only,
        "metrics": metrics,
        "constant": {name: measured.rounded(constant[name]) for name in metrics},
        "groups": {
            name: {
                "speakers": int(group["speaker"].nunique()),
                **measured.scores(predicted, group, [t for t in TASKS if t in tasks]),
            }
            for name, group in measured.groups_of(clips)
        },
        "trained_on": heard(predictor, corpus, jobs),
        "notes": notes,
    }
    usual_voice = predictor.heads.usual()
    if "emotion_accuracy" in metrics and usual_voice is not None:
        speakers = clips["speaker"].astype(str).to_numpy()
        answers = voices.against(
            embeddings, speakers, usual_voice, lambda x: run(predictor, x).emotion
        )
        report["by_voice"] = voices.scored(predicted, answers, clips)
    if "age_rmse" in metrics:
        report["age_by_person"] = voices.ages(predicted, clips)
        report["age_interval"] = _coverage(predictor.card["age_interval"], predicted, clips)
    return report


def lines(report: dict[str, Any]) -> list[str]:
    """A report for people."""
    mapped = ", ".join(f"{label} as {to or 'left out'}" for label, to in report["map"].items())
    left_out = ", ".join(f"{label} ({n})" for label, n in report["left_out"].items())
    found = [
        f"{report['corpus']}: {report['clips']:,} clips of {report['speakers']} speakers.",
        f"Labels: {mapped or 'as they are'}; left out of emotion: {left_out or 'none'}.",
        *own.score_lines(report["metrics"], report["constant"]),
        *voices.lines(report),
    ]
    if interval := report.get("age_interval"):
        found.append(f"  ages inside the interval {interval['value']:.0%}")
    if only := report["only_emotion"]:
        found.append(
            f"Of the model's emotions only {only} is there, and whoever answers {only} to all has "
            "that right: emotion is not scored."
        )
    elif report["left_out"] and "emotion_accuracy" not in report["metrics"]:
        found.append("No emotion is one of the model's: --map says which label is which class.")
    if report["suggested_map"]:
        found.append(_map_line(report["suggested_map"]))
    if len(known := report["trained_on"]) == report["clips"]:
        found.append("The model was trained on these very recordings: this is no test.")
    elif known:
        found.append(
            f"The model was trained on {len(known):,} of these clips ({first(known)}): of them "
            "this is no test. Leave them out."
        )
    return [*found, *report["notes"]]


def _suggested(
    left_out: list[str], kept: "Series", classes: tuple[str, ...]
) -> dict[str, str | None]:
    """A label map for labels that no map names, where one of them may mean a class, or where fewer
    than two classes are left without one.
    """
    found = synonyms.guesses(left_out, classes)
    return found if any(found.values()) or kept.nunique() < 2 else {}


def _map_line(suggested: dict[str, str | None]) -> str:
    text = json.dumps(suggested, ensure_ascii=False)
    return f"A guess at --map, to be looked at (null leaves a label out): {text}"


def read_map(file: Path) -> dict[str, str | None]:
    """A label map from JSON: {"label": "class of the model", "another": null}."""
    try:
        content = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise PersonaError(
            f"The label map {file} cannot be read ({error}): write {_MAP}."
        ) from error
    if not isinstance(content, dict) or not all(
        value is None or isinstance(value, str) for value in content.values()
    ):
        raise PersonaError(f"{file} is no label map: write {_MAP}.")
    return content


def embed(predictor: Predictor, corpus: Corpus, jobs: int | None = None) -> np.ndarray:
    """Embeddings of every clip of a corpus, float32, shape (n, d); made if they are not there."""
    names = own.tables(predictor, corpus, jobs)
    clips = corpus.clips()["clip"].to_numpy()
    joined = features.read("+".join(names), own.called(corpus)).at(clips)
    return np.ascontiguousarray(joined, np.float32)


def run(predictor: Predictor, embeddings: np.ndarray) -> Answers:
    """What the heads answer to embeddings of shape (n, d), a batch at a time."""
    starts = range(0, len(embeddings), BATCH)
    parts = [predictor.heads.run(embeddings[i : i + BATCH]) for i in starts]
    return Answers(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def predict(predictor: Predictor, embeddings: np.ndarray, clips: "Series") -> "DataFrame":
    """What a model predicts of clips by their embeddings; columns of `predictions`."""
    told = "emotion" in cards.tasks(predictor.card)
    classes = predictor.emotions if told else [str(k) for k in range(predictor.model.emotions)]
    return predictions.frame(run(predictor, embeddings)[:3], clips.to_numpy(), 0, 0, classes)


def _mapped(
    clips: "DataFrame", mapping: Mapping[str, str | None], classes: tuple[str, ...]
) -> tuple["DataFrame", dict[str, int]]:
    """Clips with labels that are classes of the model; clips left out of emotion, by label."""
    if wrong := {to for to in mapping.values() if to is not None} - set(classes):
        raise PersonaError(
            f"The label map names {sorted(wrong)[0]!r}, which is no class of the model: use "
            f"{', '.join(classes)}, or null."
        )
    labels = clips["emotion"]
    if unused := set(mapping) - set(labels.dropna()):
        raise PersonaError(
            f"The label map names {sorted(unused)[0]!r}, which no clip is labelled: use "
            f"{', '.join(sorted(set(labels.dropna())))}."
        )
    mapped = labels.map(lambda label: mapping.get(label, label))
    kept = mapped.where(mapped.isin(classes), None)
    left_out = labels[labels.notna() & kept.isna()].value_counts()
    return clips.assign(emotion=kept), {str(k): int(n) for k, n in left_out.items()}


def _coverage(
    interval: dict[str, Any], predicted: "DataFrame", clips: "DataFrame"
) -> dict[str, Any]:
    """Share of ages inside the card's intervals, speakers counting alike."""
    rows = predicted.merge(clips, on="clip", suffixes=("_predicted", ""))
    rows = rows[rows["age"].notna()]
    age, true = rows["age_predicted"].to_numpy(float), rows["age"].to_numpy(float)
    low, high = AgeInterval.of(interval).limits(age)
    return measured.coverage((low <= true) & (true <= high), rows["speaker"].to_numpy())
