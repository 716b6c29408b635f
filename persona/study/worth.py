"""What the accuracy of the model that ships leaves out: new sentences, and what people hear."""

from typing import Any

import numpy as np
import pandas as pd

from persona import calibration, evaluation
from persona.dataset import Dataset
from persona.evaluation import Sums
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import recipe
from persona.model.predictor import Predictor
from persona.predictions import PROBABILITIES
from persona.run import out_of_fold
from persona.study import comparison

BELOW = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Probabilities by which answers are sorted; few are below 30 %."""


def sentences() -> tuple[Sums, Sums]:
    """Of unseen speakers: networks of the model's kind on known and on new sentences.

    Both learnt from equally many clips. The results are those of the chapter on new sentences.
    """
    table = store.read_table(store.find("results", "new_sentences.parquet"))
    rows, found = pd.DataFrame(table.columns), {}
    for name, described in table.provenance["experiments"].items():
        if described["representation"] == recipe.ENDS:
            own = rows[rows["experiment"] == name]
            [*_, given] = described["subset"]
            found[given["new"]] = evaluation.from_frame(own, Dataset("crema-d").classes)
    return found[False], found[True]


def as_heard() -> tuple[float, float]:
    """How often the model names what most listeners heard, and how often they heard neutral.

    Shares of the clips of CREMA-D whose vote is not tied. Every clip is predicted by networks that
    were not trained on its speaker.
    """
    votes = Dataset("crema-d").clips.set_index("clip")["voice_vote"]
    heard = votes[~votes.str.contains(":")]
    predicted = out_of_fold(recipe.shipped())
    predicted = predicted[predicted["corpus"] == "crema-d"]
    likeliest = predicted.groupby("clip")[PROBABILITIES].mean().idxmax(axis=1)
    named = likeliest.map(dict(zip(PROBABILITIES, EMOTIONS, strict=True)))[heard.index]
    return float((named == heard).mean()), float((heard == "neutral").mean())


def answers() -> dict[str, Any]:
    """What the app says of its model's answers on emotion: `persona/app/static/worth.json`.

    `model` is its fingerprint. `unseen` has, of answers below each probability and not below the
    one before, the shares that name the emotion that was meant, and, where one leads the vote, the
    one that most listeners heard. The answers are of networks that were not trained on
    the speaker, calibrated on others. `known` and `new` are the accuracies of `sentences`.
    """
    clips = Dataset("crema-d").clips[["clip", "emotion", "voice_vote"]]
    predicted = out_of_fold(recipe.shipped())
    first = predicted["seed"] == predicted["seed"].min()
    rows = predicted[first & (predicted["corpus"] == "crema-d")].merge(clips, on="clip")
    raw = rows[PROBABILITIES].to_numpy(float)
    labels = pd.Categorical(rows["emotion"], EMOTIONS).codes.astype(int)
    held_out = calibration.held_out_temperatures(raw, labels, rows["fold"].to_numpy())
    p = calibration.tempered(raw, held_out)
    named = np.array(EMOTIONS)[p.argmax(axis=1)]
    tied = rows["voice_vote"].str.contains(":")
    found = pd.DataFrame({
        "below": np.array(BELOW)[np.digitize(p.max(axis=1), BELOW[:-1])],
        "meant": named == rows["emotion"],
        "heard": (named == rows["voice_vote"]).astype(float).mask(tied),
    })  # fmt: skip
    shares = found.groupby("below")[["meant", "heard"]].mean().round(3).reset_index()
    known, new = (comparison.value(sums, "emotion_accuracy") for sums in sentences())
    return {
        "model": Predictor.load().fingerprint,
        "unseen": shares.to_dict("records"),
        "known": round(known, 3),
        "new": round(new, 3),
    }
