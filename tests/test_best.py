"""The best joint model: what it learns from, what it chooses on, and that the app can read it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from persona import ablations, audio, features, folds, representations
from persona.ablations import _speechocean, best
from persona.ablations._copies import Copy
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
    """A short recipe, and two strangers with ages 30 and 8."""
    short = best.Recipe(epochs=2, batch=8)
    strangers = pd.DataFrame(
        {"clip": "ab", "speaker": "ab", "age": [30, 8], "gender": ["male", "female"]}
    )
    monkeypatch.setattr(_speechocean, "read", lambda: (strangers, np.ones((2, WIDTH), np.float32)))
    return short


def test_strangers_teach_age_and_gender_but_no_emotion(clips, embeddings):
    data = best.rows(embeddings, clips, others=True)
    assert data.known[48:].tolist() == [[0, 1, 1], [0, 1, 1]]
    assert data.targets.age[48:].tolist() == [30, 8]
    assert data.targets.gender[48:].tolist() == [1, 0]


@pytest.fixture
def copies(clips, monkeypatch) -> list[Copy]:
    """White noise in every clip, but for the last, which has speaker 3 talking over it."""
    made = [Copy(clip, "white", 10) for clip in clips["clip"]]
    made[47] = Copy("clip47", "babble", 10, ("clip12",))
    table = features.FeatureTable(clips["clip"].to_numpy(), np.ones((48, WIDTH), np.float32), {})
    monkeypatch.setattr(best, "training_copies", lambda clips: made)
    monkeypatch.setattr(best.features, "read", lambda name: table)
    return made


def test_degraded_copies_are_labelled_as_their_clips(clips, embeddings, copies):
    data = best.rows(embeddings, clips, degraded=True, others=True)
    assert len(data.embeddings) == 48 + 48 + 2
    assert torch.equal(data.targets.emotion[48:96], data.targets.emotion[:48])
    assert (data.embeddings[48:96] == 1).all() and (data.known[:96] == 1).all()


def test_with_a_clip_go_its_copy_and_all_strangers(clips, embeddings, copies):
    data = best.rows(embeddings, clips, degraded=True, others=True)
    assert data.learnable(np.array([3, 5])).tolist() == [3, 5, 51, 53, 96, 97]
    alone = best.rows(embeddings, clips)
    assert alone.learnable(np.array([3, 5])).tolist() == [3, 5]


def test_nobody_talks_over_a_copy_who_is_not_learnt_from(clips, embeddings, copies):
    data = best.rows(embeddings, clips, degraded=True)
    assert 48 + 47 in data.learnable(np.array([12, 47]))
    assert 48 + 47 not in data.learnable(np.array([11, 47]))


def test_a_strangers_emotion_changes_nothing(clips, embeddings, quick):
    first = best.rows(embeddings, clips, others=True)
    second = best.rows(embeddings, clips, others=True)
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


def test_nothing_is_chosen_or_learnt_on_the_test_fold(clips, embeddings, quick):
    candidates = (quick, replace(quick, dropout=0.2))
    split = folds.split(clips, "speaker-disjoint", 0)[0]
    other = clips.copy()
    other.loc[split.test, "emotion"] = "anger"
    other.loc[split.test, "age"] = 99.0
    one, two = (
        best.estimate(embeddings, table, split, 0, networks=2, candidates=candidates)
        for table in (clips, other)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_emotions_choose_the_recipe_and_the_ages_their_own_dropout(clips, quick):
    """Emotion and age are written in the vectors: who drops nearly all of them learns nothing."""
    emotion = pd.Categorical(clips["emotion"], best.corpora.EMOTIONS).codes
    written = np.concatenate([np.eye(6)[emotion], clips[["age"]] / 10], axis=1).astype(np.float32)
    data = best.rows(written, clips)
    learns = replace(quick, epochs=60, batch=4, learning_rate=0.01, dropout=0.1, age_dropout=0.95)
    deaf = replace(learns, dropout=0.99, age_dropout=0.1)
    for candidates in ((learns, deaf), (deaf, learns)):
        assert best.choose(data, np.arange(48), 0, candidates) == replace(learns, age_dropout=0.1)


def test_one_candidate_needs_no_choosing(clips, embeddings, quick):
    assert best.choose(best.rows(embeddings, clips), np.arange(48), 0, (quick,)) is quick


@pytest.mark.parametrize("head", ["number", "linear"])
def test_without_dropout_it_is_the_plain_network_for_far_inputs_too(embeddings, quick, head):
    recipe = replace(quick, age_head=head, dropout=0.0, age_dropout=0.0)
    training = best._Dropout(WIDTH, [0], recipe)
    x = torch.from_numpy(embeddings)
    training.standardise(0, x, torch.arange(48.0))
    torch.nn.init.ones_(training.age.weight)
    plain = Network(WIDTH, "fcn", [0], head, recipe.hidden)
    plain.load_state_dict(training.state_dict())
    for one, two in zip(training(100 * x), plain(100 * x), strict=True):
        assert torch.equal(one, two)


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


class TestShippedTables:
    def test_the_ladder_holds_every_step_for_every_speaker_and_seed(self):
        counts = ablations.results("best")
        assert list(counts) == [variant.name for variant in best.LADDER]
        for step in counts.values():
            assert step.age.shape[:2] == (len(best.SEEDS), 91)

    def test_there_are_ten_clips_of_each_of_250_people(self, monkeypatch):
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
