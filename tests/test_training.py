"""Training: nothing leaks, nothing is left to chance, and a killed run goes on."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from persona import corpora, folds, predictions, training
from persona.corpora import EMOTIONS, GENDERS
from persona.errors import PersonaError
from persona.losses import losses
from persona.model import Network
from persona.predictions import Configuration
from persona.training import Fit, Settings, Targets, fit, predict_each

SETTINGS = Settings(epochs=4, steps=8)
CLIPS, SPEAKERS, DIMENSION = 240, 20, 12


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    """Twelve clips of each of twenty speakers, as far as folds and targets look at them."""
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(SPEAKERS), CLIPS // SPEAKERS)
    return pd.DataFrame(
        {
            "speaker": speaker,
            "gender": np.array(GENDERS)[speaker % 2],
            "age": rng.integers(20, 70, SPEAKERS)[speaker],
            "emotion": np.array(EMOTIONS)[np.arange(CLIPS) % 6],
        }
    )


@pytest.fixture(scope="module")
def targets(clips) -> Targets:
    return Targets.of(clips)


@pytest.fixture(scope="module")
def embeddings(targets) -> torch.Tensor:
    """Noise that carries emotion in six dimensions, gender in one and age in another."""
    noise = torch.randn(CLIPS, DIMENSION, generator=torch.Generator().manual_seed(0))
    signal = torch.zeros(CLIPS, DIMENSION)
    signal[:, :6] = 3 * torch.nn.functional.one_hot(targets.emotion, 6)
    signal[:, 6] = 4.0 * targets.gender
    signal[:, 7] = targets.age / 5
    return noise + signal


@pytest.fixture(scope="module")
def split(clips) -> folds.Split:
    return folds.split(clips, "speaker-disjoint", 0)[0]


def weights(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(first: Network, second: Network, model: int = 0) -> bool:
    """Whether network `model` of the second stack is the only one of the first."""
    pairs = zip(weights(first).values(), weights(second).values(), strict=True)
    return all(torch.allclose(a[0], b[model], atol=1e-5) for a, b in pairs)


def accuracy(embeddings, targets, split, shuffled=False) -> float:
    """Of emotion, on the test rows, after training on labels that may be shuffled."""
    if shuffled:
        order = torch.randperm(CLIPS, generator=torch.Generator().manual_seed(1))
        targets = Targets(*(labels[order] for labels in targets))
    job = Fit(split.train, split.validation, 0)
    network, _ = fit(embeddings, targets, [job], "fcn", Settings(epochs=10, steps=20))
    (said,) = predict_each(network, embeddings, [split.test])
    return float((said.emotion.argmax(-1) == targets.emotion[split.test]).float().mean())


class TestLearning:
    def test_what_the_embedding_carries_is_learnt(self, embeddings, targets, split):
        assert accuracy(embeddings, targets, split) > 0.8

    def test_shuffled_labels_are_not(self, embeddings, targets, split):
        assert accuracy(embeddings, targets, split, shuffled=True) < 0.35

    @pytest.mark.parametrize("head", ["number", "linear", "distribution", "ordinal"])
    def test_every_age_head_learns_age(self, embeddings, targets, split, head):
        job = Fit(split.train, split.validation, 0, weights=(0, 0, 1))
        settings = Settings(epochs=40, steps=20, learning_rate=5e-3, patience=40)
        network, _ = fit(embeddings, targets, [job], "fcn", settings, age_head=head)
        (said,) = predict_each(network, embeddings, [split.test])
        error = (said.age - targets.age[split.test]).abs().mean()
        constant = (targets.age[split.train].mean() - targets.age[split.test]).abs().mean()
        assert error < 0.7 * constant

    @pytest.mark.parametrize("weighing", ["fixed", "uncertainty", "gradnorm"])
    def test_a_task_without_weight_leaves_its_head_untouched(
        self, embeddings, targets, split, weighing
    ):
        job = Fit(split.train, split.validation, 5, weights=(1, 0, 1), weighing=weighing)
        network, _ = fit(embeddings, targets, [job], "fcn", SETTINGS)
        fresh = Network(DIMENSION, "fcn", [5])
        assert torch.equal(network.gender.weight, fresh.gender.weight)
        assert not torch.equal(network.emotion.weight, fresh.emotion.weight)
        assert not torch.equal(network.age.weight, fresh.age.weight)

    def test_dead_dimensions_give_no_nan(self, embeddings, targets, split):
        dead = torch.cat([embeddings, torch.zeros(CLIPS, 3), torch.full((CLIPS, 1), 7.0)], dim=1)
        job = Fit(split.train, split.validation, 0)
        network, history = fit(dead, targets, [job], "cnn", SETTINGS)
        assert np.isfinite(history.validation).all()
        assert torch.isfinite(network.predict(dead).age).all()


class TestIndependence:
    def test_nothing_of_the_test_rows_reaches_training(self, embeddings, targets, split):
        wild = Targets(*(labels.clone() for labels in targets))
        other = embeddings.clone()
        other[split.test] = 1e6
        wild.emotion[split.test], wild.gender[split.test], wild.age[split.test] = 0, 1, -1e6
        job = Fit(split.train, split.validation, 0)
        first, _ = fit(embeddings, targets, [job], "fcn", SETTINGS)
        second, _ = fit(other, wild, [job], "fcn", SETTINGS)
        for a, b in zip(weights(first).values(), weights(second).values(), strict=True):
            assert torch.equal(a, b)

    def test_validation_rows_choose_the_epoch_and_nothing_else(self, embeddings, targets, split):
        other = embeddings.clone()
        other[split.validation] = 1e6
        one_epoch = dataclasses.replace(SETTINGS, epochs=1)
        job = Fit(split.train, split.validation, 0)
        first, _ = fit(embeddings, targets, [job], "fcn", one_epoch)
        second, _ = fit(other, targets, [job], "fcn", one_epoch)
        assert same(first, second)

    def test_the_same_seed_gives_the_same_network_and_another_seed_another(
        self, embeddings, targets, split
    ):
        first, again, other = (
            fit(embeddings, targets, [Fit(split.train, split.validation, seed)], "cnn", SETTINGS)[0]
            for seed in (3, 3, 4)
        )
        assert torch.equal(first.hidden[0].weight, again.hidden[0].weight)
        assert not torch.allclose(first.hidden[0].weight, other.hidden[0].weight)

    @pytest.mark.parametrize("architecture", ["fcn", "cnn"])
    def test_a_network_does_not_depend_on_its_neighbours(
        self, embeddings, targets, clips, architecture
    ):
        parts = folds.split(clips, "speaker-disjoint", 1)
        jobs = [
            Fit(parts[0].train, parts[0].validation, 1),
            Fit(parts[1].train[:50], parts[1].validation[:3], 2, "literal", (1, 0, 1)),
            Fit(parts[2].train, parts[2].validation, 3, weighing="uncertainty"),
            Fit(parts[3].train[::2], parts[3].validation, 4, weighing="gradnorm", scaling="robust"),
        ]
        stack, together = fit(embeddings, targets, jobs, architecture, SETTINGS)
        for model, job in enumerate(jobs):
            single, alone = fit(embeddings, targets, [job], architecture, SETTINGS)
            assert same(single, stack, model)
            for one, many in zip(alone.train, together.train, strict=False):
                assert np.allclose(one[0], many[model], rtol=1e-4)

    def test_an_epoch_sees_every_training_row_once(self, monkeypatch, targets, embeddings):
        seen = []
        original = training._task_losses

        def watched(network, embeddings, targets, batch):
            seen.append(batch.rows[batch.share > 0])
            return original(network, embeddings, targets, batch)

        monkeypatch.setattr(training, "_task_losses", watched)
        job = Fit(np.arange(100, 173), np.arange(20), 0)
        fit(embeddings, targets, [job], "fcn", Settings(epochs=1, steps=10))
        assert sorted(torch.cat(seen[:10]).tolist()) == list(range(100, 173))
        assert sorted(torch.cat(seen[10:]).tolist()) == list(range(20))


class TestRecipes:
    def test_literal_keeps_years_and_balanced_takes_training_rows_only(
        self, embeddings, targets, split
    ):
        jobs = [Fit(split.train, split.validation, 0, recipe) for recipe in training.RECIPES]
        network, _ = fit(embeddings, targets, jobs, "fcn", SETTINGS)
        known = targets.age[split.train].numpy()
        assert training.RECIPES == ("literal", "balanced")
        assert (network.age_mean[0].item(), network.age_scale[0].item()) == (0, 1)
        assert network.age_mean[1].item() == pytest.approx(known.mean(), rel=1e-5)
        assert network.age_scale[1].item() == pytest.approx(known.std(), rel=1e-5)

    @pytest.mark.parametrize("recipe", training.RECIPES)
    def test_the_input_is_standardised_with_training_rows_only(
        self, embeddings, targets, split, recipe
    ):
        job = Fit(split.train, split.validation, 0, recipe)
        network, _ = fit(embeddings, targets, [job], "fcn", SETTINGS)
        known = embeddings[split.train].numpy()
        assert np.allclose(network.mean[0, 0], known.mean(axis=0), atol=1e-5)
        assert np.allclose(network.scale[0, 0], known.std(axis=0), atol=1e-5)


def stopped_at(totals: np.ndarray, patience: int) -> int:
    """The best epoch before the first pause of more than `patience` epochs without a better."""
    best = 0
    for epoch, total in enumerate(totals):
        if epoch - best > patience:
            break
        if total < totals[best]:
            best = epoch
    return best


class TestEarlyStopping:
    @pytest.fixture(scope="class")
    def run(self, embeddings, targets, split):
        """Ten networks whose validation loss zigzags: a high rate, and one epoch of patience."""
        jobs = [Fit(split.train, split.validation, seed) for seed in range(10)]
        settings = Settings(epochs=12, steps=8, learning_rate=0.03, decay=1.0, patience=1)
        return (jobs, *fit(embeddings, targets, jobs, "fcn", settings))

    def test_the_best_epoch_before_the_pause_is_kept(self, run):
        totals = np.array(run[2].validation).sum(axis=-1).T
        assert run[2].best_epoch.tolist() == [stopped_at(each, 1) for each in totals]

    def test_a_stopped_network_is_not_resumed_when_it_would_get_better_later(self, run):
        totals = np.array(run[2].validation).sum(axis=-1).T
        kept = totals[np.arange(10), run[2].best_epoch]
        assert (totals.min(axis=1) < kept).any(), "no network of this run got better later"

    def test_the_weights_are_those_of_the_best_epoch(self, run, embeddings, targets):
        jobs, network, history = run
        rows = jobs[0].validation
        wanted = Targets(*(labels[rows].expand(10, -1) for labels in targets))
        with torch.inference_mode():
            now = losses(network(embeddings[rows]), wanted, network).mean(dim=1)
        kept = np.array(history.validation)[history.best_epoch, np.arange(10)]
        assert np.allclose(now, kept, rtol=1e-4)

    def test_it_watches_the_losses_it_is_told_to(self, embeddings, targets, split):
        jobs = [
            Fit(split.train, split.validation, 0, watched=watched)
            for watched in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), None)
        ]
        settings = Settings(epochs=12, steps=8, learning_rate=0.03, patience=12)
        _, history = fit(embeddings, targets, jobs, "fcn", settings)
        emotion, age, both = np.moveaxis(np.array(history.validation), 1, 0)
        best = [emotion[:, 0].argmin(), age[:, 2].argmin(), both.sum(axis=1).argmin()]
        assert history.best_epoch.tolist() == best
        assert len(set(best)) > 1

    def test_training_ends_when_every_network_has_stopped(self, run):
        epochs = len(run[2].validation)
        assert epochs < 12 or max(run[2].best_epoch) >= 10


class TestCrossValidation:
    CONFIGURATIONS = predictions.grid(["mfcc"], ["fcn"], folds.PROTOCOLS, ["balanced"])
    BRIEF = Settings(epochs=1, steps=2)

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("predictions")
        training.cross_validate(self.CONFIGURATIONS, folder, (0, 1), self.BRIEF)
        return folder

    def test_every_clip_is_predicted_once_per_seed(self, folder):
        names = sorted(corpora.clips()["clip"])
        for configuration in self.CONFIGURATIONS:
            rows = predictions.read([configuration], folder)
            for _, of_seed in rows.groupby("seed"):
                assert sorted(of_seed["clip"]) == names
            assert sorted(rows["seed"].unique()) == [0, 1]

    def test_every_clip_is_predicted_in_the_fold_that_tests_it(self, folder):
        clips = corpora.clips()
        for configuration in self.CONFIGURATIONS:
            rows = predictions.read([configuration], folder)
            for seed in (0, 1):
                fold = rows[rows["seed"] == seed].set_index("clip")["fold"]
                for number, split in enumerate(folds.split(clips, configuration.protocol, seed)):
                    assert (fold[clips["clip"].iloc[split.test]] == number).all()

    def test_it_says_what_its_networks_say(self, folder):
        clips = corpora.clips()
        configuration = self.CONFIGURATIONS[1]
        embeddings = torch.from_numpy(training.features.read("mfcc").at(clips["clip"]))
        split = folds.split(clips, configuration.protocol, 1)[2]
        job = Fit(split.train, split.validation, 1 * folds.FOLDS + 2)
        network, _ = fit(embeddings, Targets.of(clips), [job], "fcn", self.BRIEF)
        rows = predictions.read([configuration], folder).query("seed == 1").set_index("clip")
        said = network.predict(embeddings[split.test])
        kept = rows.loc[clips["clip"].iloc[split.test]]
        assert np.allclose(kept["age"], said.age[0], atol=1e-2)
        assert np.allclose(kept[predictions.PROBABILITIES], said.emotion[0], atol=1e-3)

    def test_learning_curves_are_kept_beside_them(self, folder):
        curve = training.read_history(self.CONFIGURATIONS[0], folder)
        assert len(curve) == 2 * 5 * 1 * 2 * 3  # seeds, folds, epochs, parts, tasks
        assert curve["loss"].gt(0).all()

    def test_only_what_is_missing_or_made_otherwise_is_trained_again(self, folder, monkeypatch):
        trained = []

        class Pool:
            """Stands in for the processes and remembers what they were asked for."""

            def __init__(self, *_): ...
            def __enter__(self):
                return self

            def __exit__(self, *_): ...
            def submit(self, _, configuration, *__):
                trained.append(configuration)
                return _Done()

        monkeypatch.setattr(training, "ProcessPoolExecutor", Pool)
        monkeypatch.setattr(training, "as_completed", list)

        def again(configurations=self.CONFIGURATIONS, seeds=(0, 1), settings=self.BRIEF):
            trained.clear()
            training.cross_validate(configurations, folder, seeds, settings)
            return list(trained)

        literal = dataclasses.replace(self.CONFIGURATIONS[0], recipe="literal")
        assert again() == []
        assert again([*self.CONFIGURATIONS, literal]) == [literal]
        assert again(seeds=(0, 1, 2)) == self.CONFIGURATIONS
        assert again(settings=Settings(epochs=1, steps=3)) == self.CONFIGURATIONS
        self.CONFIGURATIONS[1].file(folder).unlink()
        assert again() == [self.CONFIGURATIONS[1]]


class _Done:
    def result(self) -> None: ...


def test_an_unknown_architecture_is_a_sentence_for_the_user(tmp_path):
    configuration = Configuration("mfcc", "rnn", "random-clip", "balanced")
    with pytest.raises(PersonaError, match="'rnn'"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training.cross_validate([configuration], tmp_path, (0,), Settings(epochs=1, steps=1))
