"""Train a model to be used, on all clips of an experiment, and write what it is on its card.

Everything the card says of its answers comes from out-of-fold predictions: every clip is predicted
by networks that were trained as those that ship, but on other speakers.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from persona import corpora, features
from persona.audio import speech
from persona.cross_validation import train_on_everything
from persona.dataset import Dataset
from persona.errors import PersonaError
from persona.experiment import Experiment
from persona.keeping import store
from persona.labels import GENDERS, TASKS
from persona.model import limits, voices
from persona.model.heads import write_heads
from persona.model.measured import describe, sharpen
from persona.model.predictor import Predictor
from persona.model.saved import Model
from persona.run import out_of_fold, run

if TYPE_CHECKING:
    from persona.network import Ensemble, Network


def train(experiment: Experiment, out: Path, *, jobs: int | None = None) -> Predictor:
    """A `trained` experiment, saved to the folder `out`."""
    trained(experiment, jobs=jobs).save(out)
    return Predictor.load(out)


def trained(
    experiment: Experiment,
    *,
    jobs: int | None = None,
    shared_speakers: bool = False,
    notes: Sequence[str] = (),
) -> Model:
    """Cross-validate an experiment and train it on every clip.

    Parameters
    ----------
    experiment : by unseen speakers, without early stopping: what ships is what was measured. Its
        folds are computed unless they were kept.
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
    sharpen(
        described["calibration"], own, clips, Dataset(experiment.corpus, experiment.representation)
    )
    described["limits"] += _readers(experiment)
    ensemble = train_on_everything(experiment)
    embeddings, speakers = _training_voices(experiment)
    space = voices.fit(embeddings, speakers)
    return Model(
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
        write_heads(ensemble, space, temperatures, _usual(experiment, clips, tasks)),
        _weights(ensemble),
    )


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


def _usual(experiment: Experiment, clips: pd.DataFrame, tasks: Sequence[str]) -> np.ndarray | None:
    """Of the clean clips of the experiment's own corpus, as of `voices.usual`."""
    if "emotion" not in tasks:
        return None
    data = Dataset(experiment.corpus, experiment.representation)
    emotions = pd.Categorical(clips["emotion"], data.classes).codes.astype(int)
    speakers = clips["speaker"].astype(str).to_numpy()
    return voices.usual(data.embeddings, emotions, speakers, len(data.classes))


def _readers(experiment: Experiment) -> list[str]:
    """A sentence on each further corpus whose clips were given an emotion that nobody labelled."""
    found = []
    for name in experiment.besides:
        clips, given = Dataset(name).clips, Dataset(name).relabelled(experiment.relabel)
        if clips["emotion"].isna().all() and (taken := given["emotion"].notna()).any():
            words = ", ".join(sorted(set(given["emotion"][taken])))
            people = given["speaker"][taken].nunique()
            found.append(
                f"{taken.sum()} clips of {people} people who read sentences of "
                f"{corpora.load(name).title} were taken for {words}; what they felt, nobody asked. "
                "Most plain speech is called so now."
            )
    return found


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
