"""Train a model to be used, on all clips of an experiment, and write what it is on its card.

Everything the card says of its answers comes from out-of-fold predictions: every clip is predicted
by networks that were trained as those that ship, but on other speakers.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from persona import calibration, corpora, evaluation, features, folds
from persona.audio import speech
from persona.calibration import AGE_BANDS, AGE_LEVEL, AgeInterval
from persona.cross_validation import train_on_everything
from persona.dataset import Dataset
from persona.errors import PersonaError
from persona.experiment import Experiment
from persona.keeping import store
from persona.labels import GENDERS, TASKS
from persona.model import limits, voices
from persona.model.heads import write_heads
from persona.model.predictor import Predictor
from persona.model.saved import Model
from persona.predictions import emotions
from persona.run import out_of_fold, run

if TYPE_CHECKING:
    from persona.network import Ensemble, Network

LENGTHS = ((0.0, 2.0), (2.0, 3.0), (3.0, 1e9))
"""Seconds of clips by which the coverage of the age intervals is stated."""


def train(
    experiment: Experiment,
    out: Path,
    *,
    jobs: int | None = None,
    shared_speakers: bool = False,
    notes: Sequence[str] = (),
) -> Predictor:
    """Cross-validate an experiment, train it on every clip, and save the model to `out`.

    Parameters
    ----------
    experiment : by unseen speakers, without early stopping: what ships is what was measured. Its
        folds are computed unless they were kept.
    out : folder of the model.
    jobs : processes, as of `experiment.run`.
    shared_speakers : allow that speakers are tested who were trained on; the card says so.
    notes : sentences on a corpus of one's own, for its card.

    Tasks whose loss weighs nothing are no part of the model.

    Raises `PersonaError` for an experiment that cannot ship, or that lacks a feature table.
    """
    clips = Dataset(experiment.corpus).relabelled(experiment.relabel)
    tasks = _tasks(experiment)
    _check(experiment, clips, tasks, shared_speakers)
    run([experiment], "model", train=True, jobs=jobs)
    predicted = out_of_fold(experiment)
    own = predicted[predicted["corpus"] == experiment.corpus]
    foreign = corpora.is_table(experiment.corpus)
    limit = limits.of_actors
    if foreign or len(tasks) < len(TASKS):
        limit = partial(limits.of_own, shared_speakers=shared_speakers, notes=notes)
    described, temperatures = describe(own, clips, tasks, experiment.protocol, limit)
    _sharpen(
        described["calibration"], own, clips, Dataset(experiment.corpus, experiment.representation)
    )
    ensemble = train_on_everything(experiment)
    embeddings, speakers = _training_voices(experiment)
    space = voices.fit(embeddings, speakers)
    model = Model(
        {
            "name": "PERSONA: emotion, gender and age from a voice",
            "representations": _representations(experiment),
            "speech": speech.provenance(),
            "network": _network(ensemble),
            "tasks": _classes(experiment, tasks),
            "training": _training(experiment),
            "data": _data(experiment, clips),
            "distances": voices.unseen(embeddings, speakers, space).tolist(),
            "trust": None,
            "uses": {
                "intended": list(limits.INTENDED_OWN if foreign else limits.INTENDED),
                "refused": list(limits.REFUSED),
            },
            "software": store.software("torch", "numpy", "onnx"),
            **described,
        },
        write_heads(ensemble, space, temperatures),
        _weights(ensemble),
    )
    model.save(out)
    return Predictor.load(out)


def _tasks(experiment: Experiment) -> tuple[str, ...]:
    """Tasks that the experiment's networks learn."""
    weights = (experiment.candidates or (experiment.settings,))[0].weights
    return tuple(task for task, weight in zip(TASKS, weights, strict=True) if weight)


def _classes(experiment: Experiment, tasks: Sequence[str]) -> dict[str, list[str]]:
    named = {"emotion": Dataset(experiment.corpus).classes, "gender": GENDERS, "age": ()}
    return {task: list(named[task]) for task in tasks}


def _training(experiment: Experiment) -> dict[str, Any]:
    """What was trained, without the folders in which one's own table and models lie."""
    tables = [Path(name).name for name in experiment.representation.split("+")]
    described = experiment.description() | {
        "representation": "+".join(tables), "corpus": corpora.key(experiment.corpus), "seed": 0
    }  # fmt: skip
    described.pop("start", None)
    return described


def _check(
    experiment: Experiment, clips: pd.DataFrame, tasks: Sequence[str], shared_speakers: bool
) -> None:
    settings = experiment.candidates or (experiment.settings,)
    problems = {
        "has an estimator in place of the network": experiment.estimator,
        "transforms embeddings": experiment.transform,
        "uses a part of the clips": experiment.subset,
        "knows the speakers that it tests": experiment.protocol != "speaker-disjoint"
        and not shared_speakers,
        "does not test its own corpus": experiment.corpus not in experiment.tests,
        "stops early, where no clip is left to stop on: set patience=0": any(
            one.patience for one in settings
        ),
        **{f"has no clip whose {task} is known": clips[task].isna().all() for task in tasks},
    }
    if problem := next((words for words, found in problems.items() if found), ""):
        raise PersonaError(f"This experiment cannot become a model, because it {problem}.")


def _network(ensemble: "Ensemble") -> dict[str, Any]:
    from torch import nn

    first: Any = ensemble.networks[0]
    layers = list(first.trunk)
    dropouts = [layer.p for layer in layers[1:] if isinstance(layer, nn.Dropout)]
    parts = [list(network.columns) for network in cast("list[Network]", ensemble.networks)]
    dimension = max(last for _, last in parts)
    listening = {} if parts == [[0, dimension]] * len(parts) else {"parts": parts}
    return {
        "dimension": dimension,
        "architecture": "cnn" if any(isinstance(x, nn.Conv1d) for x in layers) else "fcn",
        "age_head": first.age.kind,
        "hidden": [layer.out_features for layer in layers if isinstance(layer, nn.Linear)],
        "dropout": max(dropouts, default=0.0),
        "input_dropout": layers[0].p if isinstance(layers[0], nn.Dropout) else 0.0,
        "age_dropout": first.age_dropout.p,
        "networks": len(ensemble.networks),
        **listening,
    }


def _weights(ensemble: "Ensemble") -> bytes:
    from safetensors.torch import save

    return save({name: value.contiguous() for name, value in ensemble.state_dict().items()})


def _representations(experiment: Experiment) -> list[dict[str, Any]]:
    corpus = corpora.several(experiment.corpus)[0]
    return [
        features.read(name, corpus).provenance["representation"]
        for name in experiment.representation.split("+")
    ]


def _training_voices(experiment: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and speakers of all that is trained on, copies of clips left out."""
    embeddings, speakers = [], []
    for name in (experiment.corpus, *experiment.besides):
        data = Dataset(name, experiment.representation)
        clips = data.relabelled(experiment.relabel)
        if "original" not in clips:
            embeddings.append(data.embeddings)
            speakers.append(name + " " + clips["speaker"].astype(str))
    return np.concatenate(embeddings), np.concatenate(speakers)


def _data(experiment: Experiment, clips: pd.DataFrame) -> dict[str, Any]:
    names = [*corpora.several(experiment.corpus), *experiment.besides]
    return {
        "corpora": [_corpus(experiment.representation, name) for name in names],
        "speakers": int(clips["speaker"].nunique()),
        "ages": [int(clips["age"].min()), int(clips["age"].max())] if clips["age"].any() else [],
    }


def _corpus(representation: str, name: str) -> dict[str, Any]:
    corpus = corpora.load(name)
    made_from = features.read(representation.split("+")[0], name).provenance["corpus"]
    return {
        "name": corpora.key(name),
        "title": corpus.title,
        "licence": corpus.licence,
        "citation": corpus.citation,
        "language": corpus.language,
        "clips": len(corpus.clips()),
        "fingerprint": made_from["fingerprint"],
    }


def describe(
    predicted: pd.DataFrame,
    clips: pd.DataFrame,
    tasks: Sequence[str] = TASKS,
    protocol: str = "speaker-disjoint",
    limit: Callable[..., list[str]] = limits.of_actors,
) -> tuple[dict[str, Any], tuple[float, float]]:
    """The parts of a card that follow from out-of-fold predictions, and the two temperatures.

    predicted : columns of `predictions.COLUMNS`, for one seed or several; metrics are averaged
        over seeds, calibration and intervals come from the first.
    tasks : those that were learnt. protocol : of `folds`. limit : of `limits`.
    """
    first = predicted[predicted["seed"] == predicted["seed"].min()]
    known = ["clip", *corpora.LABELS]
    if "seconds" in clips and pd.api.types.is_numeric_dtype(clips["seconds"]):
        known.append("seconds")  # of a CSV of one's own it is text
    rows = first.merge(clips[known], on="clip", suffixes=("_predicted", ""))
    calibrated, temperatures = _calibration(rows, emotions(predicted), tasks)
    interval = _age_interval(rows) if "age" in tasks else {}
    ignorant = evaluation.constant(clips, protocol, sorted(predicted["seed"].unique()))
    constant = evaluation.evaluate(ignorant, clips)["value"]
    gain = evaluation.difference(
        evaluation.sums(predicted, clips), evaluation.sums(ignorant, clips)
    )
    metrics = scores(predicted, clips, tasks)
    described = {
        "evaluation": {
            "protocol": f"{protocol}, {folds.FOLDS} folds, seeds averaged; out-of-fold "
            "predictions of networks trained as those that ship; 95 % bootstrap intervals over "
            "speakers",
            "metrics": metrics,
            "groups": {
                name: {
                    "speakers": int(group["speaker"].nunique()),
                    **scores(predicted, group, tasks),
                }
                for name, group in groups_of(clips)
            },
            "constant": {name: rounded(constant[name]) for name in metrics},
        },
        "calibration": calibrated,
        "age_interval": interval,
        "limits": limit(metrics, constant, gain, interval, clips),
    }
    return described, temperatures


def _calibration(
    rows: pd.DataFrame, names: Sequence[str], tasks: Sequence[str]
) -> tuple[dict[str, Any], tuple[float, float]]:
    """Temperatures that ship, and the calibration error without and with such of other folds."""
    female = rows["p_female"].to_numpy()
    of_tasks = {
        "emotion": (rows[[f"p_{name}" for name in names]].to_numpy(), names),
        "gender": (np.stack([female, 1 - female], axis=1), GENDERS),
    }
    found: dict[str, Any] = {
        "method": "temperature scaling (Guo et al. 2017) of averaged probabilities; errors are "
        "expected calibration errors, 10 bins, of clips whose temperature comes from other folds"
    }
    for task in [task for task in of_tasks if task in tasks]:
        probabilities, of_task = of_tasks[task]
        labels = pd.Categorical(rows[task], list(of_task)).codes.astype(int)
        known = labels >= 0
        p, y = probabilities[known].astype(float), labels[known]
        speaker = np.unique(rows["speaker"][known], return_inverse=True)[1]
        held_out = calibration.held_out_temperatures(p, y, rows["fold"].to_numpy()[known])
        found[task] = {
            "temperature": calibration.temperature(p, y),
            "error_before": _calibration_error(p, y, speaker),
            "error_after": _calibration_error(calibration.tempered(p, held_out), y, speaker),
        }
    emotion, gender = (found.get(task, {}).get("temperature", 1.0) for task in of_tasks)
    return found, (emotion, gender)


def _sharpen(
    calibrated: dict[str, Any], predicted: pd.DataFrame, clips: pd.DataFrame, data: Dataset
) -> None:
    """Add how much surer several windows of different speech make: see `calibration.sharpness`."""
    first = predicted[predicted["seed"] == predicted["seed"].min()]
    rows = first.set_index("clip").loc[clips["clip"]]
    female = rows["p_female"].to_numpy()
    of_tasks = {
        "emotion": (rows[[f"p_{name}" for name in data.classes]].to_numpy(), data.classes),
        "gender": (np.stack([female, 1 - female], axis=1), GENDERS),
    }
    people = np.unique(clips["speaker"].astype(str), return_inverse=True)[1]
    for task in [task for task in of_tasks if task in calibrated]:
        probabilities, classes = of_tasks[task]
        labels = pd.Categorical(clips[task], list(classes)).codes.astype(int)
        known = labels >= 0
        p = calibration.tempered(probabilities[known], calibrated[task]["temperature"])
        found = calibration.sharpness(p, labels[known], data.embeddings[known], people[known])
        calibrated[task]["sharpness"] = rounded(found)


def _calibration_error(p: np.ndarray, labels: np.ndarray, speaker: np.ndarray) -> float:
    counts = calibration.binned(p, labels, speaker)
    return rounded(calibration.expected_error(counts, np.ones((1, len(counts))))[0])


def _age_interval(rows: pd.DataFrame) -> dict[str, Any]:
    rows = rows[rows["age"].notna()].reset_index(drop=True)
    predicted, true = rows["age_predicted"].to_numpy(float), rows["age"].to_numpy(float)
    speakers, fold = rows["speaker"].to_numpy(), rows["fold"].to_numpy()
    fitted = AgeInterval.fit(predicted, true, speakers)
    inside = calibration.inside_held_out(predicted, true, speakers, fold)
    groups = groups_of(rows)
    if "seconds" in rows:
        groups += [
            (f"clips of {low:.0f} s to {'more' if high > 1e6 else f'{high:.0f} s'}", some)
            for low, high in LENGTHS
            if len(some := rows[(rows["seconds"] >= low) & (rows["seconds"] < high)])
        ]
    return {
        "level": AGE_LEVEL,
        "method": "cross-validation interval: quantiles of out-of-fold errors by predicted age, "
        "age bands and speakers weighing alike, scaled to hold in each band (calibration.py); "
        "coverage is of speakers whom it was not fit on; below 1 s of speech it is wider",
        "ages": fitted.ages.tolist(),
        "below": [rounded(value) for value in fitted.below],
        "above": [rounded(value) for value in fitted.above],
        "coverage": {
            "everyone": coverage(inside, speakers),
            **{name: coverage(inside[some.index], speakers[some.index]) for name, some in groups},
        },
    }


def coverage(inside: np.ndarray, speakers: np.ndarray) -> dict[str, float]:
    """Share of clips inside, speakers counting alike, and its 95 % bootstrap over speakers."""
    each = pd.Series(inside).groupby(speakers).mean().to_numpy()
    weights = evaluation.resample(len(each))
    low, high = evaluation.interval(weights @ each / weights.sum(axis=1))
    shares = {"value": each.mean(), "low": low, "high": high}
    return {"speakers": len(each), **{name: rounded(share) for name, share in shares.items()}}


def groups_of(clips: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [(gender, clips[clips["gender"] == gender]) for gender in GENDERS]
    for low, high in AGE_BANDS:
        name = f"aged {low} or over" if high == AGE_BANDS[-1][1] else f"aged {low} to {high}"
        name = f"aged {high} or under" if low == 0 else name
        groups.append((name, clips[clips["age"].between(low, high)]))
    return [(name, group) for name, group in groups if len(group)]


def scores(
    predicted: pd.DataFrame, clips: pd.DataFrame, tasks: Sequence[str]
) -> dict[str, dict[str, float]]:
    scored = evaluation.evaluate(predicted[predicted["clip"].isin(clips["clip"])], clips)
    return {
        metric: {bound: rounded(scored[bound][metric]) for bound in ("value", "low", "high")}
        for metric in evaluation.METRICS
        if metric.split("_")[0] in tasks and np.isfinite(scored.loc[metric]).all()
    }


def rounded(value: float) -> float:
    return round(float(value), 4)
