"""A row of the paper's table, from feature table to printed numbers: `python -m persona.paper`.

Each step has a name, and the file of that name does it. How a network learns stands in three of
them: `network`, `losses`, `training`.
"""

import argparse
import sys

import pandas as pd
import torch

from persona import evaluation, folds, predictions
from persona.dataset import Dataset
from persona.errors import PersonaError
from persona.losses import Targets
from persona.network import Network
from persona.training import fit

MEASURES = {"emotion_accuracy": "emotion", "gender_accuracy": "gender", "age_rmse": "age RMSE"}


def predict(data: Dataset, architecture: str, protocol: str, seed: int) -> pd.DataFrame:
    """What networks predict of the clips that they were not trained on, fold by fold.

    protocol : how `folds` deals the clips, by `seed`. Columns as of `predictions`.
    """
    torch.set_num_threads(1)  # the number of threads decides the last digit of a sum
    clips = data.clips  # a row each: speaker, emotion, gender, age
    embeddings = data.tensor()  # (clips, dimension), in the same order
    targets = Targets.of(clips)  # emotion and gender as class numbers, age in years
    parts = []
    for fold, split in enumerate(folds.split(clips, protocol, seed)):
        start = folds.FOLDS * seed + fold  # of the random weights and of the order of training
        torch.manual_seed(start)
        network = Network(embeddings.shape[1], architecture)  # (B, dimension) to three heads
        network.input.measure(embeddings[split.train])  # mean 0 and deviation 1 in training
        network.age.measure(targets.age[split.train])  # the same for ages
        network, _ = fit(
            embeddings, targets, split.train, split.validation, start, architecture, start=network
        )
        predicted = network.predict(embeddings[split.test])  # probabilities, and years
        names = clips["clip"].to_numpy()[split.test]
        parts.append(predictions.frame(predicted, names, seed, fold))
    return pd.concat(parts)


def row(representation: str, architecture: str, seed: int = 0) -> pd.DataFrame:
    """Emotions and genders that are right, in per cent, and the error of age in years.

    Once with clips dealt at random, as the paper seems to, once with speakers kept apart; below
    each, what always the same answer reaches.
    """
    data = Dataset("crema-d", representation)
    rows = {}
    for protocol in folds.PROTOCOLS:
        answers = {
            f"{representation}, {architecture}": predict(data, architecture, protocol, seed),
            "always the same": evaluation.constant(data.clips, protocol, [seed]),
        }
        for name, predicted in answers.items():
            scores = evaluation.evaluate(predicted, data.clips)["value"]
            rows[protocol, name] = scores[list(MEASURES)].rename(MEASURES) * [100, 100, 1]
    return pd.DataFrame(rows).T.round(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m persona.paper", description=__doc__)
    parser.add_argument("representation", nargs="?", default="campplus", help="a feature table")
    parser.add_argument("architecture", nargs="?", default="fcn", help="fcn or cnn")
    try:
        print(row(**vars(parser.parse_args())))
    except PersonaError as error:
        sys.exit(str(error))
