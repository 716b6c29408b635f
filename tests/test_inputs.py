"""Scalings, poolings, fusions and layers: what is compared, and that a learnt sum learns."""

import numpy as np
import pandas as pd
import pytest
import torch

from persona import ablations, corpora, features, training
from persona.ablations import _scores, inputs
from persona.audio import RATE
from persona.evaluation import Sums
from persona.folds import Split
from persona.training import Settings, Targets


def test_there_is_a_variant_for_everything_compared():
    names = {variant.name for variant in inputs.variants()}
    assert len(names) == len(inputs.variants()) == 15
    for section in ("scaling", "pooling", "fusion"):
        assert names >= {name for pair in inputs.pairs(section) for name in pair}


def test_a_fusion_is_compared_with_the_same_less_one():
    fusions = inputs.pairs("fusion")
    assert len(fusions) == 9
    assert ("fusion: mfcc+dvector+egemaps", "fusion: mfcc+egemaps") in fusions
    assert ("fusion: mfcc+dvector+egemaps", "fusion: mfcc") not in fusions
    assert ("fusion: mfcc+dvector", "fusion: egemaps") not in fusions


def test_poolings_are_the_leading_statistics_of_the_table_with_deltas():
    table, mfcc = features.read("mfcc_delta"), features.read("mfcc")
    clips = table.clips[:50]
    pooled = {
        variant.name: variant.transform(table.at(clips))
        for variant in inputs.variants()
        if variant.name.startswith("pooling")
    }
    assert [p.shape[1] for p in pooled.values()] == [40, 80, 160]
    same = pooled["pooling: mean and deviation"]
    assert same == pytest.approx(mfcc.at(clips), rel=1e-5, abs=1e-5)


@pytest.fixture
def toy():
    """120 clips of 12 speakers whose emotion one dimension gives away, on a cubic scale."""
    rng = np.random.default_rng(0)
    emotion = rng.integers(0, 2, 120)
    clips = pd.DataFrame({
        "clip": [f"c{i}" for i in range(120)], "speaker": np.repeat(range(12), 10),
        "emotion": np.array(["anger", "sad"])[emotion], "gender": "female",
        "age": rng.uniform(20, 60, 120),
    })  # fmt: skip
    split = Split(np.arange(70), np.arange(70, 90), np.arange(90, 120))
    return clips, emotion, split


def right(prediction, clips, split):
    said = prediction.emotion.argmax(1)
    return float((said == Targets.of(clips).emotion[split.test]).float().mean())


def test_quantiles_tame_an_outlying_scale_and_come_from_training_rows_only(toy, monkeypatch):
    clips, emotion, split = toy
    informative = np.exp(20.0 * emotion)[:, None]
    noise = np.random.default_rng(1).standard_normal((120, 3))
    embeddings = np.hstack([informative, noise]).astype(np.float32)
    seen = []
    fit = training.fit

    def spy(inputs_, *rest):
        seen.append(inputs_.numpy())
        return fit(inputs_, *rest)

    monkeypatch.setattr(training, "fit", spy)
    settings = Settings(epochs=10, steps=10)
    said = inputs.on_quantiles(embeddings, clips, split, 0, settings=settings)
    assert right(said, clips, split) > 0.9
    changed = embeddings.copy()
    changed[split.test] *= 1000
    inputs.on_quantiles(changed, clips, split, 0, settings=settings)
    assert (seen[0][split.train] == seen[1][split.train]).all()
    middle = np.median(seen[0][split.train][:, 1:], axis=0)
    assert middle == pytest.approx(np.zeros(3), abs=0.05)
    assert np.abs(seen[0]).max() < 6


def test_a_learnt_sum_of_layers_finds_the_layer_that_knows(toy):
    clips, emotion, split = toy
    rng = np.random.default_rng(0)
    layers = rng.standard_normal((120, 3, 4)).astype(np.float32)
    layers[:, 1, :2] += 4 * emotion[:, None]
    x = torch.from_numpy(layers.reshape(120, -1))
    settings = Settings(epochs=30, steps=10, learning_rate=1e-2, decay=1, patience=30)
    model = inputs.fit_layer_sum(x, Targets.of(clips), split, 0, 3, settings)
    weights = model.weights().detach()
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 1
    assert weights[1] > 0.4


def test_a_learnt_sum_starts_as_the_mean():
    model = inputs.LayerSum(3, 4, seed=0)
    x = torch.randn(5, 12)
    assert model.mixed(x)[0].detach().numpy() == pytest.approx(
        inputs.mean_layer(x.numpy(), 3), abs=1e-6
    )


def test_a_learnt_sum_answers_for_the_test_rows(toy):
    clips, emotion, split = toy
    layers = np.random.default_rng(0).standard_normal((120, 13, 2)).astype(np.float32)
    layers += 3 * emotion[:, None, None]
    said = inputs.weighted_sum(layers.reshape(120, -1), clips, split, 0)
    assert said.emotion.shape == (30, 6)
    assert said.age.shape == (30,)
    assert right(said, clips, split) > 0.9


def test_layers_are_taken_apart_in_order():
    flat = np.arange(2 * 3 * 4).reshape(2, 12)
    assert inputs.last_layer(flat, 3)[0].tolist() == [8, 9, 10, 11]
    assert inputs.mean_layer(flat, 3)[0].tolist() == [4, 5, 6, 7]


class Layered:
    """Stands for WavLM: layer k of a clip is its length times k."""

    def __init__(self):
        self.embedded = 0

    def embed_layers(self, waveforms):
        self.embedded += len(waveforms)
        lengths = np.array([len(w) for w in waveforms], np.float32)
        return lengths[:, None, None] * np.arange(3, dtype=np.float32)[None, :, None] * np.ones(2)

    def provenance(self):
        return {"representation": "wavlm", "version": 1}


@pytest.fixture
def recordings(tmp_path):
    import soundfile

    rng = np.random.default_rng(0)
    clips = corpora.clips()["clip"][:70].tolist()
    for i, clip in enumerate(clips):
        soundfile.write(tmp_path / f"{clip}.wav", 0.1 * rng.standard_normal(4000 + i), RATE)
    return {clip: tmp_path / f"{clip}.wav" for clip in clips}


def test_the_layer_table_holds_every_layer_of_every_clip(recordings, tmp_path, monkeypatch):
    monkeypatch.setattr(features.paths, "data", lambda: tmp_path)
    monkeypatch.setattr(corpora, "corpus_hash", lambda: "this corpus")
    (tmp_path / "features").mkdir()
    inputs.layers_table(Layered(), recordings, features.path(inputs.LAYERS))
    table = features.read(inputs.LAYERS)
    assert table.at(list(recordings)[5:6])[0].tolist() == [0, 0, 4005, 4005, 8010, 8010]
    assert len(table.clips) == 70
    assert table.provenance["layer"] == "all"


def test_a_killed_layer_extraction_goes_on_where_it_was(recordings, tmp_path):
    class Killed(Layered):
        def embed_layers(self, waveforms):
            if self.embedded:
                raise KeyboardInterrupt
            return super().embed_layers(waveforms)

    out = tmp_path / "layers.parquet"
    with pytest.raises(KeyboardInterrupt):
        inputs.layers_table(Killed(), recordings, out)
    assert not out.exists()
    again = Layered()
    inputs.layers_table(again, recordings, out)
    assert again.embedded == 70 - features.PART
    assert not list(tmp_path.glob("*.parts"))


def test_wavlm_is_studied_only_where_its_table_is(monkeypatch):
    ran = []
    monkeypatch.setattr(inputs, "run", lambda name, variants, *rest, **more: ran.append(name))
    monkeypatch.setattr(features, "available", lambda name: False)
    inputs.make()
    monkeypatch.setattr(features, "available", lambda name: name == inputs.LAYERS)
    inputs.make()
    assert ran == ["inputs", "inputs_wavlm", "inputs"]


def test_another_network_has_another_table():
    assert inputs.table_name() == inputs.table_name("fcn", [0, 1, 2]) == "inputs"
    assert inputs.table_name("cnn") == "inputs-cnn-0-1-2"


def accurate(hits):
    """Sums of 60 speakers with ten clips each, of which `hits` have the right emotion."""
    emotion = np.zeros((1, 60, 6, 6))
    emotion[..., 0, 0], emotion[..., 0, 1] = hits, 10 - np.asarray(hits)
    gender = np.zeros((1, 60, 2, 2))
    gender[..., 0, 0] = 10
    age = np.tile([10, 300, 310, 9100, 9700, 9300, 20.0], (1, 60, 1))
    return Sums(emotion, gender, age, np.arange(60))


def test_enough_samples_are_drawn_for_many_comparisons():
    """Seventy-five corrected cells, one of them beyond doubt."""
    counts = {"good": accurate(9), "bad": accurate(4)}
    pairs = {(str(i),): ("bad", "bad") for i in range(24)} | {("real",): ("good", "bad")}
    table = _scores.planned(counts, pairs, draws=_scores.DRAWS)
    row = table.loc[("real", "emotion %")]
    assert row["difference"] == pytest.approx(50)
    assert row["p_holm"] < 0.05
    assert (table.drop(index="real", level=0)["p_holm"] == 1).all()


def test_a_star_marks_what_survives_correction():
    counts = {"good": accurate(9), "bad": accurate(4)}
    pairs = {("real",): ("good", "bad"), ("none",): ("bad", "bad")}
    table = _scores.planned(counts, pairs, draws=2_000).rename_axis(["which", "measure"])
    shown = _scores.spread(table)
    assert shown.loc["real", "emotion %"] == "+50.0 [+50.0, +50.0]*"
    assert shown.loc["none", "emotion %"] == "+0.0 [+0.0, +0.0]"


def test_the_shipped_results_rest_on_every_clip():
    counts = ablations.results("inputs")
    assert list(counts) == [variant.name for variant in inputs.variants()]
    for sums in counts.values():
        assert sums.age[..., 0].sum(axis=1).tolist() == [len(corpora.clips())] * 3
