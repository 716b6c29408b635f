"""What the accuracy of the model that ships leaves out: new sentences, and what people hear."""

import pandas as pd

from persona import evaluation
from persona.dataset import Dataset
from persona.evaluation import Sums
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import recipe
from persona.predictions import PROBABILITIES
from persona.run import out_of_fold


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
