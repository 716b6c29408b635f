"""Degraded copies are a corpus: made on the fly, known by what they are made of, free of leaks."""

import numpy as np
import pandas as pd
import pytest
from crema_d_samples import SHARED, needs_crema, save_wav

from persona import audio
from persona.audio import degradations
from persona.corpora import CremaD, Degraded, Problem, Table, load, within
from persona.corpora.degraded import CONDITIONS, KINDS, VOICES, condition
from persona.errors import CorpusError


@pytest.fixture
def original(tmp_path):
    """Two clips of each of six speakers."""
    rng = np.random.default_rng(0)
    rows = []
    for speaker in "uvwxyz":
        for number in range(2):
            save_wav(tmp_path / f"{speaker}{number}.wav", rng.integers(-9999, 9999, 4000))
            rows.append(f"{speaker}{number}.wav,{speaker},sad,female,30")
    (tmp_path / "my.csv").write_text("\n".join(["file,speaker,emotion,gender,age", *rows]))
    return Table(tmp_path / "my.csv")


@pytest.fixture
def few():
    """Names of ten clips of each of the first twelve speakers of CREMA-D."""
    clips = CremaD().clips()
    twelve = clips[clips["speaker"].isin(clips["speaker"].unique()[:12])]
    return twelve.groupby("speaker").head(10)["clip"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_babbles_behind_their_own_voice(few, kind):
    copies = Degraded(kind=kind, subset=few).clips()
    babbles = copies[copies["kind"] == "babble"]
    assert len(babbles) > 0
    for speaker, audible in zip(babbles["speaker"], babbles["audible"], strict=True):
        assert audible[0] == speaker
        assert len(set(audible)) == len(audible) == 1 + VOICES
    others = copies[copies["kind"] != "babble"]
    assert all(others["audible"] == others["speaker"].map(lambda speaker: (speaker,)))


def test_only_the_subset_is_copied_and_babbles(few):
    degraded = Degraded(kind="test", subset=few)
    heard = {clip for c in degraded.copies.values() for clip in (c.original, *c.voices)}
    assert heard == set(few)


def test_every_clip_is_tested_under_every_condition(few):
    copies = Degraded(kind="test", subset=few).clips()
    assert len(copies) == copies["clip"].nunique() == 18 * len(few)
    assert copies["condition"].value_counts().to_dict() == {
        condition(*each): len(few) for each in CONDITIONS
    }


def test_training_copies_are_one_per_clip_of_all_kinds(few):
    copies = Degraded(subset=few).clips()
    assert sorted(copies["original"]) == sorted(few)
    assert set(copies["kind"]) == {"white", "babble", "telephone", "mp3", "short", "level"}
    pd.testing.assert_frame_equal(Degraded(subset=few).clips(), copies)
    assert Degraded(subset=few, seed=1).clips()["clip"].tolist() != copies["clip"].tolist()


def test_the_published_training_copies_are_made_again():
    """Where this differs, raise `degradations.VERSION` and recompute what was made of copies."""
    assert (
        Degraded().fingerprint()
        == "da1cdbe945417637e5f0d2112d40b7945e52d1bd4b8dd3a0769d3d9ccb7b39ac"
    )


def test_copies_carry_their_originals_labels(original):
    copies = Degraded(original).clips().set_index("original")
    labels = original.clips().set_index("clip")
    for column in ("speaker", "gender", "age", "emotion"):
        assert copies[column].to_dict() == labels[column].to_dict()


def test_a_fold_trains_on_no_copy_in_which_another_speaker_is_audible(original):
    copies = Degraded(original, kind="test").clips()
    usable = within(copies, {"u", "v"})
    assert set(copies["speaker"][usable]) == {"u", "v"}
    assert "babble" not in set(copies["kind"][usable])
    assert within(copies, set("uvwxyz")).all()
    plain = within(original.clips(), {"u"})
    assert original.clips()["clip"][plain].tolist() == ["u0.wav", "u1.wav"]


def test_a_copy_is_made_of_the_original_and_its_voices(original):
    degraded = Degraded(original, kind="test")
    for name, copy in degraded.copies.items():
        if copy.original == "u0.wav" and copy.kind in ("none", "short", "babble"):
            voices = [original.waveform(voice) for voice in copy.voices]
            expected = copy.made(original.waveform("u0.wav"), voices).clip(-1, 1)
            assert degraded.waveform(name) == pytest.approx(expected, abs=2**-15)
            assert degraded.waveform(name).dtype == np.float32
            assert (degraded.waveform(name) == degraded.waveform(name)).all()


def test_a_copy_is_rounded_and_clipped_as_a_recording_would_be(original):
    degraded = Degraded(original, kind="test")
    loud = degraded.waveform("u0.wav level +10 dB") * 32768
    assert loud.max() <= 32767 and loud.min() >= -32768
    assert (loud == np.rint(loud)).all()


def test_the_fingerprint_follows_the_audio_the_recipe_and_the_version(original, monkeypatch):
    def fingerprint(**given):
        return Degraded(original, **given).fingerprint()

    before = fingerprint()
    assert before == fingerprint()
    assert len({before, fingerprint(seed=1), fingerprint(kind="test")}) == 3
    monkeypatch.setattr(degradations, "VERSION", degradations.VERSION + 1)
    assert fingerprint() != before
    monkeypatch.undo()
    save_wav(original.file("u0.wav"), np.arange(4000))
    assert fingerprint() != before


def test_a_copy_cannot_be_used_where_its_original_or_a_voice_cannot(original):
    degraded = Degraded(original, kind="test")
    original.file("u0.wav").write_text("not audio")
    babble = next(n for n, c in degraded.copies.items() if "u0.wav" in c.voices)
    needed = [n for n, c in degraded.copies.items() if "u0.wav" in (c.original, *c.voices)]
    assert [p.clip for p in degraded.problems()] == sorted(needed)
    assert degraded.problems([babble]) == [Problem(babble, "corrupt")]
    assert degraded.problems(["v0.wav telephone band"]) == []


def test_what_cannot_be_copied_is_one_sentence(original, few):
    with pytest.raises(CorpusError, match="no kind 'tset' of copies: use one of training, test"):
        Degraded(original, kind="tset")
    with pytest.raises(CorpusError, match=r"my.csv has no clip nobody.wav"):
        Degraded(original, subset=["nobody.wav"]).clips()
    with pytest.raises(CorpusError, match=r"too few speakers here \(1\): a babble needs 4"):
        Degraded(original, subset=["u0.wav"]).clips()
    with pytest.raises(CorpusError, match="it has no file"):
        Degraded(original).file("u0.wav level +10 dB")
    with pytest.raises(CorpusError, match=r"degraded copies \(training\) has no clip u0.wav"):
        Degraded(original).waveform("u0.wav")


def test_the_tested_clips_are_spread_over_speakers_and_emotions():
    copies = load("crema-d-degraded-test").clips()
    originals = copies[copies["kind"] == "none"]
    assert len(originals) == 546 and len(copies) == 18 * 546
    assert originals.groupby("speaker").size().between(5, 6).all()


@needs_crema
def test_real_clips_are_degraded():
    folder = SHARED / "crema-d" / "audio"
    held = {file.stem for file in folder.glob("*.flac")}
    corpus = CremaD(folder=folder)
    subset = [clip for clip in corpus.clips()["clip"] if clip in held]
    degraded = Degraded(corpus, kind="test", subset=subset)
    for number, name in enumerate(degraded.copies):
        if number % 1009 == 0:
            waveform = degraded.waveform(name)
            assert waveform.dtype == np.float32 and len(waveform) >= 0.5 * audio.RATE
            assert np.isfinite(waveform).all() and waveform.any()
