"""Halves of clips and clips joined are a corpus of their own, made of one person's clips."""

import numpy as np
import pandas as pd
import pytest
from crema_d_samples import save_wav

from persona.audio import RATE
from persona.corpora import CremaD, Phrases, Table, made_of, within
from persona.corpora.phrases import PAUSE

CLIPS = CremaD().clips().set_index("clip")


@pytest.fixture
def original(tmp_path):
    """Three clips of each of two speakers; they hold noise, in which no speech is found."""
    rng = np.random.default_rng(0)
    rows = []
    for speaker in "uv":
        for number in range(3):
            save_wav(tmp_path / f"{speaker}{number}.wav", rng.integers(-9999, 9999, 4000 + number))
            rows.append(f"{speaker}{number}.wav,{speaker},sad,female,30")
    (tmp_path / "my.csv").write_text("\n".join(["file,speaker,emotion,gender,age", *rows]))
    return Table(tmp_path / "my.csv")


def test_of_every_clip_there_is_one_half_whatever_its_emotion_as_often_the_first():
    halves = Phrases(kind="halves")
    assert [part for (part,) in halves.parts.values()] == CLIPS.index.tolist()
    numbers = pd.Series([phrase.half for phrase in halves.phrases.values()], CLIPS.index)
    assert (numbers.groupby(CLIPS["emotion"]).mean() - 0.5).abs().max() < 0.05


def test_what_is_joined_is_of_one_person_and_emotion_and_each_clip_is_used_once():
    joined = Phrases(kind="joined").clips()
    used = [name for pair in joined["original"] for name in pair]
    assert len(used) == len(set(used)) > 0.99 * len(CLIPS)
    for label in ("speaker", "emotion", "gender", "age"):
        first, second = ([CLIPS[label][pair[i]] for pair in joined["original"]] for i in (0, 1))
        assert first == second == joined[label].tolist()


def test_every_other_pair_has_a_pause():
    pauses = [phrase.pause for phrase in Phrases(kind="joined").phrases.values()]
    some = [pause for pause in pauses if pause]
    assert abs(len(some) - len(pauses) / 2) <= 1
    assert PAUSE[0] <= min(some) < 0.15 and 0.95 < max(some) <= PAUSE[1]


def test_a_half_is_half_of_the_samples(original):
    halves = Phrases(original, "halves")
    for clip, (name,) in halves.parts.items():
        whole = original.waveform(name)
        whole = whole - whole.mean()
        middle = len(whole) // 2
        wanted = whole[middle:] if "second" in clip else whole[:middle]
        np.testing.assert_allclose(halves.waveform(clip), wanted, atol=1 / 32768)


def test_joined_clips_follow_each_other_with_a_pause_far_below_them(original):
    joined = Phrases(original, "joined")
    for clip, (first, second) in joined.parts.items():
        a, b = original.waveform(first), original.waveform(second)
        made = joined.waveform(clip)
        pause = round(joined.phrases[clip].pause * RATE)
        assert len(made) == len(a) + pause + len(b)
        np.testing.assert_allclose(made[: len(a)], a - a.mean(), atol=1 / 32768)
        np.testing.assert_allclose(made[len(made) - len(b) :], b - b.mean(), atol=1 / 32768)
        if pause:
            between = made[len(a) : len(a) + pause]
            assert 0 < between.std() < 0.005 * a.std()
        assert np.array_equal(made, joined.waveform(clip))


def test_other_audio_or_another_pause_is_another_clip(original, tmp_path):
    before = Phrases(original, "joined").digests()
    save_wav(tmp_path / "u0.wav", np.arange(4000))
    after = Phrases(Table(tmp_path / "my.csv"), "joined").digests()
    changed = {clip for clip in before if before[clip] != after[clip]}
    assert changed == {clip for clip in before if "u0.wav" in clip}


def test_a_pair_goes_only_where_both_of_its_clips_are_trained_on():
    joined = Phrases(kind="joined").clips()
    first = [pair[0] for pair in joined["original"]]
    assert not made_of(joined, first).any()
    assert made_of(joined, CLIPS.index).all()
    assert made_of(joined, joined["original"][5]).sum() == 1
    people = joined["speaker"].unique()[:3]
    assert (within(joined, people) == joined["speaker"].isin(people)).all()


def test_what_is_missing_is_named_by_the_phrase(original, tmp_path):
    (tmp_path / "v1.wav").unlink()
    missing = Phrases(original, "halves").problems()
    assert [(p.clip.split()[0], p.reason) for p in missing] == [("v1.wav", "missing")]
