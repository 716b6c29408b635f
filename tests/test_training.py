"""Training: what is there is learnt, nothing leaks, and nothing is left to chance."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import toys

from persona import folds, training
from persona.cross_validation import choose
from persona.errors import PersonaError
from persona.losses import Targets, losses
from persona.network import AGE_HEADS, ARCHITECTURES, Network
from persona.training import Moves, Settings, fit, fit_ensemble

SETTINGS = Settings(epochs=4, batch_size=32)
CLIPS = toys.clips(20, 12)
TARGETS = Targets.of(CLIPS)
EMBEDDINGS = torch.from_numpy(toys.embeddings(CLIPS))
SPLIT = folds.split(CLIPS, "speaker-disjoint", 0)[0]
ROWS = SPLIT.train, SPLIT.validation


def same(first: Network, second: Network) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def updates(monkeypatch) -> list[torch.Tensor]:
    """Rows of every batch that is trained or watched, in order."""
    seen: list[torch.Tensor] = []
    original = training._batch_losses

    def watched(network, heard, targets, settings):
        seen.append(torch.cdist(heard, EMBEDDINGS).argmin(dim=1))
        return original(network, heard, targets, settings)

    monkeypatch.setattr(training, "_batch_losses", watched)
    return seen


class TestLearning:
    def test_what_the_embedding_carries_is_learnt(self):
        network, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=Settings(epochs=12, batch_size=8))
        right = network.predict(EMBEDDINGS[SPLIT.test]).emotion.argmax(-1)
        assert (right == TARGETS.emotion[SPLIT.test]).float().mean() > 0.8

    def test_shuffled_labels_are_not(self):
        """Not even where noise lets every training row be learnt by heart: a leak would show."""
        chance = torch.Generator().manual_seed(1)
        noisy = torch.cat([EMBEDDINGS, torch.randn(len(CLIPS), 400, generator=chance)], dim=1)
        shuffled = TARGETS.at(torch.randperm(len(CLIPS), generator=chance))
        by_heart = Settings(epochs=20, batch_size=16, patience=0)
        network, _ = fit(noisy, shuffled, *ROWS, 0, settings=by_heart)
        right = (network.predict(noisy).emotion.argmax(-1) == shuffled.emotion).float()
        assert right[SPLIT.train].mean() > 0.95
        assert right[SPLIT.test].mean() < 0.35

    @pytest.mark.parametrize("head", AGE_HEADS)
    def test_every_age_head_learns_age(self, head):
        settings = Settings(
            epochs=25, batch_size=16, learning_rate=5e-3, patience=25, age_head=head,
            weights=(0, 0, 1),
        )  # fmt: skip
        network, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)
        true = TARGETS.age[SPLIT.test]
        error = (network.predict(EMBEDDINGS[SPLIT.test]).age - true).abs().mean()
        assert error < 0.7 * (TARGETS.age[SPLIT.train].mean() - true).abs().mean()

    @pytest.mark.parametrize("weighing", ["fixed", "uncertainty", "gradnorm"])
    def test_a_task_without_weight_leaves_its_head_untouched(self, weighing):
        settings = replace(SETTINGS, weights=(1, 0, 1), weighing=weighing)
        network, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 5, settings=settings)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            fresh = Network(toys.DIMENSION)
        assert torch.equal(network.gender.weight, fresh.gender.weight)
        assert not torch.equal(network.emotion.weight, fresh.emotion.weight)
        assert not torch.equal(network.age.linear.weight, fresh.age.linear.weight)

    def test_dead_dimensions_give_no_nan(self):
        n = len(CLIPS)
        dead = torch.cat([EMBEDDINGS, torch.zeros(n, 3), torch.full((n, 1), 7.0)], dim=1)
        network, history = fit(dead, TARGETS, *ROWS, 0, "cnn", SETTINGS)
        assert np.isfinite(history.validation).all()
        assert torch.isfinite(network.predict(dead).age).all()

    def test_missing_labels_do_not_hurt(self):
        """A third of each label is missing, every age among the validation rows."""
        table = CLIPS.astype({"age": float, "emotion": object, "gender": object})
        for number, task in enumerate(("emotion", "gender", "age")):
            table.loc[np.arange(len(table)) % 3 == number, task] = None
        table.loc[SPLIT.validation, "age"] = None
        partly = Targets.of(table)
        network, history = fit(EMBEDDINGS, partly, *ROWS, 0, settings=Settings(batch_size=8))
        assert np.isfinite(history.validation).all()
        known = table["age"].iloc[SPLIT.train].dropna().to_numpy(float)
        assert network.age.mean.item() == pytest.approx(known.mean(), rel=1e-5)
        predicted = network.predict(EMBEDDINGS[SPLIT.test])
        right = predicted.emotion.argmax(-1) == TARGETS.emotion[SPLIT.test]
        assert right.float().mean() > 0.7

    def test_a_rate_that_is_too_high_is_one_sentence(self):
        settings = replace(SETTINGS, learning_rate=1e30)
        with pytest.raises(PersonaError, match=r"diverged in epoch 1: lower learning_rate\."):
            fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)


class TestIndependence:
    def test_nothing_of_the_test_rows_reaches_training(self):
        wild, other = Targets(*(labels.clone() for labels in TARGETS)), EMBEDDINGS.clone()
        other[SPLIT.test] = 1e6
        wild.emotion[SPLIT.test], wild.gender[SPLIT.test], wild.age[SPLIT.test] = 0, 1, -1e6
        first, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=SETTINGS)
        second, _ = fit(other, wild, *ROWS, 0, settings=SETTINGS)
        assert same(first, second)

    def test_validation_rows_choose_the_epoch_and_nothing_else(self):
        other = EMBEDDINGS.clone()
        other[SPLIT.validation] = 1e6
        one_epoch = replace(SETTINGS, epochs=1)
        first, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=one_epoch)
        second, _ = fit(other, TARGETS, *ROWS, 0, settings=one_epoch)
        assert same(first, second)

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_a_seed_repeats_itself_and_another_differs(self, architecture, dropout):
        settings = replace(SETTINGS, dropout=dropout)
        first, again, other = (
            fit(EMBEDDINGS, TARGETS, *ROWS, seed, architecture, settings)[0] for seed in (3, 3, 4)
        )
        assert same(first, again)
        assert not torch.allclose(first.last_shared, other.last_shared)

    def test_the_surrounding_random_numbers_are_left_alone_and_do_not_matter(self):
        torch.manual_seed(1)
        wanted = torch.rand(3)
        torch.manual_seed(1)
        first, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=replace(SETTINGS, dropout=0.2))
        assert torch.equal(torch.rand(3), wanted)
        again, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=replace(SETTINGS, dropout=0.2))
        assert same(first, again)

    def test_the_embeddings_and_labels_are_left_alone(self):
        x, labels = EMBEDDINGS.clone(), Targets(*(part.clone() for part in TARGETS))
        fit(x, labels, *ROWS, 0, settings=SETTINGS)
        assert torch.equal(x, EMBEDDINGS)
        assert all(torch.equal(a, b) for a, b in zip(labels, TARGETS, strict=True))

    @pytest.mark.parametrize("unit", training.AGE_UNITS)
    def test_scales_come_from_training_rows_only(self, unit):
        settings = replace(SETTINGS, age_unit=unit, epochs=1)
        network, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)
        known = EMBEDDINGS[SPLIT.train].numpy()
        assert np.allclose(network.input.mean, known.mean(axis=0), atol=1e-5)
        assert np.allclose(network.input.scale, known.std(axis=0), atol=1e-5)
        ages = TARGETS.age[SPLIT.train].numpy()
        wanted = (ages.mean(), ages.std()) if unit == "deviation" else (0, 1)
        assert (network.age.mean.item(), network.age.scale.item()) == pytest.approx(wanted)

    def test_reference_rows_set_the_scales_in_place_of_the_training_rows(self):
        some = SPLIT.train[:40]
        network, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=SETTINGS, reference=some)
        assert np.allclose(network.input.mean, EMBEDDINGS[some].mean(dim=0), atol=1e-5)


class TestBatches:
    def test_the_size_is_fixed_and_the_number_of_updates_follows(self, updates):
        rows = np.arange(100, 180)
        fit(EMBEDDINGS, TARGETS, rows, rows[:0], 0, settings=Settings(epochs=3, batch_size=64))
        assert [len(batch) for batch in updates] == [64, 16] * 3

    @pytest.mark.parametrize(("clips", "sizes"), [(64, [64]), (65, [64, 1]), (1, [1])])
    def test_no_batch_is_empty(self, updates, clips, sizes):
        rows = np.arange(clips)
        fit(EMBEDDINGS, TARGETS, rows, rows[:0], 0, settings=Settings(epochs=1))
        assert [len(batch) for batch in updates] == sizes

    def test_an_epoch_sees_every_training_row_once_in_an_order_of_its_own(self, updates):
        train, validation = np.arange(100, 173), np.arange(20)
        settings = Settings(epochs=2, batch_size=10)
        fit(EMBEDDINGS, TARGETS, train, validation, 0, settings=settings)
        first, second = torch.cat(updates[:8]), torch.cat(updates[9:17])
        assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(100, 173))
        assert first.tolist() != second.tolist()
        assert updates[8].tolist() == list(range(20))

    def test_what_is_minimised_is_the_mean_over_the_batch(self, monkeypatch):
        """Before anything is learnt, about the logarithm of the number of classes."""
        seen: list[list[float]] = []
        total = training.Weighing.total

        def watched(self, each, shared):
            seen.append(each[:2].tolist())
            return total(self, each, shared)

        monkeypatch.setattr(training.Weighing, "total", watched)
        fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=replace(SETTINGS, learning_rate=1e-9))
        assert np.mean(seen, axis=0) == pytest.approx([np.log(6), np.log(2)], abs=0.2)


class TestValidation:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    @pytest.mark.parametrize("rows", [0, 1, 2, 37])
    def test_it_may_be_empty_tiny_or_of_any_size(self, architecture, rows):
        network, history = fit(
            EMBEDDINGS, TARGETS, SPLIT.train, SPLIT.test[:rows], 0, architecture, SETTINGS
        )
        assert len(history.validation) == (len(history.training) if rows else 0)
        if not rows:
            assert history.best_epoch == SETTINGS.epochs - 1
        assert torch.isfinite(network.predict(EMBEDDINGS).age).all()

    def test_it_is_measured_without_dropout(self):
        settings = replace(SETTINGS, dropout=0.5)
        network, history = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)
        again = training._held_out(network, EMBEDDINGS, TARGETS, SPLIT.validation, settings)
        assert history.validation[history.best_epoch] == pytest.approx(again.numpy(), rel=1e-5)

    def test_with_no_patience_validation_rows_are_trained_on(self, updates):
        settings = replace(SETTINGS, patience=0, epochs=2)
        network, history = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)
        everything = np.concatenate(ROWS)
        half = len(updates) // 2
        assert sorted(torch.cat(updates[:half]).tolist()) == sorted(everything)
        assert history.validation == [] and history.best_epoch == 1
        known = EMBEDDINGS[everything].numpy()
        assert np.allclose(network.input.mean, known.mean(axis=0), atol=1e-5)

    def test_nothing_to_train_on_is_one_sentence(self):
        with pytest.raises(PersonaError, match="no clip to train on: choose more speakers"):
            fit(EMBEDDINGS, TARGETS, np.arange(0), np.arange(5), 0, settings=SETTINGS)


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
    ZIGZAG = Settings(epochs=12, batch_size=16, learning_rate=0.03, decay=1.0, patience=1)

    @pytest.fixture(scope="class", params=range(6))
    def run(self, request):
        """A network whose validation loss zigzags, and the same one trained to the end."""
        long = replace(self.ZIGZAG, patience=12)
        return (
            *fit(EMBEDDINGS, TARGETS, *ROWS, request.param, settings=self.ZIGZAG),
            fit(EMBEDDINGS, TARGETS, *ROWS, request.param, settings=long)[1],
        )

    def test_the_best_epoch_before_the_pause_is_kept(self, run):
        totals = np.array(run[2].validation).sum(axis=-1)
        best = stopped_at(totals, 1)
        assert run[1].best_epoch == best
        assert len(run[1].validation) == min(best + 2, 12)

    def test_the_weights_are_those_of_the_best_epoch(self, run):
        network, history, _ = run
        rows = torch.from_numpy(SPLIT.validation)
        with torch.inference_mode():
            now = losses(network(EMBEDDINGS[rows]), TARGETS.at(rows), network).mean(dim=0)
        assert np.allclose(now, history.validation[history.best_epoch], rtol=1e-4)

    def test_it_watches_the_losses_it_is_told_to(self):
        best = []
        for watched in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), None):
            settings = replace(self.ZIGZAG, watched=watched, patience=12)
            _, history = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)
            each = np.array(history.validation)
            wanted = each @ np.array(watched or (1, 1, 1))
            assert history.best_epoch == wanted.argmin()
            best.append(history.best_epoch)
        assert len(set(best)) > 1


class TestSchedules:
    def rates(self, monkeypatch, settings: Settings) -> list[float]:
        """The learning rate of every update."""
        seen: list[float] = []
        step = torch.optim.AdamW.step

        def watched(self, *arguments, **options):
            seen.append(self.param_groups[0]["lr"])
            return step(self, *arguments, **options)

        monkeypatch.setattr(torch.optim.AdamW, "step", watched)
        rows = np.arange(80)
        fit(EMBEDDINGS, TARGETS, rows, rows[:0], 0, settings=settings)
        return seen

    def test_decay_multiplies_the_rate_after_every_epoch(self, monkeypatch):
        settings = Settings(epochs=3, decay=0.5, learning_rate=0.01)
        assert self.rates(monkeypatch, settings) == pytest.approx([0.01] * 2 + [0.005] * 2
                                                                  + [0.0025] * 2)  # fmt: skip

    def test_one_cycle_rises_for_a_tenth_and_falls_to_nothing(self, monkeypatch):
        settings = Settings(epochs=20, batch_size=16, schedule="one-cycle", learning_rate=0.01)
        rates = self.rates(monkeypatch, settings)
        assert len(rates) == 100
        assert max(rates) == pytest.approx(0.01)
        assert 8 <= int(np.argmax(rates)) <= 10
        assert rates[0] < 0.0005 and rates[-1] < 1e-5
        assert np.all(np.diff(rates[10:]) < 0)

    @pytest.mark.parametrize("epochs", [1, 5, 6])
    def test_a_cycle_may_be_short(self, monkeypatch, epochs):
        """Ten updates, too, at which PyTorch's own cycle divides by zero."""
        settings = Settings(epochs=epochs, schedule="one-cycle")
        assert len(self.rates(monkeypatch, settings)) == 2 * epochs

    def test_a_cycle_learns(self):
        settings = Settings(epochs=12, batch_size=8, schedule="one-cycle", patience=0)
        network, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings)
        right = network.predict(EMBEDDINGS[SPLIT.test]).emotion.argmax(-1)
        assert (right == TARGETS.emotion[SPLIT.test]).float().mean() > 0.8

    def test_weight_decay_shrinks_weights(self):
        long = [
            fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=replace(SETTINGS, weight_decay=decay))[0]
            for decay in (0.0, 5.0)
        ]
        assert long[1].last_shared.norm() < 0.95 * long[0].last_shared.norm()


class TestEnsembles:
    def test_its_networks_are_those_of_their_seeds(self):
        settings = replace(SETTINGS, networks=3)
        ensemble, histories = fit_ensemble(EMBEDDINGS, TARGETS, *ROWS, 7, settings=settings)
        assert len(ensemble.networks) == len(histories) == 3
        for number, network in enumerate(ensemble.networks):
            alone, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 700 + number, settings=SETTINGS)
            assert same(network, alone)

    def test_a_network_of_a_part_is_the_network_of_those_columns_alone(self):
        parts = ((0, 8), (4, toys.DIMENSION))
        settings = replace(SETTINGS, parts=parts)
        ensemble, histories = fit_ensemble(EMBEDDINGS, TARGETS, *ROWS, 7, settings=settings)
        assert len(ensemble.networks) == len(histories) == 2
        for number, (network, part) in enumerate(zip(ensemble.networks, parts, strict=True)):
            columns = EMBEDDINGS[:, slice(*part)]
            alone, _ = fit(columns, TARGETS, *ROWS, 700 + number, settings=SETTINGS)
            assert same(network, alone)

    def test_each_part_has_as_many_networks_as_are_asked_for(self):
        settings = replace(SETTINGS, epochs=1, networks=2, parts=((0, 8), (4, toys.DIMENSION)))
        ensemble, _ = fit_ensemble(EMBEDDINGS, TARGETS, *ROWS, 7, settings=settings)
        heard = [network.columns for network in ensemble.networks]
        assert heard == [(0, 8), (0, 8), (4, toys.DIMENSION), (4, toys.DIMENSION)]

    def test_columns_that_are_not_there_are_refused(self):
        settings = replace(SETTINGS, parts=((0, toys.DIMENSION + 1),))
        with pytest.raises(
            PersonaError, match="There are no columns 0 to 13 in an embedding of 12"
        ):
            fit_ensemble(EMBEDDINGS, TARGETS, *ROWS, 7, settings=settings)

    def test_one_network_is_the_network_of_its_seed(self):
        ensemble, _ = fit_ensemble(EMBEDDINGS, TARGETS, *ROWS, 7, settings=SETTINGS)
        assert same(ensemble.networks[0], fit(EMBEDDINGS, TARGETS, *ROWS, 7, settings=SETTINGS)[0])


class TestChoice:
    GOOD, BAD = Settings(epochs=6, batch_size=8), Settings(epochs=1, learning_rate=1e-9)

    @pytest.mark.parametrize("order", [1, -1])
    def test_what_is_best_on_held_out_rows_is_chosen(self, order):
        candidates = [self.GOOD, self.BAD][::order]
        chosen = choose(EMBEDDINGS, TARGETS, *ROWS, 0, "fcn", candidates)
        assert chosen == self.GOOD

    def test_held_out_rows_choose_and_are_neither_trained_on_nor_watched(self, updates):
        choose(EMBEDDINGS, TARGETS, *ROWS, 0, "fcn", [self.GOOD, self.BAD])
        assert sorted(set(torch.cat(updates).tolist())) == SPLIT.train.tolist()
        assert len(updates) == 6 * -(-len(SPLIT.train) // 8) + -(-len(SPLIT.train) // 64)

    def test_unknown_emotions_do_not_count_as_the_first_class(self):
        """Only a network that has learnt nothing calls everything by one name."""
        held_out = TARGETS.at(torch.arange(len(CLIPS)))
        rows = torch.from_numpy(SPLIT.validation)
        held_out.known[rows[4:], 0], held_out.emotion[rows[4:]] = 0, 0
        constant = replace(self.GOOD, learning_rate=1e-9, patience=0)
        chosen = choose(EMBEDDINGS, held_out, *ROWS, 0, "fcn", [constant, self.GOOD])
        assert chosen == self.GOOD

    @pytest.mark.parametrize("order", [1, -1])
    def test_dropout_of_a_linear_age_head_is_chosen_by_the_age_error(self, order):
        linear = [replace(self.GOOD, age_head="linear", age_dropout=d) for d in (0.0, 0.95)]
        chosen = choose(EMBEDDINGS, TARGETS, *ROWS, 0, "fcn", linear[::order])
        assert chosen.age_dropout == 0.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"schedule": "cosine"}, "no schedule 'cosine'; choose from decay, one-cycle"),
        ({"age_unit": "years"}, "no unit of age 'years'; choose from deviation, year"),
        ({"age_head": "guess"}, "no age head 'guess'; choose from number"),
        ({"weighing": "vote"}, "no weighing 'vote'; choose from fixed"),
        ({"scaling": "log"}, "no scaling 'log'; choose from standard"),
        ({"epochs": 0}, "epochs is 0: give 1 or more"),
        ({"batch_size": 0}, "batch_size is 0: give 1 or more"),
        ({"networks": 0}, "networks is 0: give 1 or more"),
        ({"dropout": 1.0}, "dropout is 1.0: give a share below 1"),
        ({"input_dropout": 1.5}, "input_dropout is 1.5: give a share below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1: give a share below 1"),
        ({"age_dropout": 0.5}, "age_dropout goes with age_head='linear'"),
        ({"hidden": ()}, "needs a hidden layer"),
        ({"weights": (0, 0, 0)}, "a task whose weight is not 0"),
        ({"weighing": "gradnorm", "age_head": "linear"}, "choose another of either"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence_before_anything_is_trained(wrong, sentence):
    with pytest.raises(PersonaError, match=sentence):
        Settings(**wrong)


@pytest.mark.parametrize("head", [head for head in AGE_HEADS if head != "linear"])
def test_only_a_linear_age_head_has_its_own_dropout_and_no_gradnorm(head):
    assert Settings(weighing="gradnorm", age_head=head).weighing == "gradnorm"
    with pytest.raises(PersonaError, match="age_dropout goes with age_head='linear'"):
        Settings(age_head=head, age_dropout=0.5)


@pytest.mark.parametrize("weighing", ["fixed", "uncertainty"])
def test_a_linear_age_head_goes_with_every_weighing_but_gradnorm(weighing):
    assert Settings(weighing=weighing, age_head="linear").age_head == "linear"


def test_the_paper_gives_the_epochs_and_the_rate_and_what_it_does_not_name_is_off():
    plain = Settings()
    assert (plain.epochs, plain.learning_rate, plain.weights) == (20, 1e-3, (1, 1, 1))
    assert plain.networks == 1
    assert plain.dropout == plain.input_dropout == plain.age_dropout == 0
    assert plain.weight_decay == plain.label_smoothing == 0


def test_lists_and_whole_numbers_are_the_same_settings_as_tuples_and_floats():
    given = Settings(weights=[1, 0, 1], watched=[0, 1, 1], hidden=[8])
    wanted = Settings(weights=(1.0, 0.0, 1.0), watched=(0.0, 1.0, 1.0), hidden=(8,))
    assert repr(given) == repr(wanted)


def test_history_is_a_table_of_epochs_parts_and_tasks():
    _, history = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=SETTINGS)
    frame = history.frame()
    assert list(frame.columns) == ["epoch", "part", "task", "loss"]
    assert len(frame) == 4 * 2 * 3 and frame["epoch"].min() == 1
    first = frame[(frame["epoch"] == 1) & (frame["part"] == "training")]
    assert first["loss"].tolist() == pytest.approx(history.training[0].tolist())


class TestMovedCopies:
    """Clips plus a share of the way from plain speech to that of another reader."""

    OFFSETS = torch.stack([torch.full((toys.DIMENSION,), 100.0), torch.zeros(toys.DIMENSION)])
    MOVES = Moves(OFFSETS, SPLIT.train)

    def test_each_of_a_clips_copies_is_met_once_an_epoch_with_its_emotion_alone(self, monkeypatch):
        seen = []
        original = training._batch_losses

        def watched(network, heard, labels, settings):
            seen.append((heard, labels))
            return original(network, heard, labels, settings)

        monkeypatch.setattr(training, "_batch_losses", watched)
        settings = Settings(epochs=1, patience=0, moved=2, moved_by=(0.5, 0.5))
        none = SPLIT.validation[:0]
        fit(EMBEDDINGS, TARGETS, SPLIT.train, none, 0, settings=settings, moves=self.MOVES)
        known = torch.cat([labels.known for _, labels in seen])
        moved = known[:, 1] == 0
        assert len(known) == 3 * len(SPLIT.train) and moved.sum() == 2 * len(SPLIT.train)
        assert known[moved].tolist() == [[1, 0, 0]] * int(moved.sum())
        emotions = torch.cat([labels.emotion for _, labels in seen])
        counts = torch.bincount(emotions[moved], minlength=6)
        assert counts.equal(2 * torch.bincount(TARGETS.emotion[SPLIT.train], minlength=6))

    def test_are_moved_by_a_share_of_a_mixture_of_two_readers_offsets(self):
        drawn = self.MOVES.drawn(1000, (0.3, 1.2), np.random.default_rng(0))
        assert drawn.shape == (1000, toys.DIMENSION)
        assert (drawn == drawn[:, :1]).all()  # along the way, nowhere else
        share = drawn[:, 0] / 100
        assert 0 <= share.min() < 0.05 and 1.0 < share.max() <= 1.2

    def test_leave_the_embeddings_as_they_were(self):
        before = EMBEDDINGS.clone()
        settings = replace(SETTINGS, moved=1)
        fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=settings, moves=self.MOVES)
        assert EMBEDDINGS.equal(before)

    def test_none_change_nothing(self):
        plain, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=SETTINGS)
        given, _ = fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=SETTINGS, moves=self.MOVES)
        assert same(plain, given)

    def test_without_a_place_to_go_are_refused(self):
        with pytest.raises(PersonaError, match="say which with `moves`"):
            fit(EMBEDDINGS, TARGETS, *ROWS, 0, settings=replace(SETTINGS, moved=1))

    @pytest.mark.parametrize("wrong", [{"moved": -1}, {"moved_by": (1, 0.5)}])
    def test_cannot_be_fewer_than_none_or_go_backwards(self, wrong):
        with pytest.raises(PersonaError, match="a smallest and a largest share"):
            Settings(**wrong)


class TestFewLabels:
    """What a task weighs where few of its labels are known."""

    def losses(self, monkeypatch, **changes) -> np.ndarray:
        seen = []
        total = training.Weighing.total

        def watched(self, each, shared):
            seen.append(each.tolist())
            return total(self, each, shared)

        monkeypatch.setattr(training.Weighing, "total", watched)
        targets = TARGETS.at(torch.arange(len(CLIPS)))
        targets.known[::2, 1:] = 0
        settings = replace(SETTINGS, learning_rate=1e-9, batch_size=1000, epochs=1, **changes)
        fit(EMBEDDINGS, targets, np.arange(len(CLIPS)), np.arange(0), 0, settings=settings)
        return np.array(seen[0])

    def test_is_less_unless_each_task_is_averaged_over_its_own(self, monkeypatch):
        of_all, own = self.losses(monkeypatch), self.losses(monkeypatch, per_label=True)
        assert own[0] == pytest.approx(of_all[0])
        assert own[1:] == pytest.approx(2 * of_all[1:])

    def test_old_people_weigh_as_much_more_as_is_asked(self, monkeypatch):
        """Between the loss of all and that of the old, the more the more they weigh."""
        plain, more, most = (
            self.losses(monkeypatch, per_label=True, old=weight)[2] for weight in (1, 3, 1e6)
        )
        old = TARGETS.age[1::2] >= training.OLD
        assert old.any() and not old.all()
        mean, deviation = TARGETS.age.mean(), TARGETS.age.std(correction=0)
        errors = ((TARGETS.age[1::2] - mean) / deviation) ** 2  # nothing is learnt yet
        assert most == pytest.approx(float(errors[old].mean()), rel=0.3)
        assert plain < more < most
