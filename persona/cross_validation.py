"""One fold of an experiment: what is trained on, what is tested, and what is predicted of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from persona import corpora, folds, predictions, training
from persona.dataset import Dataset
from persona.errors import PersonaError
from persona.experiment import Experiment
from persona.folds import Split
from persona.losses import Targets
from persona.network import Ensemble
from persona.training import Moves, Settings

PLAIN_SPEECH = "neutral"
"""The emotion of clips from whose mean others are moved."""

INNER = 4
"""One of this many parts of the training speakers is held out to choose settings on."""


def given_folds(experiment: Experiment) -> np.ndarray | None:
    """Fold numbers that the experiment brings, shape (n,); None where its protocol cuts folds."""
    if experiment.given is None:
        return None
    return np.asarray(experiment.given(Dataset(experiment.corpus).clips))


def splits(experiment: Experiment, clips: pd.DataFrame, seed: int) -> list[Split]:
    """All splits of an experiment's clips, by its protocol or the folds that it brings."""
    numbers = given_folds(experiment)
    if numbers is None:
        return folds.split(clips, experiment.protocol, seed)
    return folds.given(clips, numbers, seed)


def check(experiment: Experiment) -> None:
    """Raise `PersonaError`, before anything is trained, for a missing table or a sure leak."""
    if experiment.given:
        splits(experiment, Dataset(experiment.corpus).clips, experiment.seeds[0])
    joined = (experiment.corpus, *experiment.tests)
    tested = {part for name in joined for part in corpora.several(name)}
    for name in {*tested, *experiment.besides}:
        _ = Dataset(name, experiment.representation).embeddings_checksum
    for name in experiment.besides:
        if name in tested and "original" not in Dataset(name).clips:
            raise PersonaError(
                f"{name} is tested, so that it cannot be trained on besides: leave it out of "
                "either."
            )


def predict_fold(experiment: Experiment, seed: int, fold: int) -> pd.DataFrame:
    """Train one fold and predict its tests; columns of `predictions`, and `corpus`."""
    data = Dataset(experiment.corpus, experiment.representation)
    clips = data.relabelled(experiment.relabel)
    split = _split(experiment, clips, seed, fold)
    if experiment.estimator:
        inputs = _inputs(experiment, data).copy()
        predicted = experiment.estimator(inputs, clips.copy(), split, seed)
        names = clips["clip"].to_numpy()[split.test]
        rows = predictions.frame(predicted, names, seed, fold, data.classes)
        return rows.assign(corpus=experiment.corpus)
    network = _train(experiment, clips, split, folds.FOLDS * seed + fold)
    parts = []
    for corpus in experiment.tests:
        tested, rows_tested, number = _tests(experiment, corpus, clips, split, seed, fold)
        inputs = _inputs(experiment, Dataset(corpus, experiment.representation))[rows_tested]
        names = tested["clip"].to_numpy()[rows_tested]
        answers = network.predict(torch.from_numpy(inputs))
        rows = predictions.frame(answers, names, number, fold, data.classes)
        parts.append(rows.assign(corpus=corpus))
    return pd.concat(parts, ignore_index=True)


def train_fold(experiment: Experiment, seed: int, fold: int) -> tuple[Ensemble, Split]:
    """The networks of one fold, to be asked more than its tests, and what they were trained on."""
    clips = Dataset(experiment.corpus).relabelled(experiment.relabel)
    split = _split(experiment, clips, seed, fold)
    return _train(experiment, clips, split, folds.FOLDS * seed + fold), split


def train_on_everything(experiment: Experiment, seed: int = 0) -> Ensemble:
    """The experiment's networks trained on every clip of its corpora: a model to be used.

    Settings are chosen as in a fold. Raises `PersonaError` unless `patience` is 0: nothing is held
    out to stop early.
    """
    if any(settings.patience for settings in experiment.candidates or [experiment.settings]):
        raise PersonaError("Nothing is held out to stop early on: set patience=0.")
    clips = Dataset(experiment.corpus).relabelled(experiment.relabel)
    nothing = np.empty(0, int)
    return _train(experiment, clips, Split(np.arange(len(clips)), nothing, nothing), seed)


def _split(experiment: Experiment, clips: pd.DataFrame, seed: int, fold: int) -> Split:
    split = splits(experiment, clips, seed)[fold]
    return experiment.subset(clips.copy(), split, seed) if experiment.subset else split


def _inputs(experiment: Experiment, data: Dataset) -> np.ndarray:
    """What the network hears of a data set, shape (clips, dimension)."""
    if experiment.transform is None:
        return data.embeddings
    return np.ascontiguousarray(experiment.transform(data.embeddings.copy()), np.float32)


def _train(experiment: Experiment, clips: pd.DataFrame, split: Split, seed: int) -> Ensemble:
    """Networks trained on the training part of a split and on what goes besides it."""
    settings = experiment.candidates or (experiment.settings,)
    own = split.train
    if not settings[0].patience:
        own = np.concatenate([split.train, split.validation])
    classes = Dataset(experiment.corpus).classes
    embeddings, targets, blocks = _material(experiment, clips, classes)
    train = np.concatenate([own, *_besides(blocks, clips, own)])
    validation = split.validation if settings[0].patience else own[:0]
    chosen = settings[0]
    if len(settings) > 1:
        held_out = own[folds.split(clips.iloc[own], "speaker-disjoint", seed, INNER)[0].test]
        rest = np.setdiff1d(own, held_out)
        inner = np.concatenate([rest, *_besides(blocks, clips, rest)])
        chosen = choose(
            embeddings, targets, inner, held_out, seed, experiment.architecture, settings,
            reference=rest, emotions=len(classes),
            moves=_moves(experiment, embeddings, clips, blocks, rest),
        )  # fmt: skip
    network, _ = training.fit_ensemble(
        embeddings, targets, train, validation, seed, experiment.architecture, chosen,
        reference=own, emotions=len(classes),
        start=experiment.start(classes) if experiment.start else (),
        moves=_moves(experiment, embeddings, clips, blocks, own),
    )  # fmt: skip
    return network


def choose(
    embeddings: Tensor,
    targets: Targets,
    train: np.ndarray,
    held_out: np.ndarray,
    seed: int,
    architecture: str,
    candidates: Sequence[Settings],
    **options: Any,
) -> Settings:
    """The candidate that is best on held-out rows: nested selection, blind to the test fold.

    The most emotions decide. A linear age head shares nothing with the trunk, so that its dropout
    is chosen by itself, by the smallest age error.
    """
    rows = torch.from_numpy(held_out)
    with_emotion, _, with_age = targets.known[rows].bool().T
    right, errors = [], []
    for candidate in candidates:
        one = replace(candidate, networks=1)
        network, _ = training.fit_ensemble(
            embeddings, targets, train, held_out[:0], seed, architecture, one, **options
        )  # fmt: skip
        predicted = network.predict(embeddings[rows])
        hits = predicted.emotion.argmax(-1) == targets.emotion[rows]
        right.append(int(hits[with_emotion].sum()))
        errors.append(float((predicted.age - targets.age[rows])[with_age].square().mean()))
    best = candidates[int(np.argmax(right))]
    if best.age_head != "linear":
        return best
    return replace(best, age_dropout=candidates[int(np.argmin(errors))].age_dropout)


def _material(
    experiment: Experiment, clips: pd.DataFrame, classes: tuple[str, ...]
) -> tuple[torch.Tensor, Targets, list[tuple[int, pd.DataFrame]]]:
    """Embeddings and labels of all corpora; first row and clips of those besides."""
    names = (experiment.corpus, *experiment.besides)
    data = [Dataset(name, experiment.representation) for name in names]
    embeddings = torch.from_numpy(np.concatenate([_inputs(experiment, one) for one in data]))
    labelled = [clips, *(one.relabelled(experiment.relabel) for one in data[1:])]
    parts = [Targets.of(frame, classes) for frame in labelled]
    targets = Targets(*(torch.cat(labels) for labels in zip(*parts, strict=True)))
    starts = np.cumsum([len(one) for one in data])[:-1].tolist()
    return embeddings, targets, [(s, d.clips) for s, d in zip(starts, data[1:], strict=True)]


def _moves(
    experiment: Experiment,
    embeddings: Tensor,
    clips: pd.DataFrame,
    blocks: list[tuple[int, pd.DataFrame]],
    own: np.ndarray,
) -> Moves | None:
    """From the plain speech of the rows `own` to that of each speaker of `experiment.moved_to`."""
    if not experiment.moved_to:
        return None
    plain = own[clips["emotion"].iloc[own].to_numpy() == PLAIN_SPEECH]
    if not len(plain):
        raise PersonaError(
            f"Copies are moved from plain speech, and no clip is labelled {PLAIN_SPEECH!r}: leave "
            "`moved_to` and `moved` out."
        )
    start, frame = blocks[experiment.besides.index(experiment.moved_to)]
    speakers = frame["speaker"].to_numpy()
    of_reader = [start + np.flatnonzero(speakers == name) for name in pd.unique(speakers)]
    means = torch.stack([embeddings[torch.from_numpy(rows)].mean(dim=0) for rows in of_reader])
    return Moves(means - embeddings[plain].mean(dim=0), own)


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
            chosen = corpora.made_of(frame, names) & corpora.within(frame, speakers)
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
    tested = Dataset(corpus).clips
    if "original" in tested:
        names = set(clips["clip"].iloc[split.test])
        return tested, np.flatnonzero(corpora.made_of(tested, names)), seed
    return tested, np.arange(len(tested)), folds.FOLDS * seed + fold
