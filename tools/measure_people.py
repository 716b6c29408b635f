"""How well people are told apart, in conversations made of recordings of single people.

`python tools/measure_people.py crema-d --half measured --folder AUDIO --out rows.csv` simulates
conversations of 14 turns of one to six people, half of them with a microphone, a room and a codec
for each turn, tells their people apart, and prints errors. A row of the CSV is a conversation.

What is spoken may be `crema-d` or `emodb` (each turn one to three clips of one emotion), or a
folder of recordings of one person each, of which a turn is two to seven seconds. The threshold
was chosen on the actors of the half `choosing`.
"""

import argparse
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import audio, corpora
from persona.audio import RATE
from persona.audio.speech import Listener, Window
from persona.people.conversations import Turn, conversation
from persona.people.diarisation import Diarisation, Heard, parts
from persona.people.scoring import score
from persona.representations.campplus import CAMPPlus

PEOPLE = range(1, 7)
HALVES = {"choosing": slice(0, None, 2), "measured": slice(1, None, 2), "all": slice(None)}


def actors(name: str, folder: Path | None, half: str) -> tuple[dict[str, Turn], dict[str, str]]:
    """What each speaker of a corpus says in a turn, and their sex."""
    corpus = corpora.load(name, **({"folder": folder} if folder else {}))
    clips = corpus.clips()
    clips = clips[~clips["clip"].isin([problem.clip for problem in corpus.problems()])]
    chosen = sorted(clips["speaker"].unique())[HALVES[half]]

    def turn(speaker: Any) -> Turn:
        own = clips[clips["speaker"] == speaker]
        feelings = {str(e): some.tolist() for e, some in own.groupby("emotion")["clip"]}

        def say(rng: np.random.Generator) -> np.ndarray:
            some = feelings[str(rng.choice(sorted(feelings)))]
            count = min(len(some), int(rng.integers(1, 4)))
            return np.concatenate(
                [corpus.waveform(str(clip)) for clip in rng.choice(some, count, replace=False)]
            )

        return say

    sex = clips.groupby("speaker")["gender"].first()
    return {str(s): turn(s) for s in chosen}, {str(s): str(sex[s]) for s in chosen}


def readers(folder: Path) -> tuple[dict[str, Turn], dict[str, str]]:
    """What each reads in a turn: a part of their recording, wherever it begins."""
    load = cache(lambda file: audio.read(file).samples)

    def turn(file: Path) -> Turn:
        def say(rng: np.random.Generator) -> np.ndarray:
            samples, size = load(file), round(rng.uniform(2, 7) * RATE)
            start = int(rng.integers(0, max(1, len(samples) - size)))
            return samples[start : start + size]

        return say

    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in audio.EXTENSIONS)
    return {file.name: turn(file) for file in files}, {}


def measure(turns: dict[str, Turn], sex: dict[str, str], each: int) -> Iterator[dict[str, Any]]:
    ear = CAMPPlus()

    def run(window: Window) -> Heard:
        embedding, frames = ear.heard(window.samples)
        return Heard(window, embedding, None, ear.voices(frames, parts(window) / RATE))

    for count, number, devices in product(PEOPLE, range(each), (False, True)):
        rng = np.random.default_rng((count, number, devices))
        names = [str(name) for name in rng.choice(sorted(turns), count, replace=False)]
        seed = int(rng.integers(1 << 30))
        made = conversation({name: turns[name] for name in names}, seed, devices=devices)
        listener, told_apart = Listener(), Diarisation(run)
        for window in listener.windows([made.samples]):
            told_apart.hear(run(window))
        found = [
            (max(a, said.start), min(b, said.end), str(person))
            for person, speaker in enumerate(told_apart.speakers())
            for said in speaker.said
            for a, b in listener.segments
            if min(b, said.end) > max(a, said.start)
        ]
        sexes = {sex.get(name) for name in names}
        yield {
            "devices": devices, "sex": "same" if len(sexes) == 1 else "mixed",
            "seconds": len(made.samples) / RATE, **score(made.turns, found)._asdict(),
        }  # fmt: skip


def summed(rows: pd.DataFrame) -> dict[str, Any]:
    """Shares of speech, in percent, and how often the number of people was right."""
    speech = rows["speech"].sum() / 100
    right = rows["people"] == rows["true_people"]
    return {
        "confusion": rows["confusion"].sum() / speech,
        "missed + false alarm": (rows["missed"] + rows["false_alarm"]).sum() / speech,
        "count right": f"{right.sum()}/{len(rows)}",
        "count off by one or less": f"{((rows['people'] - rows['true_people']).abs() < 2).sum()}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("spoken", help="crema-d, emodb, or a folder of recordings")
    parser.add_argument("--folder", type=Path, help="of the corpus's audio")
    parser.add_argument("--half", choices=HALVES, default="all", help="of the actors")
    parser.add_argument("--each", type=int, default=4, help="conversations of a number of people")
    parser.add_argument("--out", type=Path, help="CSV of the conversations")
    given = parser.parse_args()
    if given.spoken in corpora.NAMES:
        voices = actors(given.spoken, given.folder, given.half)
    else:
        voices = readers(Path(given.spoken))
    rows = []
    for row in measure(*voices, given.each):
        rows.append(row)
        if given.out:
            pd.DataFrame(rows).to_csv(given.out, index=False)
    table = pd.DataFrame(rows)
    several = table[table["true_people"] > 1]
    groups = {"all": table, "clean": table[~table["devices"]], "devices": table[table["devices"]]}
    groups |= {f"{n} people": some for n, some in table.groupby("true_people")}
    groups |= {f"{sex} sex": some for sex, some in several.groupby("sex")}
    print(pd.DataFrame({name: summed(some) for name, some in groups.items()}).T.to_string())


if __name__ == "__main__":
    main()
