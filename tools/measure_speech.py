"""Measure what a model answers to speech as it is: data/results/as_it_is.parquet.

python tools/measure_speech.py now --crema-d FOLDER --readers FOLDER --emodb FOLDER ...

The first argument says what the rows are called; rows of that name and of the corpora given are
measured anew, all others stay. "before" was measured by this file with the package and the model as
they were before windows were phrases. Audio is taken from wherever it is; what is written of other
people's recordings are counts, by speakers who are numbers.

On CREMA-D, which the model that ships has heard, networks of the same recipe answer to speakers
whom they have not.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import Predictor, calibration, corpora, predictions
from persona.audio import speech
from persona.corpora import CremaD
from persona.cross_validation import train_fold
from persona.dataset import Dataset
from persona.errors import AudioError
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import recipe, voices
from persona.model.heads import write_heads
from persona.study import as_it_is

HOME = corpora.CremaD.name
TRAINED = range(2)
"""Folds of the first deal whose networks are trained for it."""

GROUPS, PHRASES = 60, 8
"""A fold's groups of clips of one person and emotion, and clips of each."""

LOOKED_AT = 1000
"""Clips of ASED on which the recipe was chosen; others are measured here. Of the readers, who stood
in the rows from which it was chosen, every other one was looked at."""

LETTERS = {"a": "anger", "f": "fear", "h": "happy", "n": "neutral", "s": "sad"}
ABROAD = {
    "readers": (r"(?P<speaker>.+)", {}),
    "emodb": (
        r"(?P<speaker>\d\d)\w\d\d(?P<emotion>\w)\w?",
        {"W": "anger", "E": "disgust", "A": "fear", "F": "happy", "N": "neutral", "T": "sad"},
    ),
    "emovo": (
        r"(?P<emotion>\w{3})-(?P<speaker>\w\d)-\w+",
        {"rab": "anger", "dis": "disgust", "pau": "fear", "gio": "happy", "neu": "neutral",
         "tri": "sad"},
    ),
    "urdu": (r"\w+_(?P<speaker>\w\d+)_(?P<emotion>\w)\d+", {k.upper(): LETTERS[k] for k in "ahns"}),
    "ased": (r"(?P<emotion>\w)\d(-\d\d){3}-(?P<speaker>\d\d)", LETTERS),
}  # fmt: skip
"""How files are named, and what emotions are called there; readers read, so that none is."""


def abroad(predictor: Predictor, name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Answers to recordings of another corpus, and to each of their windows."""
    pattern, called = ABROAD[name]
    found = {
        file.stem: file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in {".wav", ".mp3", ".flac"}
    }
    for stem in _unseen(name, list(found)):
        if (match := re.fullmatch(pattern, stem)) is None:
            continue
        true = called.get(match["emotion"]) if called else "neutral"
        if true is None:
            continue
        try:
            told = predictor.predict(found[stem])
        except AudioError as error:
            print(f"{name}: {error}")
            continue
        labels = {"speaker": match["speaker"], "true": true, "same": True}
        yield {**labels, "condition": "recordings", **_told(told.emotion, told.speech_seconds)}
        heard = told.timeline
        for probabilities, seconds in zip(heard.emotion, heard.weights, strict=True):
            named = dict(zip(EMOTIONS, probabilities, strict=True))
            yield {**labels, "condition": "windows", **_told(named, seconds)}


def _unseen(name: str, stems: list[str]) -> list[str]:
    """Recordings that nobody looked at while the recipe was chosen."""
    if name == "readers":
        return stems[1::2]
    if name == "ased":
        return np.random.default_rng(0).permutation(stems)[LOOKED_AT : LOOKED_AT + 400].tolist()
    return stems


def home(template: Predictor, folder: Path) -> Iterator[dict[str, Any]]:
    """Answers to views of CREMA-D's clips by networks that know nothing of their speakers."""
    corpus, rng = CremaD(folder=folder), np.random.default_rng(0)
    for predictor, clips in _strangers(template):
        groups = [own.to_numpy() for _, own in clips.groupby(["speaker", "emotion"])["clip"]]
        groups = [own for own in groups if len(own) >= PHRASES]
        of_clip = clips.set_index("clip")
        for number in rng.choice(len(groups), GROUPS, replace=False):
            names = rng.permutation(groups[number])[:PHRASES]
            labels = {
                "speaker": str(of_clip["speaker"][names[0]]), "true": of_clip["emotion"][names[0]]
            }  # fmt: skip
            for row in _views(predictor, [corpus.waveform(name) for name in names], rng):
                yield {"same": True, **labels, **row}
        print(f"{HOME}: {len(clips)} clips of a fold", flush=True)


def _views(
    predictor: Predictor, clips: list[np.ndarray], rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Answers to clips of one person and emotion, whole, halved, joined, paused, said again."""

    def asked(condition: str, samples: np.ndarray) -> dict[str, Any]:
        told = predictor.predict((samples, 16_000))
        return {"condition": condition, **_told(told.emotion, told.speech_seconds)}

    listeners = [speech.Listener() for _ in clips]
    phrases = [
        np.concatenate([piece for _, piece in heard.pieces([clip])] or [clip])
        for heard, clip in zip(listeners, clips, strict=True)
    ]

    def silence(number: int, seconds: tuple[float, float]) -> np.ndarray:
        return as_it_is.silence(
            clips[number], listeners[number].segments, rng.uniform(*seconds), rng
        )

    whole = [asked("whole", clip) for clip in clips]
    yield from whole
    for phrase in phrases[:4]:
        middle = len(phrase) // 2
        halves = []
        for part in (phrase[:middle], phrase[middle:]):
            try:
                halves.append(predictor.predict((part, 16_000)))
            except AudioError:
                continue  # a whisper of half a second
        for told in halves:
            yield {"condition": "half", **_told(told.emotion, told.speech_seconds)}
        if len(halves) == 2:
            each = np.array([list(told.emotion.values()) for told in halves])
            both = np.exp(np.log(np.maximum(each, 1e-7)).mean(axis=0))
            both /= both.sum()
            seconds = sum(told.speech_seconds for told in halves)
            yield {"condition": "halves", **_told(dict(zip(EMOTIONS, both, strict=True)), seconds)}
    for count in as_it_is.LENGTHS:
        for first in range(0, min(2 * count, PHRASES), count):
            some = phrases[first : first + count]
            apart = [silence(first + n, as_it_is.BETWEEN) for n in range(count - 1)]
            yield asked(f"{count} joined", as_it_is.in_a_row(some))
            yield asked(f"{count} joined, paused", as_it_is.in_a_row(some, apart))
    for number, clip in enumerate(clips[:4]):
        segments = listeners[number].segments
        if not len(segments):
            continue
        row = asked("paused", as_it_is.paused(clip, segments, silence(number, as_it_is.WITHIN)))
        yield {**row, "same": row["called"] == whole[number]["called"]}
    for times in as_it_is.TIMES:
        row = asked(f"{times} times", np.tile(clips[0], times))
        yield {**row, "same": row["called"] == whole[0]["called"]}


def _told(emotion: Any, seconds: float) -> dict[str, Any]:
    called = max(emotion, key=emotion.get)
    return {"called": called, "confidence": float(emotion[called]), "seconds": float(seconds)}


def _strangers(template: Predictor) -> Iterator[tuple[Predictor, pd.DataFrame]]:
    """A predictor for each fold of the first deal, and the clips of the speakers it does not know.

    Its temperature and its `sharpness` come from the other folds.
    """
    experiment = recipe.shipped()
    seed = experiment.seeds[0]
    data = Dataset(HOME, experiment.representation)
    clips, embeddings = data.clips, data.embeddings
    trained = [train_fold(experiment, seed, fold) for fold in TRAINED]
    probabilities = np.empty((len(clips), len(EMOTIONS)))
    of_fold = np.full(len(clips), -1)  # in none of these folds
    for fold, (network, split) in enumerate(trained):
        answers = network.predict(_tensor(embeddings[split.test]))
        names = clips["clip"].to_numpy()[split.test]
        rows = predictions.frame(answers, names, seed, fold)
        probabilities[split.test], of_fold[split.test] = rows[predictions.PROBABILITIES], fold
    labels = pd.Categorical(clips["emotion"], EMOTIONS).codes.astype(int)
    people = np.unique(clips["speaker"].astype(str), return_inverse=True)[1]
    for fold, (network, split) in enumerate(trained):
        others = (of_fold >= 0) & (of_fold != fold)
        p, y = probabilities[others], labels[others]
        temperature = calibration.temperature(p, y)
        sharpness = calibration.sharpness(
            calibration.tempered(p, temperature), y, embeddings[others], people[others]
        )
        print(f"fold {fold}: temperature {temperature:.2f}, sharpness {sharpness:.2f}", flush=True)
        known = np.concatenate([split.train, split.validation])
        space = voices.fit(embeddings[known], people[known])
        calibrated = template.card["calibration"]
        emotion = {**calibrated["emotion"], "sharpness": sharpness}
        card = {**template.card, "calibration": {**calibrated, "emotion": emotion}}
        heads = write_heads(network, space, (temperature, 1.0))
        model = replace(template.model, card=card, heads=heads)
        yield Predictor(model), clips.iloc[split.test]


def _tensor(embeddings: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(embeddings, np.float32))


def _anonymous(answers: pd.DataFrame) -> pd.DataFrame:
    """Speakers as numbers, in the order of what they were answered."""
    order = answers.sort_values(["called", "confidence"])["speaker"].unique()
    return answers.assign(speaker=answers["speaker"].map({s: str(n) for n, s in enumerate(order)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help='what the rows are called: "before" or "now"')
    parser.add_argument("--model", type=Path, help="folder of the model, by default what ships")
    parser.add_argument("--out", type=Path, default=store.shipped() / "results/as_it_is.parquet")
    for corpus in (HOME, *ABROAD):
        parser.add_argument(f"--{corpus}", type=Path, metavar="FOLDER", help="its audio")
    given = vars(parser.parse_args())
    predictor = Predictor.load(given["model"])
    tables, measured = [], []
    for corpus in (HOME, *ABROAD):
        if (folder := given[corpus.replace("-", "_")]) is None:
            continue
        rows = home(predictor, folder) if corpus == HOME else abroad(predictor, corpus, folder)
        answers = pd.DataFrame(rows).assign(corpus=corpus)
        tables.append(as_it_is.sums(answers if corpus == HOME else _anonymous(answers)))
        measured.append(corpus)
    new = pd.concat(tables).assign(measured=given["name"])
    made = {"model": predictor.card["sha256"], "trained": predictor.card["training"],
            **speech.provenance()}  # fmt: skip
    _merge(given["out"], new, given["name"], measured, made)


def _merge(
    out: Path, new: pd.DataFrame, name: str, measured: list[str], made: dict[str, Any]
) -> None:
    """Write the rows in place of those of the same name and corpora; all others stay."""
    provenance: dict[str, Any] = {"made_by": "tools/measure_speech.py"}
    if out.exists():
        table = store.read_table(out)
        old, provenance = pd.DataFrame(table.columns), table.provenance
        stays = (old["measured"] != name) | ~old["corpus"].isin(measured)
        new = pd.concat([old[stays], new])
    provenance.setdefault("measured", {}).setdefault(name, {}).update(dict.fromkeys(measured, made))
    new = new.sort_values(["measured", *as_it_is.KEYS], ignore_index=True)
    store.write_table(out, {c: new[c].to_numpy() for c in new}, provenance)


if __name__ == "__main__":
    main()
