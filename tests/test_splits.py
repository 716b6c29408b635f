"""Folds that others have cut: taken as they are, checked, of as many clips as their authors say."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toys

from persona import corpora, folds
from persona import run as running
from persona.dataset import Dataset
from persona.errors import CorpusError, PersonaError
from persona.experiment import Experiment
from persona.folds import GIVEN, LEFT_OUT, TRAINED, WATCHED
from persona.keeping import store
from persona.run import identity, run
from persona.study import splits
from persona.study.splits import BENCHMARKS
from persona.training import Settings

ROOT = Path(__file__).resolve().parents[1]
BRIEF = Settings(epochs=1)


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    """Every clip of the corpus, oddities and all, as the benchmarks have them."""
    return corpora.CremaD("all").clips()


@pytest.fixture(scope="module")
def counted(clips) -> pd.DataFrame:
    return splits.counted(clips)


class TestBenchmarks:
    @pytest.mark.parametrize(
        ("name", "counts"),
        [
            ("EmoBox", {"folds": 1, "trained": 5586, "validated": 0, "tested": 1856}),
            ("X-ARES", {"folds": 1, "trained": 5210, "validated": 1116, "tested": 1116}),
            ("OGM-GE", {"folds": 1, "trained": 6698, "validated": 0, "tested": 744}),
            (
                "TensorFlow Datasets",
                {"folds": 1, "trained": 5144, "validated": 738, "tested": 1556},
            ),
            ("nkululeko", {"folds": 1, "trained": 4660, "validated": 1224, "tested": 1558}),
            ("EMO-SUPERB", {"folds": 5, "tested": 1463}),
            ("HEAR", {"folds": 5, "tested": 1489}),
            ("MTEB", {"folds": 5, "tested": 1489}),
        ],
    )
    def test_parts_have_as_many_clips_as_in_the_benchmarks_own_files(self, counted, name, counts):
        assert {column: counted.loc[name, column] for column in counts} == counts

    def test_these_share_every_speaker_and_those_share_none(self, counted):
        apart = ["EMO-SUPERB", "TensorFlow Datasets", "nkululeko"]
        assert sorted(counted.index[counted["shared"] == 0]) == apart
        sharing = counted.drop(index=apart)
        assert (sharing["shared"] == 91).all() and (sharing["speakers"] == 91).all()
        assert counted.loc[apart, "speakers"].tolist() == [91, 19, 19]

    def test_every_split_is_one_that_networks_can_be_trained_on(self, clips):
        for cut in BENCHMARKS.values():
            found = folds.given(clips, cut(clips), seed=0)
            tested = np.concatenate([split.test for split in found])
            assert len(tested) == len(set(tested))

    def test_a_split_does_not_depend_on_the_order_of_the_clips(self, clips):
        shuffled = clips.sample(frac=1, random_state=1)
        for name, cut in BENCHMARKS.items():
            if name != "X-ARES":  # whose shuffle has nothing else to go by
                found = pd.Series(cut(shuffled), shuffled.index)
                assert found.sort_index().tolist() == cut(clips).tolist(), name

    def test_every_name_on_a_list_is_in_the_corpus(self, clips):
        for file in (ROOT / "data" / "splits").glob("*.csv"):
            rows = pd.read_csv(file, dtype=str)
            column = rows.columns[0]
            assert set(rows[column]) <= set(clips[column].astype(str))

    def test_memberships_name_who_tests_a_clip(self, clips):
        found = splits.memberships(clips)
        for name, cut in BENCHMARKS.items():
            named = [name in condition.split("+") for condition in found["condition"]]
            assert named == (cut(clips) >= 0).tolist()

    @pytest.mark.parametrize(
        ("lines", "sentence"),
        [("1001,0\n1001,validation", "lists 1001 twice"), ("1001,testing", "a part 'testing'")],
    )
    def test_a_list_with_a_name_in_two_parts_is_refused(
        self, clips, tmp_path, monkeypatch, lines, sentence
    ):
        (tmp_path / "splits").mkdir()
        (tmp_path / "splits" / "nkululeko.csv").write_text(f"speaker,part\n{lines}\n")
        monkeypatch.setenv("PERSONA_DATA", str(tmp_path))
        with pytest.raises(CorpusError, match=sentence):
            splits.nkululeko(clips)


class TestWhatWasRead:
    def test_every_benchmark_says_where_and_every_statement_how(self):
        told = splits.known()["benchmarks"]
        assert set(BENCHMARKS) < set(told)
        for name, one in told.items():
            assert {s["known"] for s in one["statements"]} <= {"read", "inferred", "not known"}
            if any(s["known"] == "read" for s in one["statements"]):
                assert one["sources"], name
            for source in one["sources"]:
                assert "page" in source or re.fullmatch(r"[0-9a-f]{40}", source["commit"])

    def test_each_list_belongs_to_a_benchmark(self):
        told = splits.known()
        kept = {one["kept"] for one in told["benchmarks"].values() if "kept" in one}
        files = {file.name for file in (ROOT / "data" / "splits").glob("*.csv")}
        assert kept == files == set(told["lists"])

    def test_what_is_reported_names_its_file(self):
        told = splits.known()
        for one in told["reported"]:
            about = told["benchmarks"][one["benchmark"]]
            repositories = [source.get("repository", "") for source in about["sources"]]
            assert one["file"] and f"https://github.com/{one['repository']}" in repositories
            assert 0 < one["percent"] < 100


class TestGivenFolds:
    TABLE = pd.DataFrame({"speaker": np.repeat(range(10), 6), "gender": "female"})

    def test_each_fold_is_tested_by_the_rest(self):
        numbers = np.arange(60) % 3
        found = folds.given(self.TABLE, numbers, seed=0)
        assert [split.test.tolist() for split in found] == [
            np.flatnonzero(numbers == fold).tolist() for fold in range(3)
        ]
        for split in found:
            rows = np.concatenate([split.train, split.validation, split.test])
            assert sorted(rows) == list(range(60)) and len(split.validation) == 4

    def test_rows_are_used_for_what_their_number_says(self):
        numbers = np.array([0] * 6 + [WATCHED] * 6 + [LEFT_OUT] * 6 + [TRAINED] * 42)
        (only,) = folds.given(self.TABLE, numbers, seed=0)
        assert (only.test < 6).all() and len(only.test) == 6
        assert only.validation.tolist() == list(range(6, 12))
        assert only.train.tolist() == list(range(18, 60))

    def test_validation_keeps_speakers_apart_where_the_folds_do(self):
        speaker = self.TABLE["speaker"].to_numpy()
        for split in folds.given(self.TABLE, speaker % 5, seed=1):
            assert len(split.validation) == 6
            assert not set(speaker[split.validation]) & set(speaker[split.train])

    def test_two_clips_are_enough_beside_a_fold_and_one_is_not(self):
        numbers = np.array([0] * 58 + [TRAINED] * 2)
        (only,) = folds.given(self.TABLE, numbers, seed=0)
        assert sorted([*only.train, *only.validation]) == [58, 59]
        with pytest.raises(PersonaError, match="leaves nothing to train on"):
            folds.given(self.TABLE, np.where(np.arange(60) == 58, LEFT_OUT, numbers), seed=0)

    def test_one_speaker_who_is_trained_on_is_validated_by_some_of_the_clips(self):
        numbers = np.where(self.TABLE["speaker"] == 9, TRAINED, 0)
        (only,) = folds.given(self.TABLE, numbers, seed=0)
        assert (len(only.train), len(only.validation)) == (5, 1)

    def test_two_speakers_who_are_trained_on_are_kept_apart(self):
        speaker = self.TABLE["speaker"].to_numpy()
        (only,) = folds.given(self.TABLE, np.where(speaker >= 8, TRAINED, 0), seed=0)
        assert {*speaker[only.train]} | {*speaker[only.validation]} == {8, 9}
        assert len(only.train) == len(only.validation) == 6

    @pytest.mark.parametrize(
        ("numbers", "sentence"),
        [
            (np.zeros(59, int), "60 clips are 60 whole numbers"),
            (np.zeros(61, int), "60 clips are 60 whole numbers"),
            (np.zeros(60), "60 clips are 60 whole numbers, not float64"),
            (np.full(60, TRAINED), "numbered 0, 1"),
            (np.where(np.arange(60) % 2, 0, 2), "without a gap"),
            (np.where(np.arange(60) % 2, 0, -4), "left out"),
            (np.zeros(60, int), "leaves nothing to train on"),
        ],
    )
    def test_what_is_no_split_is_one_sentence(self, numbers, sentence):
        with pytest.raises(PersonaError, match=sentence):
            folds.given(self.TABLE, numbers, seed=0)


def by_thirds(clips):
    """Fold numbers of clips, with some only trained on."""
    return np.where(np.arange(len(clips)) % 4 == 3, TRAINED, np.arange(len(clips)) % 4)


def changed(clips):
    return np.roll(by_thirds(clips), 1)


changed.__qualname__ = by_thirds.__qualname__
changed.version = by_thirds.version = 1


class TestExperiment:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
        monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
        toys.home(tmp_path)
        yield

    BASE = Experiment("toy", corpus="toy", seeds=[0], settings=BRIEF)

    def test_every_clip_of_a_given_fold_is_predicted_once(self):
        given = self.BASE.but(protocol=GIVEN, given=by_thirds)
        run([given], train=True, jobs=1)
        found = running.out_of_fold(given)
        clips = Dataset("toy").clips
        assert int(by_thirds(clips).max()) + 1 == 3 == found["fold"].nunique()
        assert sorted(found["clip"]) == sorted(clips["clip"][by_thirds(clips) >= 0])

    def test_other_folds_are_another_experiment(self):
        given = self.BASE.but(protocol=GIVEN, given=by_thirds)
        assert identity(given) != identity(self.BASE)
        assert identity(given) != identity(given.but(given=changed))
        assert "given" not in self.BASE.description()

    @pytest.mark.parametrize("wrong", [{"protocol": GIVEN}, {"given": by_thirds}])
    def test_folds_and_their_protocol_go_together(self, wrong):
        with pytest.raises(PersonaError, match="set both or neither"):
            self.BASE.but(**wrong)

    def test_folds_that_do_not_fit_are_refused_before_training(self, monkeypatch):
        monkeypatch.setattr(running, "predict_fold", lambda *_: pytest.fail("trained"))
        wrong = self.BASE.but(protocol=GIVEN, given=lambda clips: np.zeros(len(clips), int))
        with pytest.raises(PersonaError, match="nothing to train on"):
            run([wrong], train=True, jobs=1)

    def test_sums_over_what_a_benchmark_tests_are_those_of_its_clips(self, monkeypatch):
        monkeypatch.setattr(splits, "BENCHMARKS", {"thirds": by_thirds, "changed": changed})
        marked = self.BASE.but(relabel=splits.memberships)
        results = run([marked], train=True, jobs=1)
        counts = splits.tested_by(results, marked, "thirds")
        clips = Dataset("toy").clips
        tested = clips[by_thirds(clips) >= 0]
        assert counts.age[..., 0].sum() == len(tested)
        assert counts.age[..., 1].sum() == pytest.approx(tested["age"].sum())


def test_shipped_results_are_of_the_identities_that_they_had():
    """A new field of an experiment, left out, must not orphan results that ship."""
    shipped = store.read_table(ROOT / "data" / "results" / "paper_table.parquet")
    assert identity(Experiment("mfcc", seeds=(0, 1, 2))) in shipped.columns["experiment"]
