"""Extraction on all cores against each library's own loop over files, in one run.

Speech is found in every clip first, which a library's loop does not do: that is timed by itself, in
one process, and added to the loop. The clips beside the checkout are taken as often as it takes to
outweigh the start of processes, as the whole corpus (7,442 clips) does.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from persona import audio, corpora, features
from persona.audio import speech

SHARED = Path(__file__).resolve().parents[3] / "shared" / "crema-d" / "audio"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no CREMA-D audio beside the checkout")


def librosa_loop(files: list[Path]) -> None:
    import librosa

    for file in files:
        waveform, rate = librosa.load(file, sr=16_000)
        frames = librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=40, n_fft=400, hop_length=160)
        np.concatenate([frames.mean(axis=1), frames.std(axis=1)])


def resemblyzer_loop(files: list[Path]) -> None:
    import librosa
    import resemblyzer

    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    for file in files:
        encoder.embed_utterance(librosa.load(file, sr=16_000)[0])


def opensmile_loop(files: list[Path]) -> None:
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    for file in files:
        smile.process_file(str(file))


class Repeated(corpora.CremaD):
    """The clips beside the checkout, each several times."""

    def __init__(self, times: int) -> None:
        super().__init__(folder=SHARED)
        self.times = times

    def clips(self) -> pd.DataFrame:
        table = super().clips()
        table = table[table["clip"].isin({file.stem for file in SHARED.iterdir()})]
        parts = [table.assign(clip=table["clip"] + f"-{time}") for time in range(self.times)]
        return pd.concat(parts, ignore_index=True)

    def waveform(self, clip: str) -> np.ndarray:
        return super().waveform(clip.rpartition("-")[0])


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("representation", "loop", "times"),
    [("mfcc", librosa_loop, 3), ("dvector", resemblyzer_loop, 1), ("egemaps", opensmile_loop, 1)],
)
def test_extraction_is_faster_than_detection_and_the_librarys_loop(
    representation, loop, times, tmp_path, monkeypatch
):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path))
    corpus = Repeated(times)
    files = [SHARED / f"{clip.rpartition('-')[0]}.flac" for clip in corpus.clips()["clip"]]
    loop(files[:2])  # compiles what librosa compiles
    plain = seconds(lambda: loop(files))
    some = files[:200]
    detection = seconds(lambda: [speech.only(audio.read(file).samples) for file in some])
    detection *= len(files) / len(some)
    ours = seconds(lambda: features.extract(corpus, representation))
    print(
        f"\n{representation}, {len(files)} clips: {plain:.1f} s in the library's loop after "
        f"{detection:.1f} s of finding speech; {ours:.1f} s here, "
        f"{(plain + detection) / ours:.1f} times as fast"
    )
    assert plain + detection > ours
