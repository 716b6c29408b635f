"""How far probabilities and ages can be believed, and what a release states of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import toys

from persona import calibration
from persona.calibration import AgeInterval
from persona.errors import PersonaError
from persona.experiment import Experiment
from persona.labels import EMOTIONS, TASKS
from persona.model import measured, release
from persona.model.predictor import Predictor
from persona.training import Settings


def test_calibration_error_is_the_mean_distance_of_accuracy_from_confidence():
    """Of four clips at 0.7 one is right, of four at 0.9 all are: (0.45 + 0.1) / 2."""
    p = np.array([[0.7, 0.3]] * 4 + [[0.9, 0.1]] * 4)
    labels = np.array([0, 1, 1, 1, 0, 0, 0, 0])
    counts = calibration.binned(p, labels, np.zeros(8, int))
    error = calibration.expected_error(counts, np.ones((1, 1)))[0]
    assert error == pytest.approx((0.45 + 0.1) / 2)
    curve = calibration.reliability(counts)
    assert curve["accuracy"].tolist() == [0.25, 1.0]
    assert curve["clips"].tolist() == [4, 4]


def test_bins_of_confidence_are_tenths_for_each_speaker():
    p = np.array([[0.55, 0.45], [0.59, 0.41], [0.61, 0.39], [0.61, 0.39]])
    counts = calibration.binned(p, np.zeros(4, int), np.array([0, 0, 0, 1]))
    assert counts.shape == (2, 10, 3)
    assert counts[0, :, 0].tolist() == [0, 0, 0, 0, 0, 2, 1, 0, 0, 0]
    assert counts[1, 6] == pytest.approx([1, 0.61, 1])


def test_certainty_falls_into_the_last_bin():
    counts = calibration.binned(np.array([[1.0, 0.0]]), np.array([0]), np.array([0]))
    assert counts[0, -1].tolist() == [1, 1, 1]


def test_a_single_clip_in_a_bin_is_told_and_an_empty_bin_is_not():
    p = np.array([[0.65, 0.35], [0.95, 0.05]])
    counts = calibration.binned(p, np.array([0, 1]), np.array([0, 0]))
    found = calibration.reliability(counts)
    assert found["clips"].tolist() == [1, 1]
    assert found["confidence"].tolist() == pytest.approx([0.65, 0.95])
    assert found["accuracy"].tolist() == [1, 0]


class TestTemperature:
    def made(self, n: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
        """Honest probabilities, and labels drawn from them."""
        rng = np.random.default_rng(0)
        honest = calibration.tempered(np.exp(rng.normal(0, 1.5, (n, 6))), 1.0)
        return honest, (honest.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, 5)

    def test_that_spoiled_probabilities_is_found(self):
        honest, labels = self.made()
        spoiled = calibration.tempered(honest, 0.5)
        assert calibration.temperature(spoiled, labels) == pytest.approx(2.0, rel=0.1)

    def test_changes_no_answer(self):
        honest, _ = self.made(100)
        assert (calibration.tempered(honest, 3.0).argmax(1) == honest.argmax(1)).all()
        assert calibration.tempered(honest, 1.0) == pytest.approx(honest)

    def test_of_a_fold_comes_from_the_other_folds_only(self):
        """Fold 1 is sure and wrong: only the other folds' temperature may rise for it."""
        honest, labels = self.made()
        p, fold = honest.copy(), np.arange(len(honest)) % 2
        p[fold == 1] = calibration.tempered(honest[fold == 1], 0.25)
        found = calibration.held_out_temperatures(p, labels, fold)[:, 0]
        assert found[fold == 1] == pytest.approx(1.0, rel=0.15)
        assert found[fold == 0] == pytest.approx(4.0, rel=0.15)


class TestSeveralWindows:
    """Answers to the windows of a recording become one."""

    P = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]])

    def test_are_averaged_by_log_probability_and_seconds(self):
        one = calibration.pooled(self.P, np.array([3.0, 1.0]))
        wanted = self.P[0] ** 0.75 * self.P[1] ** 0.25
        np.testing.assert_allclose(one, wanted / wanted.sum())

    def test_make_surer_as_far_as_is_asked_without_another_answer(self):
        plain, surer = (calibration.pooled(self.P, np.ones(2), by) for by in (1.0, 2.0))
        assert plain.argmax() == surer.argmax() == 0 and surer.max() > plain.max()

    def test_that_are_the_same_count_as_one_however_often(self):
        once = np.array([1.0, 2.0, -1.0])
        for times in (1, 2, 10):
            assert len(calibration.Different([once, 3 * once] * times)) == 1
        assert len(calibration.Different(np.eye(4))) == 4

    def test_are_counted_no_further_than_memory_allows(self):
        assert len(calibration.Different(np.eye(2 * calibration.MANY))) == calibration.MANY

    def test_of_silence_are_one_and_no_fault(self):
        assert len(calibration.Different(np.zeros((1, 4)))) == 1

    def test_are_as_sure_as_independent_ones_allow(self):
        """Clips that err by themselves: two of a person add up, and the exponent nears 1."""
        rng = np.random.default_rng(0)
        labels = np.repeat(rng.integers(0, 3, 600), 8)
        logits = rng.normal(0, 1, (len(labels), 3)) + 1.0 * np.eye(3)[labels]
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        orthogonal = np.tile(np.eye(8), (600, 1))
        people = np.repeat(np.arange(600), 8)
        found = calibration.sharpness(p, labels, orthogonal, people)
        assert found == pytest.approx(1, abs=0.15)
        same = np.ones((len(labels), 8))
        repeated = calibration.sharpness(np.repeat(p[::8], 8, axis=0), labels, same, people)
        assert 0 <= repeated <= 2  # of one window nothing follows


def ages(speakers: int = 100, clips: int = 20, shrink: float = 0.5) -> tuple[np.ndarray, ...]:
    """Predicted ages that shrink towards 40 by half, true ages, speakers, folds."""
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(speakers), clips)
    true = rng.uniform(20, 75, speakers)[speaker]
    own = rng.normal(0, 6, speakers)[speaker]
    predicted = 40 + shrink * (true - 40) + own + rng.normal(0, 2, len(speaker))
    return predicted, true, speaker, speaker % 5


class TestTheAgeInterval:
    def test_holds_for_the_share_it_states_among_speakers_it_was_not_fit_on(self):
        predicted, true, speaker, fold = ages()
        inside = calibration.inside_held_out(predicted, true, speaker, fold)
        assert 0.78 <= inside.mean() <= 0.95

    def test_holds_in_every_band_of_ages(self):
        predicted, true, speaker, fold = ages()
        inside = calibration.inside_held_out(predicted, true, speaker, fold)
        for low, high in calibration.AGE_BANDS:
            assert inside[(true >= low) & (true < high + 1)].mean() > 0.65

    @pytest.mark.parametrize("years", [-60, 60])
    def test_does_not_hold_what_is_far_off_either_way(self, years):
        predicted, true, speaker, fold = ages()
        far = np.where(fold == 0, true + years, true)
        inside = calibration.inside_held_out(predicted, far, speaker, fold)
        assert not inside[fold == 0].any()

    def test_differs_with_the_predicted_age(self):
        """Who is predicted old is old or older; who is predicted young may be younger."""
        predicted, true, speaker, _ = ages()
        fitted = AgeInterval.fit(predicted, true, speaker)
        above = np.interp([25, 55], fitted.ages, fitted.above)
        assert above[1] > above[0]

    @pytest.mark.parametrize("years", [0.5, 7.0])
    def test_is_as_wide_as_its_errors_are(self, years):
        """Errors of exactly as many years, half of them either way."""
        speaker = np.repeat(np.arange(60), 2)
        predicted = np.linspace(20, 65, 60)[speaker]
        true = predicted + np.tile([years, -years], 60)
        fitted = AgeInterval.fit(predicted, true, speaker)
        assert fitted.below == pytest.approx(years)
        assert fitted.above == pytest.approx(years)

    def test_has_two_sides_where_all_errors_go_one_way(self):
        predicted = np.linspace(20, 65, 60)
        fitted = AgeInterval.fit(predicted, predicted + 7, np.arange(60))
        assert fitted.above == pytest.approx(7)
        assert fitted.below == pytest.approx(2)

    def test_is_as_narrow_where_errors_are_small_and_go_below(self):
        predicted = np.linspace(20, 65, 60)
        fitted = AgeInterval.fit(predicted, predicted - 0.5, np.arange(60))
        assert fitted.above == pytest.approx(0.5)
        assert fitted.below == pytest.approx(0.5)

    def test_takes_one_more_speaker_to_lie_outside(self):
        """Ten are off by 1 to 10 years; 0.8 of eleven, rounded up, are nine."""
        predicted = np.full(10, 47.0)
        fitted = AgeInterval.fit(predicted, predicted + np.arange(1, 11), np.arange(10))
        assert fitted.above == pytest.approx(9)

    @pytest.mark.parametrize(("old", "held"), [(20, 0.75), (4, 0.75), (3, 0.0)])
    def test_holds_for_few_in_a_band_unless_they_are_too_few_to_judge_by(self, old, held):
        """All are taken for 40. The others are, so that they alone would need a narrow interval."""
        speaker = np.repeat(np.arange(100), 5)
        true = np.where(speaker < 100 - old, 40.0, 60.0 + 2 * (speaker % 10))
        predicted = 40 - abs(np.random.default_rng(0).normal(0, 2, 100))[speaker]
        low, high = AgeInterval.fit(predicted, true, speaker).limits(predicted)
        assert ((low <= true) & (true <= high))[true >= 60].mean() == held

    def test_bands_hold_every_age_once(self):
        lows, highs = zip(*calibration.AGE_BANDS, strict=True)
        assert lows == (0, *(high + 1 for high in highs[:-1])) and highs[-1] == 120

    def test_of_the_model_that_ships_lies_on_the_same_ages(self):
        card = Predictor.load().card["age_interval"]
        assert (card["ages"], card["level"]) == (
            calibration._KNOTS.tolist(), calibration.AGE_LEVEL,
        )  # fmt: skip

    def test_weighs_the_clips_of_a_speaker_as_one(self):
        found = calibration.weights_of_speakers(np.array(["b", "a", "b"]))
        assert found.tolist() == [0.5, 1, 0.5]

    def test_counts_speakers_alike_whatever_their_number_of_clips(self):
        """One speaker of 900 clips without an error does not narrow it."""
        predicted, true, speaker, _ = ages()
        more = np.full(900, 45.0)
        both = AgeInterval.fit(
            np.append(predicted, more), np.append(true, more), np.append(speaker, [999] * 900)
        )
        alone = AgeInterval.fit(predicted, true, speaker)
        assert both.above == pytest.approx(alone.above, rel=0.15)


@pytest.fixture
def experiment(tmp_path, monkeypatch) -> Experiment:
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    toys.home(tmp_path)
    return Experiment(
        "toy",
        corpus="toy",
        seeds=(0, 1),
        settings=Settings(epochs=3, patience=0, networks=2, input_dropout=0.1, batch_size=16),
    )


class TestARelease:
    def test_trains_a_model_that_answers_as_its_networks(self, experiment, tmp_path, monkeypatch):
        import torch

        monkeypatch.setattr(toys.ToyRepresentation, "__init__", _as_wide_as_the_table)
        predictor = release.train(experiment, tmp_path / "model", jobs=1)
        card = Predictor.load(tmp_path / "model").card
        x = toys.embeddings(toys.clips())
        wanted = predictor.model.networks().predict(torch.from_numpy(x))
        answers = predictor.heads.run(x)
        assert answers.age == pytest.approx(wanted.age.numpy(), abs=0.05)
        tempered = calibration.tempered(
            wanted.emotion.numpy(), card["calibration"]["emotion"]["temperature"]
        )
        assert answers.emotion == pytest.approx(tempered, abs=1e-3)
        assert card["network"]["networks"] == 2
        assert card["training"]["settings"]["epochs"] == 3
        assert card["representations"] == [toys.ToyRepresentation().provenance()]
        assert card["data"]["corpora"][0]["clips"] == len(x)
        assert len(card["distances"]) == 101

    def test_describes_what_unseen_speakers_were_answered(self, experiment):
        predicted = _predictions()
        described, temperatures = measured.describe(predicted, toys.clips())
        metrics = described["evaluation"]["metrics"]
        assert metrics["emotion_accuracy"]["value"] == pytest.approx(1.0)
        assert set(described["evaluation"]["groups"]) >= {"female", "male"}
        assert described["age_interval"]["coverage"]["everyone"]["speakers"] == toys.SPEAKERS
        assert f"{toys.SPEAKERS} actors" in described["limits"][0]
        method = described["age_interval"]["method"]
        assert "cross-validation interval" in method and "conformal" not in method
        emotion = described["calibration"]["emotion"]
        assert emotion["error_after"] < emotion["error_before"]
        assert temperatures[0] == emotion["temperature"] < 1

    def test_of_networks_that_listen_to_parts_is_kept_and_answers_as_they_do(
        self, experiment, tmp_path, monkeypatch
    ):
        import torch

        monkeypatch.setattr(toys.ToyRepresentation, "__init__", _as_wide_as_the_table)
        parts = [[0, 8], [4, toys.DIMENSION]]
        release.train(experiment.but(networks=1, parts=parts), tmp_path / "model", jobs=1)
        again = Predictor.load(tmp_path / "model")
        assert again.card["network"]["dimension"] == toys.DIMENSION
        assert (again.card["network"]["networks"], again.card["network"]["parts"]) == (2, parts)
        x = toys.embeddings(toys.clips())
        wanted = again.model.networks().predict(torch.from_numpy(x))
        assert again.heads.run(x).age == pytest.approx(wanted.age.numpy(), abs=0.05)

    def test_names_the_network_that_was_trained(self, experiment, tmp_path, monkeypatch):
        monkeypatch.setattr(toys.ToyRepresentation, "__init__", _as_wide_as_the_table)
        other = experiment.but(architecture="cnn", hidden=(9, 7), networks=1)
        network = release.train(other, tmp_path / "model", jobs=1).card["network"]
        assert (network["architecture"], network["hidden"]) == ("cnn", [9, 7])

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"protocol": "random-clip"}, "knows the speakers"),
            ({"patience": 5}, "set patience=0"),
            ({"transform": np.abs}, "transforms embeddings"),
            ({"tested": ("toy-abroad",)}, "does not test its own corpus"),
        ],
    )
    def test_of_an_experiment_that_cannot_ship_is_refused(
        self, experiment, tmp_path, changes, words
    ):
        with pytest.raises(PersonaError, match=words):
            release.train(experiment.but(**changes), tmp_path / "model")
        assert not (tmp_path / "model").exists()

    @pytest.mark.parametrize("task", TASKS)
    def test_on_clips_whose_label_nobody_knows_is_refused_before_training(
        self, experiment, tmp_path, monkeypatch, task
    ):
        """No score is made up, as against a class that stands for the missing one."""
        monkeypatch.setattr(toys.Toy, "clips", lambda _: toys.clips().assign(**{task: None}))
        monkeypatch.setattr(release, "run", lambda *_, **__: pytest.fail("trained"))
        with pytest.raises(PersonaError, match=f"has no clip whose {task} is known"):
            release.train(experiment, tmp_path / "model")

    def test_counts_no_clip_whose_emotion_is_unknown(self):
        """Predictions are right where the emotion is known: the others may not lower that."""
        clips = toys.clips()
        unknown = clips["speaker"] % 2 == 0
        described, _ = measured.describe(
            _predictions(), clips.assign(emotion=clips["emotion"].mask(unknown, None))
        )
        accuracy = described["evaluation"]["metrics"]["emotion_accuracy"]
        assert accuracy == {"value": 1.0, "low": None, "high": None}  # of few speakers


def _as_wide_as_the_table(self, dtype: str = "float32") -> None:
    self.pause, self.dtype, self.least, self.dimension = 0.0, dtype, 0, toys.DIMENSION


def _predictions() -> pd.DataFrame:
    """Right, but not sure of it; ages 3 years too high or too low."""
    clips = toys.clips()
    codes = pd.Categorical(clips["emotion"], EMOTIONS).codes
    emotion = np.full((len(clips), 6), 0.1)
    emotion[np.arange(len(clips)), codes] = 0.5
    return pd.DataFrame(
        {
            "clip": clips["clip"], "seed": 0, "fold": clips["speaker"] % 5,
            **{f"p_{name}": emotion[:, i] for i, name in enumerate(EMOTIONS)},
            "p_female": np.where(clips["gender"] == "female", 0.9, 0.1),
            "age": clips["age"] + np.where(np.arange(len(clips)) % 2, 3.0, -3.0),
        }
    )  # fmt: skip


def test_how_sure_more_speech_makes_rests_on_each_clips_own_answer():
    """Predictions in another order than the clips are the same predictions."""
    clips, predicted = toys.clips(), _predictions()
    data = SimpleNamespace(classes=EMOTIONS, embeddings=np.eye(len(clips)))
    found = []
    for rows in (predicted, predicted.iloc[::-1]):
        calibrated = {"emotion": {"temperature": 1.0}}
        measured.sharpen(calibrated, rows, clips, data)
        found.append(calibrated["emotion"]["sharpness"])
    assert found[0] == found[1]
