"""Copies of recordings, in whatever form, under other speakers' names: found and named."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

from persona import corpora, features
from persona.audio import degradations
from persona.keeping import store
from persona.own import copies
from persona.own import train as own

CLIPS = sorted((store.shipped() / "listening").glob("*.flac"))

FORMS = {
    "mp3": (lambda x: degradations.mp3(x, 64), 16_000),
    "half level": (lambda x: x / 2, 16_000),
    "44.1 kHz": (lambda x: soxr.resample(x, 16_000, 44_100), 44_100),
    "cut ends": (lambda x: x[1600:-1600], 16_000),
    "silence before": (lambda x: np.concatenate([np.zeros(8000), x]), 16_000),
    "upside down": (lambda x: -x, 16_000),
    "said twice": (lambda x: np.concatenate([x, np.zeros(8000), x]), 16_000),
    "faster by a hundredth": (lambda x: soxr.resample(x, 16_000, 15_840), 16_000),
    "clipped": (lambda x: np.clip(2 * x / np.abs(x).max(), -1, 1), 16_000),
    "two channels": (lambda x: np.stack([x, 0.3 * x], axis=1), 16_000),
    "faint noise": (lambda x: x + 1e-4 * np.random.default_rng(0).normal(size=len(x)), 16_000),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> corpora.Table:
    """Every clip that ships, and one of them in many forms, each of another speaker."""
    folder = tmp_path_factory.mktemp("copies")
    rows = []
    for clip in CLIPS:
        (folder / clip.name).write_bytes(clip.read_bytes())
        rows.append({"file": clip.name, "speaker": clip.stem})
    original = soundfile.read(CLIPS[0], dtype="float32")[0]
    for name, (made, rate) in FORMS.items():
        soundfile.write(folder / f"{name}.wav", made(original), rate)
        rows.append({"file": f"{name}.wav", "speaker": name})
    pd.DataFrame(rows).to_csv(folder / "t.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONA_BUILD", str(folder / "build"))
        corpus = corpora.load(folder / "t.csv")
        own.embed(corpus, jobs=1)
        yield corpus


@pytest.mark.parametrize("form", FORMS)
def test_are_found_in_any_form_and_nothing_else_is(table, form):
    clips = table.clips()
    rows = clips[clips["clip"].str.endswith(".flac") | (clips["speaker"] == form)].index
    x = features.read(own.DEFAULT, str(table.path)).at(clips["clip"])[rows]
    found = copies.pairs(x, clips["speaker"][rows].tolist())
    assert [{clips["speaker"][rows[i]] for i in pair[:2]} for pair in found] == [
        {CLIPS[0].stem, form}
    ]


def test_are_named_where_they_stand_on_both_sides_of_a_test(table):
    clips = table.clips()
    (said,) = copies.across(clips, str(table.path), [own.DEFAULT])
    assert "pairs of recordings of different speakers sound all but the same" in said
    assert f"{CLIPS[0].name} of {CLIPS[0].stem} and 44.1 kHz.wav of 44.1 kHz" in said
    alone = clips.assign(speaker="one")
    assert copies.across(alone, str(table.path), [own.DEFAULT]) == []
    assert copies.across(alone, str(table.path), [own.DEFAULT], shared_speakers=True)
