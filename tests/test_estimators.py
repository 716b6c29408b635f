"""Models that stand in the network's place, their costs, and the slopes of learning curves."""

import numpy as np
import pandas as pd
import pytest
import toys

from persona import folds
from persona.labels import EMOTIONS, GENDERS
from persona.network import Predicted
from persona.study import costs, estimators, slopes, wording
from persona.training import Settings, build

CLIPS = toys.clips(speakers=30, each=24)
EMBEDDINGS = toys.embeddings(CLIPS)
KNOWN = folds.split(CLIPS, "random-clip", 0)[0]
UNSEEN = folds.split(CLIPS, "speaker-disjoint", 0)[0]


def hits(predicted: Predicted, split: folds.Split) -> tuple[float, float, float]:
    """Shares of emotions and genders that are right, and the RMSE of age in years."""
    true = CLIPS.iloc[split.test]
    emotion = np.array(EMOTIONS)[predicted.emotion.argmax(1)] == true["emotion"]
    gender = np.array(GENDERS)[predicted.gender.argmax(1)] == true["gender"]
    error = predicted.age.numpy() - true["age"]
    return emotion.mean(), gender.mean(), float(np.sqrt((error**2).mean()))


class TestTheRecognisedSpeaker:
    def test_is_the_right_one_where_voices_differ(self):
        own = np.random.default_rng(0).normal(size=(30, 6))[CLIPS["speaker"]]
        noisy = (own + np.random.default_rng(1).normal(0, 0.01, own.shape)).astype(np.float32)
        noisy = np.hstack([noisy, np.ones((len(noisy), 1), np.float32)])  # one never varies
        named = estimators.identified(noisy, CLIPS, KNOWN)
        assert (named == CLIPS["speaker"].iloc[KNOWN.test]).all()
        _, gender, error = hits(estimators.recognised(noisy, CLIPS, KNOWN, 0), KNOWN)
        assert gender == 1 and error == 0

    def test_is_one_of_those_in_training(self):
        named = estimators.identified(EMBEDDINGS, CLIPS, UNSEEN)
        assert set(named) <= set(CLIPS["speaker"].iloc[UNSEEN.train])

    def test_tells_nothing_of_emotion(self):
        predicted = estimators.recorded(CLIPS, np.array([3, 3]))
        assert np.ptp(predicted.emotion.numpy()) == 0


@pytest.mark.parametrize("model", [estimators.linear, estimators.kernel, estimators.quantiles])
class TestAModel:
    def test_learns_what_the_embeddings_hold(self, model):
        emotion, gender, error = hits(model(EMBEDDINGS, CLIPS, UNSEEN, 0), UNSEEN)
        assert emotion > 0.7 and gender > 0.8
        assert error < CLIPS["age"].iloc[UNSEEN.test].std()

    def test_learns_from_training_rows_only(self, model):
        first = model(EMBEDDINGS, CLIPS, UNSEEN, 0)
        other = CLIPS.copy()
        for label in ("emotion", "gender", "age"):
            values = other[label].to_numpy().copy()
            values[UNSEEN.test] = values[UNSEEN.test][0]
            other[label] = values
        second = model(EMBEDDINGS, other, UNSEEN, 0)
        for one, same in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, same)


def test_quantiles_take_no_notice_of_a_monotonous_distortion():
    plain = estimators.quantiles(EMBEDDINGS, CLIPS, KNOWN, 0)
    bent = estimators.quantiles(np.exp(EMBEDDINGS / 4), CLIPS, KNOWN, 0)
    np.testing.assert_allclose(plain.emotion, bent.emotion, atol=0.05)


class TestSize:
    def test_counts_the_heads_that_are_trained(self):
        network, width = build(12, "fcn", Settings()), Settings().hidden[-1]
        whole = costs.parameters(network)
        assert whole == sum(p.numel() for p in network.parameters())
        no_age = costs.parameters(network, Settings(weights=(1, 1, 0)))
        assert no_age == whole - (width + 1)

    @pytest.mark.parametrize("dimension", [80, 192])
    def test_of_a_wide_fcn_is_that_of_the_cnn(self, dimension):
        wide = Settings(hidden=(costs.matched_width(dimension), *Settings().hidden[1:]))
        fcn = costs.parameters(build(dimension, "fcn", wide))
        assert fcn == pytest.approx(costs.parameters(build(dimension, "cnn", Settings())), rel=0.01)


def counts(error: float):
    """Sums of speakers whose predicted ages are off by `error` years."""
    from persona import evaluation

    predicted = pd.DataFrame({"clip": CLIPS["clip"], "seed": 0, "age": CLIPS["age"] + error})
    columns = {f"p_{emotion}": 1 / 6 for emotion in EMOTIONS} | {"p_female": 0.5}
    return evaluation.sums(predicted.assign(**columns), CLIPS)


class TestDoublings:
    @pytest.fixture(scope="class")
    @classmethod
    def table(cls):
        """Each doubling of the speakers takes two years off the error, of the clips nothing."""
        points = {(n, each): counts(20 - 2 * np.log2(n)) for n in (8, 16, 32) for each in (10, 20)}
        return slopes.doublings(points, ["age_rmse"], draws=500)

    def test_tell_speakers_from_clips(self, table):
        change = table.xs("age_rmse", level="metric")["difference"]
        assert change[slopes.SPEAKERS] == pytest.approx(-2)
        assert change[slopes.CLIPS] == pytest.approx(0, abs=1e-9)
        assert change[slopes.SPREAD] == pytest.approx(-2)

    def test_are_told_from_chance_like_any_comparison(self, table):
        assert wording.verdicts(table).loc[(slopes.SPEAKERS, "age_rmse")] == 1


def test_differences_are_told_with_unit_and_label_if_they_are_beyond_chance():
    rows = [("MFCC", "emotion_accuracy", -2.94, True), ("MFCC", "age_rmse", 1.0, False)]
    table = pd.DataFrame(rows, columns=["label", "metric", "difference", "clear"])
    table = table.set_index(["label", "metric"])
    assert wording.changes(table) == "emotion by -2.9 points (MFCC)"
    assert list(wording.verdicts(table)) == [-1, 0]
    assert wording.changes(table.assign(clear=False)) == "nothing"
