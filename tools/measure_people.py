"""How well people are told apart, and what its errors do to answers: data/results/people.parquet.

python tools/measure_people.py crema-d=AUDIO emodb=AUDIO readers=FOLDER

Conversations of 14 turns of one to six people are simulated, half of them with a microphone, a room
and a codec for each turn. The model that ships answers to each person found, to each person's own
turns heard alone, and to all as if one person spoke. A row is a conversation; it names nobody.

What is spoken is of a corpus of actors (each turn one to three clips of one emotion), or of
`readers`, a folder of recordings of one person each, of which a turn is two to seven seconds. The
constants of `people.diarisation` were chosen on every other actor of CREMA-D; none of them is here.
A corpus that was measured stays in build/people, until the model or a constant changes.

`--brief` counts instead how many people are found where a man and a woman of CREMA-D say one clip
each, where one actor says four, and in each reader's recording.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import Predictor, audio, corpora
from persona.audio import RATE
from persona.errors import AudioError
from persona.keeping import store
from persona.model import summary
from persona.model.prediction import Prediction
from persona.people import diarisation
from persona.people.conversations import Conversation, Turn, conversation
from persona.people.scoring import by_turn, score

PEOPLE, EACH = range(1, 7), 6

FEELINGS = ("changes", "of each person", "of all")
"""How long an actor keeps an emotion: a turn, or all turns; and whether all have the same."""

PAUSE = 0.6
"""Seconds between a person's turns that are heard alone."""

SHORT = 3.0
"""Seconds of speech below which a turn is short."""

Say = Callable[[str, str | None], Turn]
"""What somebody says in a turn, with an emotion or, for None, with a new one in each."""


def actors(name: str, folder: Path) -> tuple[Say, dict[str, str], list[str]]:
    """What each speaker of a corpus says, their sex, and the emotions there are."""
    corpus = corpora.load(name, folder=folder)
    clips = corpus.clips()
    clips = clips[~clips["clip"].isin([problem.clip for problem in corpus.problems()])]
    speakers = sorted(clips["speaker"].astype(str).unique())
    clips = clips.assign(speaker=clips["speaker"].astype(str))
    clips = clips[clips["speaker"].isin(speakers[1::2] if name == "crema-d" else speakers)]
    said = {key: some.tolist() for key, some in clips.groupby(["speaker", "emotion"])["clip"]}

    def say(speaker: str, emotion: str | None) -> Turn:
        own = sorted(e for s, e in said if s == speaker)

        def turn(rng: np.random.Generator) -> np.ndarray:
            some = said[speaker, emotion if emotion in own else str(rng.choice(own))]
            chosen = rng.choice(some, min(len(some), int(rng.integers(1, 4))), replace=False)
            return np.concatenate([corpus.waveform(str(clip)) for clip in chosen])

        return turn

    sex = clips.groupby("speaker")["gender"].first().astype(str)
    return say, dict(sex), sorted(clips["emotion"].dropna().unique())


def readers(folder: Path) -> tuple[Say, dict[str, str], list[str]]:
    """What each reads in a turn: a part of their recording, wherever it begins."""
    load = cache(lambda file: audio.read(file).samples)

    def say(file: str, _: str | None) -> Turn:
        def turn(rng: np.random.Generator) -> np.ndarray:
            samples, size = load(file), round(rng.uniform(2, 7) * RATE)
            start = int(rng.integers(0, max(1, len(samples) - size)))
            return samples[start : start + size]

        return turn

    files = sorted(str(f) for f in folder.rglob("*") if f.suffix.lower() in audio.EXTENSIONS)
    return say, dict.fromkeys(files, ""), []


def simulated(
    say: Say, sex: dict[str, str], emotions: Sequence[str]
) -> Iterator[tuple[dict[str, Any], Conversation]]:
    """Each conversation, and what it is one of."""
    for count, number, devices in product(PEOPLE, range(EACH), (False, True)):
        rng = np.random.default_rng((count, number, devices))
        names = [str(name) for name in rng.choice(sorted(sex), count, replace=False)]
        feeling = FEELINGS[number % len(FEELINGS)] if emotions else ""
        drawn = [str(emotion) for emotion in rng.choice(emotions or [""], count)]
        kept: dict[str, str | None] = dict.fromkeys(names)
        if feeling == "of each person":
            kept = dict(zip(names, drawn, strict=True))
        elif feeling == "of all":
            kept = dict.fromkeys(names, drawn[0])
        turns = {name: say(name, kept[name]) for name in names}
        made = conversation(turns, int(rng.integers(1 << 30)), devices=devices)
        sexes = {sex[name] for name in names}
        yield {
            "people": count, "devices": devices, "feeling": feeling,
            "sex": "" if sexes == {""} else "same" if len(sexes) == 1 else "mixed",
        }, made  # fmt: skip


def alone(made: Conversation, name: str) -> np.ndarray:
    """What one person says, their turns one after another."""
    pause = np.zeros(round(PAUSE * RATE), np.float32)
    parts = [
        part
        for start, end, who in made.turns
        if who == name
        for part in (made.samples[round(start * RATE) : round(end * RATE)], pause)
    ]
    return np.concatenate(parts)


def answers(predictor: Predictor, made: Conversation, found: Prediction) -> dict[str, float]:
    """How the answers to people found, and to all as one, differ from those to them alone."""
    as_one = predictor.predict((made.samples, RATE), people=1)
    counts = dict.fromkeys(
        f"{way}_{what}" for way in ("found", "as_one") for what in ("emotion", "gender", "years")
    )
    counts = {"asked": 0, **dict.fromkeys(counts, 0.0)}
    for name in sorted({who for *_, who in made.turns}):
        try:
            own = predictor.predict((alone(made, name), RATE), people=1)
        except AudioError:  # too little of them
            continue
        spoken = [(start, end) for start, end, who in made.turns if who == name]
        person = max(found.people, key=lambda other: together(spoken, other.turns))
        counts["asked"] += 1
        for way, other in (("found", person), ("as_one", as_one)):
            for what in ("emotion", "gender"):
                one, two = getattr(own, what), getattr(other, what)
                counts[f"{way}_{what}"] += max(one, key=one.get) == max(two, key=two.get)
            counts[f"{way}_years"] += abs(own.age - other.age)
    return counts


def together(spoken: Sequence[tuple[float, float]], turns: Sequence[Any]) -> float:
    """Seconds of somebody's speech in the turns of somebody found."""
    pieces = [piece for turn in turns for piece in turn.speech]
    return sum(
        max(0.0, min(end, until) - max(start, since))
        for start, end in spoken
        for since, until in pieces
    )


def measured(predictor: Predictor, spoken: str, folder: Path) -> Iterator[dict[str, Any]]:
    cast = readers(folder) if spoken == "readers" else actors(spoken, folder)
    for what, made in simulated(*cast):
        found = predictor.predict((made.samples, RATE))
        turns = [
            (start, end, str(number))
            for number, person in enumerate(found.people)
            for turn in person.turns
            for start, end in turn.speech
        ]
        scored = score(made.turns, turns)
        lengths = by_turn(made.turns, turns)
        short = [row for row in lengths if row.seconds < SHORT]
        yield {
            "spoken": spoken, **what, "seconds": len(made.samples) / RATE,
            "speech": scored.speech, "missed": scored.missed, "false_alarm": scored.false_alarm,
            "confusion": scored.confusion, "found": scored.people,
            "speech_short": sum(row.heard for row in short),
            "confusion_short": sum(row.confusion for row in short),
            "speech_long": sum(row.heard for row in lengths if row.seconds >= SHORT),
            "confusion_long": sum(row.confusion for row in lengths if row.seconds >= SHORT),
            **answers(predictor, made, found),
        }  # fmt: skip


def brief(predictor: Predictor, folders: dict[str, Path]) -> None:
    """How often one, two and more people are found in recordings that hold little or one person."""
    corpus = corpora.load("crema-d", folder=folders["crema-d"])
    clips, rng = corpus.clips(), np.random.default_rng(0)
    clips = clips[~clips["clip"].isin([problem.clip for problem in corpus.problems()])]
    pause = np.zeros(round(PAUSE / 2 * RATE), np.float32)

    def people(names: Sequence[str]) -> int:
        said = [part for name in names for part in (corpus.waveform(name), pause)]
        return len(predictor.predict((np.concatenate(said), RATE)).people)

    sexes = [clips[clips["gender"] == sex]["clip"].tolist() for sex in ("male", "female")]
    pairs = [people([str(rng.choice(some)) for some in sexes]) for _ in range(40)]
    speakers = [own["clip"].tolist() for _, own in clips.groupby("speaker")][:60]
    alone = [people(rng.choice(own, 4, replace=False).tolist()) for own in speakers]
    files = sorted(f for f in folders["readers"].rglob("*") if f.suffix in audio.EXTENSIONS)
    read = [len(predictor.predict(file).people) for file in files]
    for title, found in {"pairs": pairs, "actors": alone, "readers": read}.items():
        print(title, dict(zip(*np.unique(found, return_counts=True), strict=True)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("spoken", nargs="+", help="crema-d, emodb or readers, =, and their folder")
    parser.add_argument("--brief", action="store_true", help="count people in brief recordings")
    given = parser.parse_args()
    predictor = Predictor.load()
    folders = {name: Path(folder) for name, folder in (text.split("=", 1) for text in given.spoken)}
    if given.brief:
        return brief(predictor, folders)
    names = ("PART", "LEAST", "SURE", "ALIKE", "ALONE", "FEWEST", "STRETCH")
    made = {
        "made_by": "tools/measure_people.py",
        "model": predictor.fingerprint,
        "constants": {name: getattr(diarisation, name) for name in names}
        | {name: getattr(summary, name) for name in ("SURELY", "HEARD", "SHARE")},
        "conversations": EACH,
    }
    tables = []
    for spoken, folder in folders.items():
        file = store.made() / "people" / f"{spoken}-{store.fingerprint(made)[:12]}.parquet"
        if not file.exists():
            rows = pd.DataFrame(measured(predictor, spoken, folder))
            store.write_table(file, {name: rows[name].to_numpy() for name in rows}, made)
            print(f"{spoken}: measured", flush=True)
        tables.append(pd.DataFrame(store.read_table(file).columns))
    table = pd.concat(tables, ignore_index=True)
    out = store.shipped() / "results" / "people.parquet"
    store.write_table(out, {name: table[name].to_numpy() for name in table}, made)


if __name__ == "__main__":
    main()
