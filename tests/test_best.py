"""The best joint model: what it learns from, what it chooses on, and that the app can read it."""

import numpy as np
import pandas as pd
import pytest
import torch

from persona import audio, features, folds, representations
from persona.ablations import _speechocean, best
from persona.errors import CorpusError, PersonaError
from persona.model import Network

WIDTH = 6


@pytest.fixture
def clips() -> pd.DataFrame:
    """Twelve speakers, four clips each."""
    number = np.arange(48)
    return pd.DataFrame(
        {
            "clip": [f"clip{i}" for i in number],
            "speaker": number // 4,
            "gender": np.where(number // 4 % 2, "male", "female"),
            "age": 20.0 + number // 4,
            "emotion": np.array(best.corpora.EMOTIONS)[number % 6],
        }
    )


@pytest.fixture
def embeddings() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(48, WIDTH)).astype(np.float32)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two short candidates, and two strangers with ages 30 and 8."""
    short = best.Recipe(epochs=2, batch=8)
    monkeypatch.setattr(best, "CANDIDATES", (short, best.Recipe(0.2, epochs=2, batch=8)))
    strangers = pd.DataFrame(
        {"clip": "ab", "speaker": "ab", "age": [30, 8], "gender": ["male", "female"]}
    )
    monkeypatch.setattr(_speechocean, "read", lambda: (strangers, np.ones((2, WIDTH), np.float32)))
    return short


def test_strangers_teach_age_and_gender_but_no_emotion(clips, embeddings):
    data = best.rows(embeddings, clips, "everyone")
    assert data.known[48:].tolist() == [[0, 1, 1], [0, 1, 1]]
    assert data.targets.age[48:].tolist() == [30, 8]
    assert data.targets.gender[48:].tolist() == [1, 0]


def test_only_adults_are_taken_where_only_adults_are_asked_for(clips, embeddings):
    assert best.rows(embeddings, clips, "adults").targets.age[48:].tolist() == [30]
    assert len(best.rows(embeddings, clips, "none").embeddings) == 48


def test_a_strangers_emotion_changes_nothing(clips, embeddings, quick):
    first = best.rows(embeddings, clips, "everyone")
    second = best.rows(embeddings, clips, "everyone")
    second.targets.emotion[48:] = 3
    one, two = (best.train(data, np.arange(50), [0], quick) for data in (first, second))
    assert torch.equal(one.emotion.weight, two.emotion.weight)


def test_what_is_trained_is_the_plain_network_without_dropout(clips, embeddings, quick):
    network = best.train(best.rows(embeddings, clips), np.arange(48), [0, 1], quick)
    assert type(network) is Network and not network.training
    x = torch.from_numpy(embeddings)
    assert torch.equal(network.predict(x).age, network.predict(x).age)
    assert network.predict(x).emotion.shape == (2, 48, 6)


def test_training_is_repeatable(clips, embeddings, quick):
    data = best.rows(embeddings, clips)
    one, two = (best.train(data, np.arange(48), [5], quick) for _ in range(2))
    assert torch.equal(one.age.weight, two.age.weight)


def test_nothing_is_chosen_or_learnt_on_the_test_fold(clips, embeddings):
    split = folds.split(clips, "speaker-disjoint", 0)[0]
    other = clips.copy()
    other.loc[split.test, "emotion"] = "anger"
    other.loc[split.test, "age"] = 99.0
    one, two = (
        best.estimate(embeddings, table, split, 0, networks=2, nested=True)
        for table in (clips, other)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_age_is_drawn_to_the_mean_where_held_out_speakers_say_it_is_noise(clips, embeddings):
    data = best.rows(embeddings, clips)
    _, slope = best.choose(data, clips, np.arange(48), 0)
    assert 0 <= slope <= 1
    network, chosen = best.train_chosen(data, clips, np.arange(48), [0])
    assert network.age_scale.item() == pytest.approx(clips["age"].std(ddof=0) * slope, rel=1e-4)
    assert chosen["age_slope"] == slope


def test_strangers_clips_are_read_as_far_as_they_are_listed(tmp_path):
    for part, speaker in (("train", "0001"), ("test", "0002")):
        (tmp_path / part).mkdir()
        lines = [f"{speaker}{i:03d} {speaker}\n" for i in range(20)]
        (tmp_path / part / "utt2spk").write_text("".join(lines))
        (tmp_path / part / "spk2age").write_text(f"{speaker} 7\n")
        (tmp_path / part / "spk2gender").write_text(f"{speaker} f\n")
    chosen = _speechocean.clips(tmp_path)
    assert list(chosen["clip"][:3]) == ["0001000", "0001002", "0001004"] and len(chosen) == 20
    assert set(chosen["gender"]) == {"female"} and set(chosen["age"]) == {7}
    assert chosen["file"][0] == tmp_path / "WAVE" / "SPEAKER0001" / "0001000.WAV"


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="utt2spk is missing"):
        _speechocean.clips(tmp_path)


class TestShippedTable:
    def test_it_holds_ten_clips_of_each_of_250_people(self, monkeypatch):
        monkeypatch.undo()
        people, vectors = _speechocean.read()
        assert (people.groupby("speaker").size() == _speechocean.CLIPS).all()
        assert people["speaker"].nunique() == _speechocean.SPEAKERS
        assert vectors.shape == (2500, features.read(best.OURS).embeddings.shape[1])
        assert np.isfinite(vectors).all()


class TestLayers:
    @pytest.fixture(scope="class")
    def waveforms(self):
        rng = np.random.default_rng(0)
        return [rng.normal(0, 0.1, n).astype(np.float32) for n in (16_000, 40_000, 23_000)]

    def test_a_clip_does_not_depend_on_its_neighbours(self, waveforms):
        layers = representations.load("dvector_layers")
        together = layers.embed(waveforms)
        alone = np.concatenate([layers.embed([w]) for w in waveforms])
        assert abs(together - alone).max() <= layers.STEP

    def test_they_are_statistics_of_the_whole_networks_outputs(self, waveforms):
        layers = representations.load("dvector_layers", layers="3")
        mel = torch.from_numpy(layers._mel(waveforms[0]))[None]
        with torch.inference_mode():
            outputs, _ = layers._encoder.lstm(mel)
        expected = torch.cat([outputs[0].mean(0), outputs[0].std(0, correction=0)])
        assert abs(layers.embed(waveforms[:1])[0] - expected.numpy()).max() < 0.51 * layers.STEP

    def test_layers_are_chosen_by_number(self, waveforms):
        both = representations.load("dvector_layers").embed(waveforms)
        second = representations.load("dvector_layers", layers="2").embed(waveforms)
        assert np.array_equal(both[:, :512], second)
        with pytest.raises(PersonaError, match="name some of the three"):
            representations.load("dvector_layers", layers="4")

    def test_silence_is_finite(self):
        silent = np.zeros(audio.RATE, np.float32)
        assert np.isfinite(representations.load("dvector_layers").embed([silent])).all()
