"""Experiments: declared, computed, kept, known by what decides them, and blind to test speakers."""

import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
import toys

from persona import cross_validation, evaluation, features, folds, training
from persona import run as running
from persona.dataset import Dataset
from persona.errors import PersonaError
from persona.experiment import Experiment
from persona.folds import Split
from persona.keeping import store
from persona.labels import TASKS
from persona.losses import Targets
from persona.network import Predicted
from persona.predictions import PROBABILITIES
from persona.run import Results, identity, out_of_fold, run
from persona.training import Settings

BRIEF = Settings(epochs=1, batch_size=64)
BASE = Experiment("toy", corpus="toy", seeds=[0], settings=BRIEF)


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    """Feature tables of the toy corpora, among what a user made."""
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
    toys.home(tmp_path)
    return tmp_path / "build"


@pytest.fixture
def trained(monkeypatch) -> list[tuple[str, int, int]]:
    """Folds that are trained from here on."""
    seen = []
    original = running.predict_fold

    def watched(one, seed, fold):
        seen.append((one.label or one.representation, seed, fold))
        return original(one, seed, fold)

    monkeypatch.setattr(running, "predict_fold", watched)
    return seen


def once(*experiments: Experiment, **options) -> Results:
    return run(experiments, train=True, **{"jobs": 1, **options})


def undecided(embeddings, clips, split, seed, age: float = 40.0) -> Predicted:
    n = len(split.test)
    return Predicted(np.full((n, 6), 1 / 6), np.full((n, 2), 0.5), np.full(n, age))


def doubled(embeddings):
    return 2 * embeddings


def begun(emotions):
    """Networks to begin with."""
    return [training.build(toys.DIMENSION, "fcn", BRIEF, len(emotions))]


def halves(clips):
    return np.arange(len(clips)) % 2


def two_ages(clips):
    return clips.assign(age=np.where(clips["speaker"] % 2, 30.0, 60.0))


def fewer(clips, split, seed, clips_kept: int = 30):
    return Split(split.train[:clips_kept], split.validation, split.test)


class TestDeclaration:
    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"architecture": "rnn"}, "no architecture 'rnn'; choose from fcn, cnn"),
            ({"protocol": "random"}, "no protocol 'random'; choose from random-clip"),
            ({"age_unit": "years"}, "no unit of age 'years'; choose from"),
            ({"schedule": "cosine"}, "no schedule 'cosine'; choose from"),
            ({"weighing": "vote"}, "no weighing 'vote'; choose from"),
            ({"epoch": 3}, "has no field 'epoch'"),
            ({"seeds": []}, "needs a seed"),
            ({"candidates": [Settings(epochs=2)]}, "leave `settings` out"),
            (
                {"settings": Settings(), "candidates": [Settings(), Settings(patience=0)]},
                "all or none",
            ),
        ],
    )
    def test_what_does_not_exist_is_one_sentence_before_training(self, wrong, sentence):
        with pytest.raises(PersonaError, match=sentence):
            BASE.but(**wrong)

    @pytest.mark.parametrize(
        "given",
        [{"settings": BRIEF}, {"architecture": "cnn"}, {"besides": ["toy-abroad"]},
         {"tested": ["toy-abroad"]}],
    )  # fmt: skip
    def test_what_an_estimator_would_ignore_is_refused(self, given):
        plain = Experiment("toy", corpus="toy", estimator=undecided)
        with pytest.raises(PersonaError, match=f"{next(iter(given))} would be ignored: leave it"):
            replace(plain, **given)

    @pytest.mark.parametrize("tasks", [("emotions",), ("emotion", "Age"), ()])
    def test_a_typo_in_a_task_is_one_sentence(self, tasks):
        with pytest.raises(PersonaError, match=r"no task|a task whose weight is not 0"):
            BASE.only(*tasks)

    def test_only_leaves_tasks_out(self):
        assert BASE.only("gender").settings.weights == (0, 1, 0)
        assert BASE.only(*TASKS).settings.weights == (1, 1, 1)
        assert BASE.only("age").settings.epochs == BRIEF.epochs

    def test_but_changes_fields_and_settings(self):
        other = BASE.but(architecture="cnn", epochs=7, label="x")
        assert (other.architecture, other.settings.epochs, other.label) == ("cnn", 7, "x")
        assert other.settings.batch_size == BRIEF.batch_size
        assert BASE.architecture == "fcn"

    def test_a_single_value_is_a_list_of_one(self):
        one = replace(BASE, seeds=3, besides="toy-abroad")
        assert (one.seeds, one.besides) == ((3,), ("toy-abroad",))
        assert replace(BASE, seeds=np.arange(2)).seeds == (0, 1)

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"representation": "toyy"}, "no feature table 'toyy' of toy"),
            ({"representation": "toy+nothing"}, "no feature table 'nothing' of toy"),
            ({"corpus": "toyy"}, "no corpus 'toyy'"),
            (
                {"representation": "half", "tested": ["toy-abroad"]},
                "no feature table 'half' of toy-abroad",
            ),
            (
                {"representation": "half", "besides": ["toy-copies"]},
                "no feature table 'half' of toy-copies",
            ),
        ],
    )
    def test_what_has_no_feature_table_is_named_before_training(self, wrong, sentence, trained):
        toys.write_features(toys.Toy(), name="half")
        with pytest.raises(PersonaError, match=sentence):
            once(BASE, BASE.but(**wrong))
        assert not trained


class TestIdentity:
    @pytest.mark.parametrize(
        "change",
        [
            {"architecture": "cnn"}, {"protocol": "random-clip"}, {"seeds": [0, 1]},
            {"age_unit": "year"}, {"epochs": 2}, {"batch_size": 8}, {"dropout": 0.1},
            {"weights": (1.0, 0.0, 0.0)}, {"weighing": "gradnorm"}, {"hidden": (10, 5)},
            {"parts": [(0, 4)]}, {"parts": [(4, 8)]}, {"per_label": True}, {"old": 3.0},
            {"besides": ["toy-abroad"], "moved_to": "toy-abroad", "moved": 1},
            {"besides": ["toy-abroad"], "moved_to": "toy-abroad", "moved": 2},
            {"besides": ["toy-abroad"]}, {"besides": ["toy-copies"]}, {"tested": ["toy-abroad"]},
            {"settings": Settings(), "candidates": [BRIEF]}, {"transform": doubled},
            {"subset": fewer}, {"subset": partial(fewer, clips_kept=20)}, {"relabel": two_ages},
            {"start": begun}, {"protocol": folds.GIVEN, "given": halves},
            {"settings": Settings(), "estimator": undecided},
            {"settings": Settings(), "estimator": partial(undecided, age=50.0)},
            {"settings": Settings(), "estimator": partial(undecided, age=60.0)},
        ],
        ids="-".join,
    )  # fmt: skip
    def test_every_field_but_the_label_changes_it(self, change, identities={}):  # noqa: B006
        changed = BASE.but(**change)
        assert identity(changed) == identity(BASE.but(**change, label="other"))
        assert identity(changed) != identity(BASE)
        assert identities.setdefault(identity(changed), str(change)) == str(change)

    def test_a_setting_that_is_empty_does_not_change_it(self):
        assert "parts" not in BASE.description()["settings"]

    def test_every_field_is_part_of_it(self):
        """A field that is added later has to decide the identity, too."""
        from dataclasses import fields

        everything = BASE.but(
            besides=["a"],
            tested=["b"],
            transform=doubled,
            subset=fewer,
            relabel=two_ages,
            start=begun,
            protocol=folds.GIVEN,
            given=halves,
            parts=[(0, 4)],
            moved_to="a",
            moved=1,
            moved_by=(0.1, 0.2),
            per_label=True,
            old=2.0,
        )
        described = set(everything.description())
        assert {f.name for f in fields(Experiment)} - described == {
            "label", "candidates", "estimator",
        }  # fmt: skip
        assert set(everything.description()["settings"]) == {f.name for f in fields(Settings)}

    def test_values_of_the_feature_table_and_labels_are_part_of_it(self, monkeypatch):
        usual = identity(BASE)
        values = toys.embeddings(toys.clips())
        values[3, 4] += 1e-6
        toys.write_features(toys.Toy(), values)
        changed = identity(BASE)
        assert changed != usual
        monkeypatch.setattr(toys.Toy, "clips", lambda self: toys.clips().assign(age=33.0))
        assert identity(BASE) not in (usual, changed)

    def test_the_table_of_what_is_trained_on_besides_is_part_of_it(self):
        usual = identity(BASE.but(besides=["toy-copies"]))
        toys.write_features(toys.ToyCopies(), toys.embeddings(COPIES, 9))
        assert identity(BASE.but(besides=["toy-copies"])) != usual

    def test_of_what_is_tested_besides_the_audio_is_part_of_it_and_no_table_is_needed(
        self, monkeypatch, build
    ):
        abroad = BASE.but(tested=["toy", "toy-abroad"])
        usual = identity(abroad)
        shutil.rmtree(build / "features" / "toy-abroad")
        assert identity(abroad) == usual
        monkeypatch.setattr(toys.ToyAbroad, "digests", lambda self: {"other": "audio"})
        assert identity(abroad) != usual

    def test_what_is_irrelevant_is_not_part_of_it(self, build):
        assert identity(BASE.but(seeds=[1, 0, 1])) == identity(BASE.but(seeds=[0, 1]))
        assert identity(BASE.but(weights=[1, 1, 1])) == identity(BASE)
        file = features.path("toy", "toy")
        table = store.read_table(file)
        store.write_table(file, table.columns, {**table.provenance, "note": "made elsewhere"})
        assert identity(BASE) == identity(BASE.but(label="x"))

    def test_the_version_of_the_code_is_part_of_it(self, monkeypatch):
        usual = identity(BASE)
        for module in (training, running):
            with monkeypatch.context() as patch:
                patch.setattr(module, "VERSION", 99)
                assert identity(BASE) != usual

    def test_functions_that_differ_are_told_apart(self):
        def around(factor):
            def scaled(embeddings):
                return factor * embeddings

            return scaled

        functions = [
            lambda x: x + 1,
            lambda x: x + 2,
            around(1),
            around(2),
            partial(np.ones, 3).func and doubled,
        ]
        found = [identity(BASE.but(transform=function)) for function in functions]
        assert len(set(found)) == len(functions)
        assert identity(BASE.but(transform=around(2))) == found[3]

    def test_a_function_with_a_version_is_known_by_it_and_not_by_its_text(self):
        def first(x):
            return x + 1

        def second(x):
            return x + 2

        second.__qualname__ = first.__qualname__
        assert identity(BASE.but(transform=first)) != identity(BASE.but(transform=second))
        first.version = second.version = 7
        assert identity(BASE.but(transform=first)) == identity(BASE.but(transform=second))
        second.version = 8
        assert identity(BASE.but(transform=first)) != identity(BASE.but(transform=second))

    @pytest.mark.parametrize("unknown", [object(), partial(fewer, clips_kept=object()), str.upper])
    def test_what_cannot_be_told_apart_is_refused(self, unknown):
        with pytest.raises(PersonaError, match="cannot be told from others"):
            identity(BASE.but(transform=unknown))


class TestPredictions:
    def test_every_clip_is_predicted_once_per_seed_in_the_fold_that_tests_it(self):
        one = BASE.but(seeds=[0, 4], protocol="random-clip")
        once(one)
        rows, clips = out_of_fold(one), toys.clips()
        assert len(rows) == 2 * len(clips)
        for seed in one.seeds:
            fold = rows[rows["seed"] == seed].set_index("clip")["fold"]
            assert sorted(fold.index) == sorted(clips["clip"])
            for number, split in enumerate(folds.split(clips, "random-clip", seed)):
                assert (fold[clips["clip"].iloc[split.test]] == number).all()

    def test_they_are_what_the_network_of_that_fold_predicts(self):
        one = BASE.but(seeds=[1], architecture="cnn")
        once(one)
        clips = toys.clips()
        x = torch.from_numpy(toys.embeddings(clips))
        split = folds.split(clips, "speaker-disjoint", 1)[3]
        network, _ = training.fit(
            x, Targets.of(clips), split.train, split.validation, 1 * 5 + 3, "cnn", BRIEF
        )
        wanted = network.predict(x[split.test])
        rows = out_of_fold(one).query("fold == 3").set_index("clip")
        rows = rows.loc[clips["clip"].iloc[split.test]]
        assert np.allclose(rows[PROBABILITIES], wanted.emotion, atol=1e-6)
        assert np.allclose(rows["age"], wanted.age, atol=1e-4)

    def test_probabilities_are_kept_in_float32(self):
        once(BASE)
        rows = out_of_fold(BASE)
        assert {str(t) for t in rows[[*PROBABILITIES, "p_female", "age"]].dtypes} == {"float32"}
        assert np.allclose(rows[PROBABILITIES].sum(axis=1), 1, atol=1e-5)

    def test_a_planted_signal_is_found_and_shuffled_labels_are_not(self):
        def shuffled(clips):
            order = np.random.default_rng(0).permutation(len(clips))
            return clips.assign(emotion=clips["emotion"].to_numpy()[order])

        real = BASE.but(epochs=12, batch_size=8)
        control = real.but(relabel=shuffled)
        results = once(real, control)
        accuracy = [evaluation.score(results[e], 10).loc["emotion_accuracy", "value"]
                    for e in (real, control)]  # fmt: skip
        assert accuracy[0] > 0.75 and accuracy[1] < 0.35

    def test_sums_are_those_of_the_predictions(self):
        results = once(BASE)
        wanted = evaluation.sums(out_of_fold(BASE), toys.clips())
        for part in ("emotion", "gender", "age"):
            assert np.allclose(getattr(results[BASE], part), getattr(wanted, part))

    def test_where_nothing_was_run_it_is_said(self):
        with pytest.raises(PersonaError, match="no predictions of toy: run it with train=True"):
            out_of_fold(BASE)


class TestFunctions:
    def test_an_estimator_takes_the_networks_place(self):
        one = Experiment("toy", corpus="toy", seeds=[0], estimator=partial(undecided, age=33.0))
        once(one)
        rows = out_of_fold(one)
        assert (rows["age"] == 33).all() and len(rows) == 120

    def test_a_transform_changes_what_is_trained_on_and_tested(self):
        def hidden(embeddings):
            return np.zeros_like(embeddings)

        blind = BASE.but(transform=hidden)
        once(blind)
        rows = out_of_fold(blind)
        assert rows.groupby("fold")["age"].nunique().eq(1).all()

    def test_a_subset_is_what_is_trained_on(self, monkeypatch):
        seen = []
        fit = training.fit_ensemble
        monkeypatch.setattr(
            training, "fit_ensemble",
            lambda x, t, train, *rest, **options: (seen.append(train), fit(x, t, train, *rest,
                                                                           **options))[1],
        )  # fmt: skip
        once(BASE.but(subset=partial(fewer, clips_kept=20)))
        assert [len(rows) for rows in seen] == [20] * 5

    def test_relabelled_clips_are_trained_on_and_tested(self):
        results = once(BASE.but(relabel=two_ages))
        ages = results[BASE.but(relabel=two_ages)].age
        assert set((ages[0, :, 1] / ages[0, :, 0]).tolist()) == {30.0, 60.0}

    def test_a_function_that_changes_what_it_is_given_spoils_nothing_for_the_next(self):
        def spoils(clips):
            clips["age"] = 1.0
            return clips

        def spoils_embeddings(embeddings):
            embeddings *= 0
            return embeddings

        once(BASE.but(relabel=spoils), BASE.but(transform=spoils_embeddings))
        assert Dataset("toy").clips.equals(toys.clips())
        assert Dataset("toy", "toy").embeddings.any()

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_functions_of_a_notebook_reach_the_workers(self, jobs, request):
        """Closures and lambdas, and the digits are those of one process."""
        request.addfinalizer(toys.stop_workers)
        factor = 3.0
        one = BASE.but(transform=lambda x: factor * x + toys.DIMENSION)
        once(one, jobs=jobs)
        first = out_of_fold(one)
        (store.made() / "predictions" / f"{identity(one)}.parquet").unlink()
        (store.made() / "results" / "experiments.parquet").unlink()
        once(one, jobs=1)
        pd.testing.assert_frame_equal(out_of_fold(one), first)


class TestRun:
    def test_a_second_run_of_a_study_waits_for_the_first(self, build, trained):
        given = {"train": True, "jobs": 1}
        second = threading.Thread(target=run, args=([BASE.but(seeds=[0])],), kwargs=given)
        with store.lock(build / "predictions" / "experiments"):
            second.start()
            second.join(1)
            assert not trained
        second.join()
        assert trained

    def test_only_what_is_missing_is_computed(self, trained):
        first, second = BASE.but(label="a"), BASE.but(label="b", architecture="cnn")
        once(first)
        assert len(trained) == 5
        once(first, second)
        assert [name for name, *_ in trained[5:]] == ["b"] * 5
        once(first, second, study="another")
        assert len(trained) == 10

    def test_an_interrupted_run_goes_on_where_it_was(self, monkeypatch, trained):
        experiments = [BASE.but(label=str(s), seeds=[s]) for s in range(3)]
        original = running.predict_fold

        def stopping(one, seed, fold):
            if len(trained) == 12:
                raise KeyboardInterrupt
            return original(one, seed, fold)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(running, "predict_fold", stopping)
            once(*experiments)
        trained.clear()
        results = once(*experiments)
        assert {name for name, *_ in trained} == {"2"}
        assert len(results.rows) == 3 * toys.SPEAKERS

    def test_without_training_what_is_there_is_read_and_what_is_not_is_named(self, trained):
        with pytest.raises(PersonaError, match=r"1 experiments \(one, .*compute them with train="):
            run([BASE.but(label="one")])
        once(BASE)
        trained.clear()
        assert len(run([BASE]).rows) == toys.SPEAKERS
        assert not trained

    def test_what_ships_is_read_and_recomputed_only_if_asked(self, tmp_path, build, trained):
        once(BASE, study="chapter")
        (tmp_path / "data" / "results").mkdir(parents=True)
        (build / "results" / "chapter.parquet").rename(
            tmp_path / "data" / "results" / "chapter.parquet"
        )
        (build / "predictions" / f"{identity(BASE)}.parquet").unlink()
        trained.clear()
        assert len(run([BASE], "chapter").rows) == toys.SPEAKERS and not trained
        run([BASE], "chapter", train=True, jobs=1)
        assert len(trained) == 5

    def test_results_name_what_they_are_of(self):
        rows = once(BASE.but(architecture="cnn")).rows
        assert set(rows["architecture"]) == {"cnn"} and set(rows["corpus"]) == {"toy"}
        assert {"experiment", "protocol", "trained_on", "condition", "seed"} <= set(rows.columns)
        assert rows["representation"].tolist() == ["toy"] * toys.SPEAKERS

    def test_the_table_says_what_made_it(self, build):
        once(BASE, study="chapter")
        made_by = store.read_provenance(build / "results" / "chapter.parquet")
        assert made_by["study"] == "chapter"
        assert list(made_by["experiments"]) == [identity(BASE)]
        assert made_by["experiments"][identity(BASE)]["settings"]["epochs"] == 1

    def test_results_of_an_experiment_that_was_not_run_are_refused(self):
        with pytest.raises(PersonaError, match="no results of toy on toy"):
            once(BASE)[BASE.but(epochs=9)]

    @pytest.mark.parametrize("wrong", ["yes", ["toy", "typo"], [3]])
    def test_a_wrong_word_for_what_to_train_is_one_sentence(self, wrong, trained):
        with pytest.raises(PersonaError, match=r"no representation to train on .*choose from toy"):
            run([BASE], train=wrong, jobs=1)
        assert not trained
        assert len(run([BASE], train=1, jobs=1).rows) == toys.SPEAKERS

    def test_only_the_experiments_that_are_named_are_trained(self, trained):
        one, other = BASE, BASE.but(epochs=2)
        run([one], train=True, jobs=1)
        with pytest.raises(PersonaError, match="compute them with train=True"):
            run([one, other], train=[one], jobs=1)
        assert set(run([one, other], train=[other], jobs=1).rows["experiment"]) == {
            identity(one),
            identity(other),
        }

    def test_what_another_run_computed_meanwhile_is_not_trained_again(
        self, build, trained, monkeypatch
    ):
        once(BASE)
        shutil.rmtree(build / "results")
        file = build / "predictions" / f"{identity(BASE)}.parquet"
        aside = file.rename(build / "aside")
        trained.clear()

        @contextmanager
        def waiting(name):
            aside.rename(file)  # the other run ends while this one waits for its turn
            yield

        monkeypatch.setattr(store, "lock", waiting)
        assert len(once(BASE).rows) == toys.SPEAKERS and not trained

    def test_no_experiment_is_one_sentence(self):
        with pytest.raises(PersonaError, match="no experiment to run"):
            run([])

    def test_half_a_file_of_predictions_is_never_read_as_whole(self, build):
        once(BASE)
        file = build / "predictions" / f"{identity(BASE)}.parquet"
        file.write_bytes(file.read_bytes()[:-200])
        (build / "results" / "experiments.parquet").unlink()
        with pytest.raises(PersonaError, match="is damaged: remove it and make it again"):
            once(BASE)


@pytest.fixture
def training_rows(monkeypatch) -> list[np.ndarray]:
    """Rows that each network is trained, stopped or chosen on."""
    seen: list[np.ndarray] = []
    fit = training.fit

    def watched(embeddings, targets, train, validation, *rest, **options):
        seen.append(np.concatenate([train, validation]))
        return fit(embeddings, targets, train, validation, *rest, **options)

    monkeypatch.setattr(training, "fit", watched)
    return seen


def people_tested(seed: int = 0) -> list[set[int]]:
    clips = toys.clips()
    return [
        set(clips["speaker"].iloc[s.test]) for s in folds.split(clips, "speaker-disjoint", seed)
    ]


COPIES = toys.ToyCopies().clips()


class TestBesides:
    @pytest.mark.parametrize("patience", [0, 5])
    def test_no_network_is_trained_on_a_copy_in_which_a_test_speaker_is_audible(
        self, training_rows, patience
    ):
        once(BASE.but(besides=["toy-copies"], patience=patience))
        clips = toys.clips()
        assert len(training_rows) == 5
        for rows, tested in zip(training_rows, people_tested(), strict=True):
            own = clips.iloc[rows[rows < len(clips)]]
            copies = COPIES.iloc[rows[rows >= len(clips)] - len(clips)]
            assert not tested & set(own["speaker"])
            assert not any(tested & set(people) for people in copies["audible"])
            assert {"alone", "babble"} == set(copies["condition"])

    def test_what_is_trained_on_is_that_of_this_version(self, training_rows):
        """Where this differs, raise `running.VERSION`: identities do not see the code."""
        once(BASE.but(besides=["toy-copies", "toy-abroad"]))
        rows = [sorted(part.tolist()) for part in training_rows]
        assert (running.VERSION, store.fingerprint(rows)[:12]) == (1, "43b54c11456d")

    def test_every_copy_that_may_be_used_is_used(self, training_rows):
        once(BASE.but(besides=["toy-copies"], patience=0))
        for rows, tested in zip(training_rows, people_tested(), strict=True):
            wanted = sum(not tested & set(people) for people in COPIES["audible"])
            assert (rows >= len(toys.clips())).sum() == wanted

    def test_no_copy_of_a_validation_speaker_is_trained_on(self, monkeypatch):
        seen = []
        fit = training.fit
        monkeypatch.setattr(
            training, "fit",
            lambda x, t, train, validation, *a, **o: (
                seen.append((train, validation)), fit(x, t, train, validation, *a, **o)
            )[1],
        )  # fmt: skip
        once(BASE.but(besides=["toy-copies"]))
        clips = toys.clips()
        for train, validation in seen:
            watched = set(clips["speaker"].iloc[validation])
            copies = COPIES.iloc[train[train >= len(clips)] - len(clips)]
            assert not any(watched & set(people) for people in copies["audible"])

    def test_candidates_are_chosen_without_a_copy_of_whom_they_are_held_out_against(
        self, training_rows, monkeypatch
    ):
        held = []
        choose = cross_validation.choose

        def watched(x, t, train, held_out, *rest, **options):
            held.append((train, held_out))
            return choose(x, t, train, held_out, *rest, **options)

        monkeypatch.setattr(cross_validation, "choose", watched)
        candidates = [Settings(epochs=1, patience=0), Settings(epochs=2, patience=0)]
        once(BASE.but(settings=Settings(), candidates=candidates, besides=["toy-copies"]))
        clips = toys.clips()
        assert len(held) == 5
        for (train, held_out), tested in zip(held, people_tested(), strict=True):
            people = set(clips["speaker"].iloc[held_out])
            assert people and not people & tested
            own = set(clips["speaker"].iloc[train[train < len(clips)]])
            copies = COPIES.iloc[train[train >= len(clips)] - len(clips)]
            heard = {speaker for audible in copies["audible"] for speaker in audible}
            assert not (own | heard) & (people | tested)

    def test_all_of_another_corpus_goes_with_every_fold(self, training_rows):
        once(BASE.but(besides=["toy-abroad"]))
        n, more = len(toys.clips()), len(toys.ToyAbroad().clips())
        assert all((rows >= n).sum() == more for rows in training_rows)

    def test_scales_come_from_the_corpus_itself(self, monkeypatch):
        seen = []
        fit = training.fit
        monkeypatch.setattr(
            training, "fit",
            lambda *a, **o: (seen.append(o["reference"]), fit(*a, **o))[1],
        )  # fmt: skip
        once(BASE.but(besides=["toy-abroad"]))
        assert all(rows.max() < len(toys.clips()) for rows in seen)

    @pytest.mark.parametrize("tested", [["toy-abroad"], ["toy", "toy-abroad"], []])
    def test_what_is_tested_is_not_trained_on(self, tested):
        besides = ["toy-abroad"] if tested else ["toy"]
        with pytest.raises(PersonaError, match="is tested, so that it cannot be trained on"):
            once(BASE.but(besides=besides, tested=tested))

    def test_copies_of_another_corpus_are_refused(self):
        with pytest.raises(PersonaError, match="None of the copies belongs to what is trained on"):
            once(BASE.but(corpus="toy-abroad+toy", besides=["toy-copies"]))


class TestTested:
    def test_all_of_a_foreign_corpus_is_tested_by_every_network(self):
        one = BASE.but(seeds=[0, 2], tested=["toy", "toy-abroad"])
        results = once(one)
        abroad = out_of_fold(one).query("corpus == 'toy-abroad'")
        assert sorted(abroad["seed"].unique()) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
        assert (abroad.groupby("seed").size() == 36).all()
        assert results.of(one, "toy-abroad").age.shape[:2] == (10, 3)
        assert results[one].age.shape[:2] == (2, toys.SPEAKERS)
        assert results[one].age[..., 0].sum() == 2 * 120

    def test_of_copies_those_of_the_test_folds_clips_are_tested_by_condition(self):
        one = BASE.but(tested=["toy-copies"])
        results = once(one)
        rows = out_of_fold(one)
        clips = toys.clips()
        assert len(rows) == len(COPIES)
        original = dict(zip(COPIES["clip"], COPIES["original"], strict=True))
        for number, split in enumerate(folds.split(clips, "speaker-disjoint", 0)):
            copied = rows.loc[rows["fold"] == number, "clip"].map(original)
            assert set(copied) == set(clips["clip"].iloc[split.test])
        for condition in ("alone", "babble"):
            assert results.of(one, condition=condition).age[..., 0].sum() == 120
        with pytest.raises(PersonaError, match="no results of toy on toy-copies quiet"):
            results.of(one, condition="quiet")

    def test_joined_corpora_are_dealt_together(self):
        one = BASE.but(corpus="toy+toy-abroad")
        results = once(one)
        assert results[one].age[..., 0].sum() == 120 + 36
        assert "toy 3" in results[one].speakers


class TestTrainOnEverything:
    def test_it_trains_on_every_clip(self, training_rows):
        one = BASE.but(patience=0, networks=2, besides=["toy-copies"])
        ensemble = cross_validation.train_on_everything(one, 3)
        assert len(ensemble.networks) == 2
        assert all(len(rows) == 120 + len(COPIES) for rows in training_rows)

    def test_early_stopping_is_refused(self):
        with pytest.raises(PersonaError, match=r"Nothing is held out .*: set patience=0"):
            cross_validation.train_on_everything(BASE)


class TestMovedCopies:
    """Where copies are moved to, from what is trained on alone."""

    CLIPS = pd.DataFrame({"emotion": ["neutral", "sad", "neutral", "neutral"]})
    READERS = pd.DataFrame({"speaker": ["a", "a", "b"]})
    MOVED = Experiment(
        "mfcc", besides="readers", moved_to="readers", settings=Settings(moved=1), seeds=0
    )

    def test_an_offset_is_a_reader_s_mean_less_that_of_plain_training_clips(self):
        embeddings = torch.tensor([[0.0, 1], [9, 9], [4, 5], [99, 99], [6, 7], [8, 9], [10, 11]])
        own = np.array([0, 1, 2])  # the last plain clip is of the test fold
        moves = cross_validation._moves(
            self.MOVED, embeddings, self.CLIPS, [(4, self.READERS)], own
        )
        assert moves.offsets.tolist() == [[5, 5], [8, 8]]
        assert moves.rows.tolist() == own.tolist()

    def test_without_plain_clips_there_is_no_way_from_them(self):
        sad = self.CLIPS.assign(emotion="sad")
        rows = torch.zeros(7, 2)
        with pytest.raises(PersonaError, match="no clip is labelled 'neutral'"):
            cross_validation._moves(self.MOVED, rows, sad, [(4, self.READERS)], np.arange(3))

    def test_decide_the_identity_only_where_there_are_any(self):
        described = self.MOVED.description()
        assert described["moved_to"] == "readers" and described["settings"]["moved"] == 1
        plain = BASE.description()
        assert "moved_to" not in plain and "moved" not in plain["settings"]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"moved_to": "readers"}, "readers is not trained on"),
            ({"besides": "readers", "moved_to": "readers"}, "set both or neither"),
            ({"settings": Settings(moved=1)}, "set both or neither"),
        ],
    )
    def test_need_a_place_and_copies(self, changes, sentence):
        with pytest.raises(PersonaError, match=sentence):
            Experiment("mfcc", **changes)
