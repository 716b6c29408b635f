"""Studies: what is made is kept, what is compared is fair, and the controls control."""

import importlib
import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from persona import ablations, corpora, evaluation, features, folds, paths
from persona.ablations import Variant, _scores, joint, loss, speakers, trunk
from persona.corpora import GENDERS
from persona.evaluation import Sums
from persona.folds import Split
from persona.model import HIDDEN, Network, Prediction
from persona.training import Settings

BRIEF = Settings(epochs=1, steps=2)


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    return corpora.clips()


@pytest.fixture(scope="module")
def embeddings(clips) -> np.ndarray:
    return features.read("mfcc").at(clips["clip"])


@pytest.fixture(scope="module")
def split(clips) -> Split:
    return folds.split(clips, "speaker-disjoint", 0)[0]


def sums_of(accuracy: float, people: int = 12) -> Sums:
    """Speakers of a hundred clips each, all of anger, of which a share is heard as anger."""
    emotion = np.zeros((1, people, 6, 6))
    emotion[:, :, 0, 0], emotion[:, :, 0, 1] = 100 * accuracy, 100 * (1 - accuracy)
    gender = np.zeros((1, people, 2, 2))
    gender[..., 0, 0] = 100
    age = np.broadcast_to([100.0, 0, 0, 1, 0, 0, 0], (1, people, 7))
    return Sums(emotion, gender, age, np.arange(people))


def undecided(
    embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int, age: float = 40
) -> Prediction:
    """An estimator for the tests: importable by name, as processes need it."""
    clips_tested = len(split.test)
    return Prediction(
        torch.full((clips_tested, 6), 1 / 6),
        torch.full((clips_tested, 2), 0.5),
        torch.full((clips_tested,), float(age)),
    )


class TestRunner:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        """A data folder of its own with the real corpus and one feature table."""
        for file in ("crema-d/clips.csv", "features/mfcc.parquet"):
            (tmp_path / "data" / file).parent.mkdir(parents=True)
            shutil.copy(paths.data() / file, tmp_path / "data" / file)
        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
        monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
        return tmp_path

    def test_only_what_is_missing_or_changed_is_made_again(self, folder):
        first = Variant("says 40", estimator=undecided)
        second = Variant("says 50", estimator=partial(undecided, age=50))
        out = ablations.run("study", [first, second], (0,), BRIEF, jobs=1)
        files = {f.stem: f for f in (folder / "build" / "ablations" / "study").iterdir()}
        made = {name: file.stat().st_mtime_ns for name, file in files.items()}
        table = out.stat().st_mtime_ns

        ablations.run("study", [first, second], (0,), BRIEF, jobs=1)
        assert out.stat().st_mtime_ns == table

        changed = replace(second, estimator=partial(undecided, age=51))
        ablations.run("study", [first, changed], (0,), BRIEF, jobs=1)
        assert files["says-40"].stat().st_mtime_ns == made["says-40"]
        assert files["says-50"].stat().st_mtime_ns > made["says-50"]
        assert list(ablations.results("study")) == ["says 40", "says 50"]

    def test_a_variant_of_the_network_is_what_the_main_study_trains(self, clips):
        from persona import training

        rows = ablations.out_of_fold(Variant("usual"), (1,), BRIEF)
        embeddings = torch.from_numpy(features.read("mfcc").at(clips["clip"]))
        split = folds.split(clips, "speaker-disjoint", 1)[3]
        job = training.Fit(split.train, split.validation, 1 * folds.FOLDS + 3)
        network, _ = training.fit(embeddings, training.Targets.of(clips), [job], "fcn", BRIEF)
        mine = rows[rows["fold"] == 3]
        assert list(mine["clip"]) == list(clips["clip"].iloc[split.test])
        wanted = network.predict(embeddings[split.test]).age[0].numpy()
        assert np.allclose(mine["age"], wanted, atol=1e-3)
        assert sorted(rows["clip"]) == sorted(clips["clip"])

    def test_a_description_changes_with_everything_but_the_name(self):
        usual = Variant("a")
        assert usual.description() == Variant("b").description()
        for change in (
            {"recipe": "literal"}, {"weights": (1.0, 0.0, 0.0)}, {"weighing": "gradnorm"},
            {"hidden": (10, 5)}, {"transform": trunk.shuffled}, {"relabel": speakers.invented},
        ):  # fmt: skip
            assert replace(usual, **change).description() != usual.description()
        forty, fifty = (
            Variant("a", estimator=partial(undecided, age=age)).description() for age in (40, 50)
        )
        assert forty != fifty
        assert json.loads(json.dumps(forty)) == {**forty, "weights": [1, 1, 1], "hidden": [*HIDDEN]}

    def test_a_function_is_known_by_its_source_and_that_of_what_it_calls(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.syspath_prepend(tmp_path)

        def told(name: str, *lines: str) -> str:
            (tmp_path / f"{name}.py").write_text("\n".join(lines))
            return ablations.source(importlib.import_module(name).says)

        says, calls = "def says(): return age()", "def age(): return 40"
        usual = told("usual", says, calls)
        assert told("commented", says, "# forty", calls, "def unused(): return 1") == usual
        assert told("direct", "def says(): return 40", calls) != usual
        assert told("deeper", says, "def age(): return 50") != usual

    def test_what_a_variant_reads_besides_is_part_of_what_made_it(self, folder):
        table = folder / "data" / "features" / "besides.parquet"
        made = []
        for first in (0.0, 1.0):
            rows = {"clip": ["a", "b"], "embedding": [[first, 0.0], [0.0, 1.0]]}
            pd.DataFrame(rows).to_parquet(table)
            variant = Variant("v", estimator=undecided, besides=("besides",))
            made.append(ablations._identities([variant], (0,), BRIEF, "clean"))
        assert made[0] != made[1]

    @pytest.mark.parametrize("study", [joint, loss, speakers, trunk])
    def test_no_two_variants_of_a_study_share_a_name_or_are_the_same(self, study):
        variants = study.variants()
        names = [variant.name for variant in variants]
        told = [json.dumps(variant.description(), sort_keys=True) for variant in variants]
        assert len(set(names)) == len(names)
        assert len(set(told)) == len(told)

    @pytest.mark.parametrize("study", [joint, loss, speakers, trunk])
    def test_the_shipped_table_holds_every_variant_for_every_speaker_and_seed(self, study, clips):
        counts = ablations.results(study.__name__.rpartition(".")[-1])
        assert list(counts) == [variant.name for variant in study.variants()]
        for of_variant in counts.values():
            assert of_variant.age.shape[0] == len(ablations.SEEDS)
            assert of_variant.age[..., 0].sum(axis=1).tolist() == [len(clips)] * 3

    def test_shipped_results_are_read_and_others_are_trained(self, monkeypatch):
        trained, shipped = [], ("mfcc", "dvector")
        monkeypatch.setattr(ablations, "run", lambda *said: trained.append(said))
        monkeypatch.setattr(ablations, "results", lambda name: name)
        assert ablations.results_on(loss, [*shipped], [0, 1, 2]) == "loss"
        assert not trained
        assert ablations.results_on(loss, ["egemaps"], [0, 1, 2]) == "loss-egemaps-0-1-2"
        assert ablations.results_on(loss, shipped, [4]) == "loss-mfcc-dvector-4"
        assert trained == [
            ("loss-egemaps-0-1-2", loss.variants(["egemaps"]), [0, 1, 2]),
            ("loss-mfcc-dvector-4", loss.variants(), [4]),
        ]

    def test_standardised_embeddings_take_their_scale_from_the_given_rows(self):
        rng = np.random.default_rng(0)
        values = rng.normal(3, 2, (50, 4)).astype(np.float32)
        values[40:] += 1000
        scaled = ablations.standardised(values, np.arange(40))
        assert np.allclose(scaled[:40].mean(axis=0), 0, atol=1e-4)
        assert np.allclose(scaled[40:], 5)


TWO = {"good": sums_of(0.7), "bad": sums_of(0.6)}


class TestComparisons:
    def test_a_difference_is_the_first_minus_the_second_in_points(self):
        table = _scores.planned(TWO, {("a",): ("good", "bad")}, 500)
        row = table.loc[("a", "emotion %")]
        assert row["difference"] == pytest.approx(10)
        assert row["low"] == pytest.approx(10)
        assert _scores.clear(row)

    def test_what_does_not_differ_is_not_clear(self):
        table = _scores.planned(TWO, {("a",): ("good", "good")}, 500)
        assert table["p_holm"].tolist() == [1.0] * 3

    def test_of_a_pair_only_the_metrics_it_names_are_compared(self):
        pairs = {("a",): ("good", "bad", "age_rmse"), ("b",): ("good", "bad")}
        table = _scores.planned(TWO, pairs, 500)
        assert list(table.index.get_level_values(0)) == ["a", "b", "b", "b"]
        assert table.loc["a"].index.tolist() == ["age RMSE, years"]

    def test_p_values_are_corrected_over_all_rows(self):
        one = {("a",): ("good", "bad", "emotion_accuracy")}
        alone = _scores.planned(TWO, one, 500)["p_holm"].iloc[0]
        four = one | {("b",): ("bad", "bad")}
        assert _scores.planned(TWO, four, 500)["p_holm"].iloc[0] == pytest.approx(4 * alone)

    def test_labels_of_several_parts_are_levels_of_the_printed_index(self):
        pairs = {("a", "x"): ("good", "bad"), ("a", "y"): ("bad", "bad", "emotion_accuracy")}
        table = _scores.planned(TWO, pairs, 500).rename_axis(["one", "other", "measure"])
        printed = _scores.spread(table)
        assert printed.index.tolist() == [("a", "x"), ("a", "y")]
        assert printed.index.names == ["one", "other"]
        assert printed.loc[("a", "x"), "emotion %"] == "+10.0 [+10.0, +10.0]*"
        assert printed.loc[("a", "y"), "gender %":].isna().all()
        assert _scores.scores({("a", "x"): TWO["good"]}).loc[("a", "x"), "gender %"].startswith("1")

    def test_changes_name_every_representation_of_a_measure_that_one_changes(self):
        pairs = {
            ("MFCC", "x"): ("bad", "good"),
            ("d-vector", "x"): ("good", "good"),
            ("MFCC", "y"): ("good", "good"),
            ("d-vector", "y"): ("good", "good"),
        }
        table = _scores.planned(TWO, pairs, 2000)
        said = "emotion by -10.0 points (MFCC) and +0.0 points (d-vector, may be chance)"
        assert _scores.changes(table, "x") == said
        assert _scores.changes(table, "y") == "nothing"

    @pytest.mark.parametrize(
        ("code", "name"), [("mfcc", "MFCC"), ("mfcc+dvector", "MFCC+d-vector"), ("new", "new")]
    )
    def test_representations_are_shown_by_the_names_that_readers_know(self, code, name):
        assert _scores.shown(code) == name

    @pytest.mark.parametrize(
        ("words", "said"),
        [([], "none"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
    )
    def test_lists_are_read_aloud(self, words, said):
        assert _scores.listed(words) == said


class TestSpeakers:
    def test_invented_labels_belong_to_speakers_and_are_those_of_the_corpus(self, clips):
        other = speakers.invented(clips)
        people = other.drop_duplicates("speaker")
        assert len(other[["speaker", "age", "gender"]].drop_duplicates()) == len(people)
        assert sorted(people["age"]) == sorted(clips.drop_duplicates("speaker")["age"])
        same = people["age"].to_numpy() == clips.drop_duplicates("speaker")["age"].to_numpy()
        assert same.mean() < 0.2
        assert other["emotion"].equals(clips["emotion"])

    @pytest.mark.parametrize("estimator", [speakers.nearest, speakers.recognised])
    def test_a_known_voice_gets_its_owners_age(self, estimator):
        rng = np.random.default_rng(0)
        who = np.repeat(np.arange(6), 30)
        voices = rng.normal(0, 5, (6, 10))[who] + rng.normal(0, 0.5, (180, 10))
        table = pd.DataFrame(
            {"speaker": who, "age": 20 + 7 * who, "gender": np.array(GENDERS)[who % 2],
             "emotion": "sad"}
        )  # fmt: skip
        rows = np.random.default_rng(1).permutation(180)
        split = Split(rows[:120], rows[120:130], rows[130:])
        said = estimator(voices.astype(np.float32), table, split, 0)
        assert said.age.tolist() == table["age"].iloc[split.test].tolist()
        assert (said.gender.argmax(1).numpy() == who[split.test] % 2).all()

    @pytest.mark.parametrize("estimator", [speakers.nearest, speakers.recognised, trunk.linear])
    def test_labels_of_test_speakers_are_not_looked_at(self, estimator, clips, embeddings, split):
        lied = clips.copy()
        lied.loc[split.test, "age"] = 1000
        lied.loc[split.test, "gender"] = "female"
        lied.loc[split.test, "emotion"] = "sad"
        lied.loc[split.test, "speaker"] = 9999
        honest, other = (estimator(embeddings, table, split, 0) for table in (clips, lied))
        for first, second in zip(honest, other, strict=True):
            assert torch.equal(first, second)

    def test_fewer_keeps_so_many_speakers_of_both_genders_and_clips_of_each(self, clips, split):
        small = speakers.fewer(clips, split, 0, speakers=8, per_speaker=10)
        chosen = clips.iloc[small.train]
        assert chosen.groupby("speaker").size().tolist() == [10] * 8
        assert chosen.groupby("gender")["speaker"].nunique().tolist() == [4, 4]
        assert set(small.train) <= set(split.train)
        assert np.array_equal(small.test, split.test)

    def test_smaller_choices_are_part_of_larger_ones(self, clips, split):
        cut = partial(speakers.fewer, clips, split, 0)
        small, larger = cut(speakers=8, per_speaker=20), cut(speakers=32, per_speaker=40)
        assert set(small.train) < set(larger.train)

    def test_no_learning_curve_meets_a_test_speaker_in_training(self, clips):
        for variant in speakers.curve_variants("mfcc"):
            for split in folds.split(clips, variant.protocol, 0):
                used = variant.subset(clips, split, 0)
                parts = [set(clips["speaker"].iloc[rows]) for rows in (used.train, used.test)]
                assert not parts[0] & parts[1]

    def test_doublings_find_the_slopes_of_a_made_up_learning_curve(self):
        counts = {
            f"{s} x {c}": sums_of(0.1 + 0.05 * np.log2(s) + 0.02 * np.log2(c))
            for s in speakers.SPEAKERS
            for c in speakers.PER_SPEAKER
        }
        found = speakers.doublings(counts, ["emotion_accuracy"])["difference"]
        assert found.tolist() == pytest.approx([0.05, 0.02, 0.03])

    def test_the_probe_recognises_most_clips_on_random_folds(self):
        known = speakers.identity()
        assert known["speakers"].tolist() == [91] * 3
        assert (known["low"] <= known["recognised"]).all()
        assert (known["recognised"] > 10 * known["chance"]).all()


class TestJointLearning:
    def test_three_networks_have_three_trunks_and_the_same_heads(self):
        network = Network(80, "fcn", [0])
        trunk_size = 49_665 - 513
        assert joint._parameters(network, ("emotion", "gender", "age")) == 49_665
        assert joint._parameters(network, ("gender",)) == trunk_size + 56 * 2 + 2

    def test_separate_networks_answer_one_question_each(self):
        counts = {f"{task}, new, random-clip": sums_of(0.5) for task in joint.TASKS}
        counts["emotion, new, random-clip"] = sums_of(0.9)
        off_by_one = np.broadcast_to([100.0, 0, 100, 1, 101, 0, 100], (1, 12, 7))
        counts["age, new, random-clip"] = replace(sums_of(0.1), age=off_by_one)
        found = evaluation.score(joint.separate(counts, "new", "random-clip"), 10)["value"]
        assert found["emotion_accuracy"] == pytest.approx(0.9)
        assert found["age_mae"] == 1

    @pytest.fixture
    def two_representations(self):
        """On "new" the joint network is worse, on "old" better if stopped by emotion."""
        counts = {
            variant.name: sums_of({"new": 0.5, "old": 0.6}[variant.representation])
            for variant in joint.variants(["new", "old"])
        }
        counts[f"{joint.JOINT}, new, speaker-disjoint"] = sums_of(0.4)
        counts[f"{joint.JOINT}, old, stopped by emotion"] = sums_of(0.8)
        return joint.compared(counts, ["new", "old"], 2000)

    def test_sets_of_tasks_are_compared_in_the_tasks_they_have(self, two_representations):
        table = two_representations
        assert ("new", "emotion + age", "gender %") not in table.index
        assert len(table) == 2 * (3 + 2 + 2 + 2 + 3)

    def test_every_representation_is_compared_with_its_own_networks(self, two_representations):
        found = two_representations["difference"]
        changed = found[found != 0].round(6).to_dict()
        assert changed == {
            ("new", joint.JOINT, "emotion %"): -10,
            ("old", joint.KEPT_BEST, "emotion %"): 20,
        }

    def test_the_closing_sentence_says_where_it_holds(self, two_representations):
        rows = ["parameters", "training, s per epoch", "answering one clip, ms"]
        costs = pd.DataFrame({"ratio": [3.0, 2.5, 2.9]}, rows).rename_axis(columns="old")
        said = joint.in_short(two_representations, costs)
        at_once = "chance in emotion by -10.0 points (new) and +0.0 points (old, may be chance); "
        kept = "best epoch, in emotion by +0.0 points (new, may be chance) and +20.0 points (old); "
        assert at_once in said
        assert kept in said
        assert "on old, 3.0 times its parameters and memory, 2.5 times its training time" in said


class TestTrunk:
    def test_shuffling_keeps_every_value_of_a_clip(self, embeddings):
        other = trunk.shuffled(embeddings)
        assert np.array_equal(np.sort(other, axis=1), np.sort(embeddings, axis=1))
        assert not np.array_equal(other, embeddings)
        assert np.array_equal(trunk.shuffled(embeddings[:5]), other[:5])

    def test_a_linear_model_does_not_notice_the_shuffling(self, clips, embeddings, split):
        usual = trunk.linear(embeddings, clips, split, 0)
        other = trunk.linear(trunk.shuffled(embeddings), clips, split, 0)
        assert torch.allclose(usual.age, other.age, atol=0.01)
        assert (usual.emotion == other.emotion).all(dim=1).float().mean() > 0.99

    @pytest.mark.parametrize("architecture", ["fcn", "cnn"])
    @pytest.mark.parametrize("dimension", [80, 88, 256])
    def test_the_trunk_is_counted_as_it_is_built(self, architecture, dimension):
        heads = 56 * 9 + 9
        built = sum(p.numel() for p in Network(dimension, architecture, [0]).parameters())
        assert trunk.trunk_parameters(dimension, architecture) == built - heads

    def test_the_wide_network_has_as_many_parameters_as_the_cnn(self):
        for dimension in (80, 88, 256):
            wide = trunk.trunk_parameters(dimension, "fcn", trunk.matched_width(dimension))
            assert wide == pytest.approx(trunk.trunk_parameters(dimension, "cnn"), rel=0.005)


def test_closing_sentences_follow_their_tables():
    same, better = sums_of(0.6), sums_of(0.7)
    names = [f"{kind}, mfcc" for kind in trunk.KINDS]
    alike = dict.fromkeys(names, same)
    said = trunk.in_short(alike, trunk.compared(alike, ["mfcc"], 1000))
    assert "beyond chance in none; against" in said
    ordered = alike | {names[0]: better}
    said = trunk.in_short(ordered, trunk.compared(ordered, ["mfcc"], 1000))
    assert "beyond chance in mfcc (emotion % +10.0); against" in said
    assert "it is worse in none and better in mfcc (emotion % +10.0);" in said
    assert "CNN, mfcc, 70.0 %, against 60.0 % by" in said


def test_the_loss_that_is_better_on_one_representation_only_is_not_better():
    losses = {variant.name: sums_of(0.6) for variant in loss.variants(["new", "old"])}
    losses["age as ranks, new"] = losses["age as ranks, old"] = sums_of(0.7)
    losses["age as a distribution, old"] = sums_of(0.8)
    losses["standardised age, GradNorm, new"] = sums_of(0.5)
    losses["standardised age, GradNorm, old"] = sums_of(0.5)
    literal = "age in years, plain sum, old"
    nearly, off_by_two = (
        np.broadcast_to([100.0, 0, 0, squares, 0, 0, 0], (1, 12, 7)) for squares in (0.01, 400)
    )
    losses[literal] = replace(sums_of(0.3), age=nearly)
    baseline = replace(sums_of(0.2), age=off_by_two)
    said = loss.in_short(losses, loss.compared(losses, ["new", "old"], 4000), baseline)
    assert "changes emotion by +0.0 points (new, may be chance) and -30.0 points (old)" in said
    assert "chance on new and old: age as ranks (emotion); the lowest" in said
    assert (
        "is 0.0 years (age in years, plain sum, old), where ignoring the voice gives 2.0." in said
    )
