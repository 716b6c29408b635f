"""Broken inputs by the thousand: `python fuzzing.py TARGET FIRST COUNT` tries a batch of them.

Each number makes one input, the same every time: a real one, mutated. It prints the number before
it tries it, so that a crash of the process tells which input it was. Only `PersonaError` may come
out, within ten seconds and 4 GB.
"""

import copy
import json
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import toy_model
from audio_samples import encode, encode_by_ffmpeg

from persona import audio
from persona.audio import speech
from persona.audio.windows import windowed
from persona.corpora import Table
from persona.errors import PersonaError
from persona.keeping import store
from persona.model import card as cards
from persona.model.heads import Heads

SECONDS, WAITING, MEMORY = 10, 120, 4 << 30
SIZES = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)  # as headers lie
ODD = (None, -1, 0, 1e308, float("nan"), float("inf"), "", "../x", "\0", [], {}, [[]], True, 10**30)
CODECS = {
    "mp3": "libmp3lame", "ogg": "libopus", "webm": "libopus", "mp4": "aac", "adts": "aac",
    "asf": "wmav2", "3gp": "aac", "caf": "pcm_s16le", "matroska": "flac", "aiff": "pcm_s16be",
}  # fmt: skip


@cache
def recordings() -> list[bytes]:
    voice = audio.read(toy_model.CLIP).samples[:16_000]
    subtypes = ("PCM_16", "PCM_U8", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM")
    made = [encode(voice, subtype=subtype) for subtype in subtypes]
    made += [encode(voice, container=container) for container in ("FLAC", "W64", "RF64", "AU")]
    return made + [
        encode_by_ffmpeg(voice, 16_000, codec, container, bit_rate=64_000)
        for container, codec in CODECS.items()
    ]


@cache
def graph() -> bytes:
    return toy_model.model().heads


@cache
def table() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.parquet"
        rows = np.arange(40, dtype=np.float32).reshape(10, 4)
        store.write_table(file, {"clip": np.arange(10).astype(str), "embedding": rows}, {"a": 1})
        return file.read_bytes()


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four of: flipped bits, a lying size, a cut end, a piece moved, doubled or removed."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if len(data) < 16:
            break
        # Half of what is done hits the first hundred bytes: the headers.
        reach = len(data) if rng.random() < 0.5 else min(100, len(data))
        at = int(rng.integers(reach - 8)) if reach > 8 else 0
        size = int(rng.integers(1, max(2, len(data) // 4)))
        kind = rng.integers(6)
        if kind == 0:
            for place in rng.integers(reach, size=rng.integers(1, 20)):
                data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            order = "little" if rng.random() < 0.7 else "big"
            data[at : at + 4] = int(rng.choice(SIZES)).to_bytes(4, order)
        elif kind == 2:
            del data[at + size :]
        elif kind == 3:
            del data[at : at + size]
        elif kind == 4:
            data[at:at] = data[at : at + size]
        else:
            other = int(rng.integers(len(data)))
            data[at : at + size] = data[other : other + size]
    return bytes(data)


def odd(content: object, rng: np.random.Generator) -> object:
    """Plain JSON with one value or key of it changed."""
    content = copy.deepcopy(content)
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
            place = place[key]
            continue
        if rng.random() < 0.3:
            del place[key]
        else:
            place[key] = ODD[int(rng.integers(len(ODD)))]
        return content


def try_audio(rng: np.random.Generator) -> None:
    made = recordings()
    data = mutated(made[int(rng.integers(len(made)))], rng)
    with audio.Reader(data) as reader:
        for _ in windowed(speech.Listener().pieces(reader.blocks(10.0))):
            pass


def try_graph(rng: np.random.Generator) -> None:
    heads = Heads(mutated(graph(), rng))
    heads.run(np.zeros((1, heads.dimension), np.float32))


def try_card(rng: np.random.Generator) -> None:
    text = json.dumps(odd(toy_model.card(), rng)).encode()
    text = mutated(text, rng) if rng.random() < 0.3 else text
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "card.json").write_bytes(text)
        cards.read(Path(folder))


def try_table(rng: np.random.Generator) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.parquet"
        file.write_bytes(mutated(table(), rng))
        store.read_table(file)


def try_csv(rng: np.random.Generator) -> None:
    text = b"file,speaker,emotion,gender,age\na.wav,1,sad,female,31\nb.wav,2,anger,male,40\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clips.csv"
        file.write_bytes(mutated(text, rng))
        corpus = Table(file)
        corpus.clips()
        corpus.problems()


TARGETS: dict[str, Callable[[np.random.Generator], None]] = {
    "audio": try_audio, "graph": try_graph, "card": try_card, "table": try_table, "csv": try_csv,
}  # fmt: skip


def main(target: str, first: int, count: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, first + count):
        print(number, flush=True)
        # Either kills the process: a hang is told by its number, and a busy machine makes none.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(WAITING)
        try:
            TARGETS[target](np.random.default_rng(number))
        except PersonaError as error:
            assert str(error).strip(), "an error without a sentence"
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
