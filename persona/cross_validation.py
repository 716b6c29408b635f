"""One fold of an experiment: what is trained on, what is tested, and what is predicted of it."""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from persona import corpora, features, folds, predictions, training
from persona.corpora import LABELS
from persona.errors import PersonaError
from persona.experiment import Experiment
from persona.folds import Split
from persona.keeping import store
from persona.labels import emotion_classes
from persona.losses import Targets
from persona.network import Ensemble

INNER = 4
"""One of this many parts of the training speakers is held out to choose settings on."""


@lru_cache(maxsize=16)
def load_clips(corpus: str) -> pd.DataFrame:
    """Labelled clips of a corpus, or of several joined by "+"; speakers then carry its name."""
    names = corpus.split("+")
    if len(names) == 1:
        return corpora.load(corpus).clips()
    parts = [corpora.load(name).clips().assign(corpus=name) for name in names]
    parts = [
        part.assign(speaker=part["corpus"] + " " + part["speaker"].astype(str)) for part in parts
    ]
    return pd.concat(parts, ignore_index=True)


def classes(corpus: str) -> tuple[str, ...]:
    """Emotion classes of a corpus, as of `labels.emotion_classes`."""
    return emotion_classes(load_clips(corpus)["emotion"])


@lru_cache(maxsize=8)
def load_embeddings(representation: str, corpus: str) -> np.ndarray:
    """Embeddings of `load_clips(corpus)`, float32, shape (n, d)."""
    clips, names = load_clips(corpus), corpus.split("+")
    if len(names) == 1:
        return features.read(representation, corpus).at(clips["clip"])
    own = [clips.loc[clips["corpus"] == name, "clip"] for name in names]
    tables = [features.read(representation, name) for name in names]
    return np.concatenate([table.at(part) for table, part in zip(tables, own, strict=True)])


@lru_cache(maxsize=16)
def checksum(corpus: str) -> str:
    """SHA-256 over the clips and labels of a corpus."""
    clips = load_clips(corpus)
    return store.checksum({name: clips[name].map(str).to_numpy(str) for name in ("clip", *LABELS)})


def given_folds(experiment: Experiment) -> np.ndarray | None:
    """Fold numbers that the experiment brings, shape (n,); None where its protocol cuts folds."""
    if experiment.given is None:
        return None
    return np.asarray(experiment.given(load_clips(experiment.corpus).copy()))


def splits(experiment: Experiment, clips: pd.DataFrame, seed: int) -> list[Split]:
    """All splits of an experiment's clips, by its protocol or the folds that it brings."""
    numbers = given_folds(experiment)
    if numbers is None:
        return folds.split(clips, experiment.protocol, seed)
    return folds.given(clips, numbers, seed)


def check(experiment: Experiment) -> None:
    """Raise `PersonaError`, before anything is trained, for a missing table or a sure leak."""
    if experiment.given:
        splits(experiment, load_clips(experiment.corpus), experiment.seeds[0])
    tested = {part for name in (experiment.corpus, *experiment.tests) for part in name.split("+")}
    for name in {*tested, *experiment.besides}:
        features.read(experiment.representation, name)
    for name in experiment.besides:
        if name in tested and "original" not in load_clips(name):
            raise PersonaError(
                f"{name} is tested, so that it cannot be trained on besides: leave it out of "
                "either."
            )


@lru_cache(maxsize=16)
def fingerprint(corpus: str) -> str:
    """What names the audio of a corpus."""
    return corpora.load(corpus).fingerprint()


def labelled_clips(experiment: Experiment, corpus: str) -> pd.DataFrame:
    """Clips of a corpus with the labels that an experiment gives them."""
    clips = load_clips(corpus)  # kept for other experiments, so that functions get a copy
    return experiment.relabel(clips.copy()) if experiment.relabel else clips


def predict_fold(experiment: Experiment, seed: int, fold: int) -> pd.DataFrame:
    """Train one fold and predict its tests; columns of `predictions`, and `corpus`."""
    clips = labelled_clips(experiment, experiment.corpus)
    split = splits(experiment, clips, seed)[fold]
    if experiment.subset:
        split = experiment.subset(clips.copy(), split, seed)
    if experiment.estimator:
        embeddings = _inputs(experiment, experiment.corpus)
        predicted = experiment.estimator(embeddings.copy(), clips.copy(), split, seed)
        names = clips["clip"].to_numpy()[split.test]
        rows = predictions.frame(predicted, names, seed, fold, classes(experiment.corpus))
        return rows.assign(corpus=experiment.corpus)
    network = _train(experiment, clips, split, folds.FOLDS * seed + fold)
    parts = []
    for corpus in experiment.tests:
        tested, rows_tested, number = _tests(experiment, corpus, clips, split, seed, fold)
        inputs = torch.from_numpy(_inputs(experiment, corpus)[rows_tested])
        names = tested["clip"].to_numpy()[rows_tested]
        answers = network.predict(inputs)
        rows = predictions.frame(answers, names, number, fold, classes(experiment.corpus))
        parts.append(rows.assign(corpus=corpus))
    return pd.concat(parts, ignore_index=True)


def train_on_everything(experiment: Experiment, seed: int = 0) -> Ensemble:
    """The experiment's networks trained on every clip of its corpora: a model to be used.

    Settings are chosen as in a fold. Raises `PersonaError` unless `patience` is 0: nothing is held
    out to stop early.
    """
    if any(settings.patience for settings in experiment.candidates or [experiment.settings]):
        raise PersonaError("Nothing is held out to stop early on: set patience=0.")
    clips = labelled_clips(experiment, experiment.corpus)
    nothing = np.empty(0, int)
    return _train(experiment, clips, Split(np.arange(len(clips)), nothing, nothing), seed)


def _inputs(experiment: Experiment, corpus: str) -> np.ndarray:
    embeddings = load_embeddings(experiment.representation, corpus)
    if experiment.transform is None:
        return embeddings
    return np.ascontiguousarray(experiment.transform(embeddings.copy()), np.float32)


def _train(experiment: Experiment, clips: pd.DataFrame, split: Split, seed: int) -> Ensemble:
    """Networks trained on the training part of a split and on what goes besides it."""
    settings = experiment.candidates or (experiment.settings,)
    own = split.train
    if not settings[0].patience:
        own = np.concatenate([split.train, split.validation])
    embeddings, targets, blocks = _material(experiment, clips)
    train = np.concatenate([own, *_besides(blocks, clips, own)])
    validation = split.validation if settings[0].patience else own[:0]
    chosen = settings[0]
    if len(settings) > 1:
        held_out = own[folds.split(clips.iloc[own], "speaker-disjoint", seed, INNER)[0].test]
        rest = np.setdiff1d(own, held_out)
        inner = np.concatenate([rest, *_besides(blocks, clips, rest)])
        chosen = training.choose(
            embeddings, targets, inner, held_out, seed, experiment.architecture, settings,
            reference=rest, emotions=len(classes(experiment.corpus)),
        )  # fmt: skip
    network, _ = training.fit_ensemble(
        embeddings, targets, train, validation, seed, experiment.architecture, chosen,
        reference=own, emotions=len(classes(experiment.corpus)),
        start=experiment.start(classes(experiment.corpus)) if experiment.start else (),
    )  # fmt: skip
    return network


@lru_cache(maxsize=1)
def _stacked(
    representation: str, names: tuple[str, ...]
) -> tuple[torch.Tensor, list[pd.DataFrame]]:
    frames = [load_clips(name) for name in names]
    vectors = [load_embeddings(representation, name) for name in names]
    return torch.from_numpy(np.concatenate(vectors)), frames


def _material(
    experiment: Experiment, clips: pd.DataFrame
) -> tuple[torch.Tensor, Targets, list[tuple[int, pd.DataFrame]]]:
    """Embeddings and labels of all corpora; first row and clips of those besides."""
    names = (experiment.corpus, *experiment.besides)
    if experiment.transform:
        embeddings = torch.from_numpy(np.concatenate([_inputs(experiment, name) for name in names]))
        frames = [load_clips(name) for name in names]
    else:
        embeddings, frames = _stacked(experiment.representation, names)
    labelled = [clips, *(labelled_clips(experiment, name) for name in names[1:])]
    parts = [Targets.of(frame, classes(experiment.corpus)) for frame in labelled]
    targets = Targets(*(torch.cat(labels) for labels in zip(*parts, strict=True)))
    starts = np.cumsum([len(frame) for frame in frames])
    return embeddings, targets, list(zip(starts[:-1].tolist(), frames[1:], strict=True))


def _besides(
    blocks: list[tuple[int, pd.DataFrame]], clips: pd.DataFrame, own: np.ndarray
) -> list[np.ndarray]:
    """Rows of the further corpora that go with the rows `own` of the corpus.

    A copy goes with its original, and only where all who can be heard in it are trained on: no
    network may hear a speaker of another part of its split.
    """
    names, speakers = set(clips["clip"].iloc[own]), set(clips["speaker"].iloc[own])
    rows = []
    for start, frame in blocks:
        chosen = np.ones(len(frame), bool)
        if "original" in frame:
            chosen = frame["original"].isin(names).to_numpy() & corpora.within(frame, speakers)
            if not chosen.any():
                raise PersonaError(
                    "None of the copies belongs to what is trained on: name the corpus that they "
                    "are copies of, by itself."
                )
        rows.append(start + np.flatnonzero(chosen))
    return rows


def _tests(
    experiment: Experiment,
    corpus: str,
    clips: pd.DataFrame,
    split: Split,
    seed: int,
    fold: int,
) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Clips of a tested corpus, the rows that this fold tests, and the number of its seed."""
    if corpus == experiment.corpus:
        return clips, split.test, seed
    tested = load_clips(corpus)
    if "original" in tested:
        names = set(clips["clip"].iloc[split.test])
        return tested, np.flatnonzero(tested["original"].isin(names)), seed
    return tested, np.arange(len(tested)), folds.FOLDS * seed + fold
