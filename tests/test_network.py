"""The network is the paper's, and every age head expresses age as it says."""

import numpy as np
import pytest
import torch
from torch import nn

from persona.errors import PersonaError
from persona.network import (  # fmt: skip
    AGE_HEADS,
    ARCHITECTURES,
    BINS,
    OUTLIER,
    SCALINGS,
    AgeHead,
    Ensemble,
    Halving,
    Network,
    Standardisation,
)

DIMENSION = 80


def embeddings(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0, *arguments, **options) -> Network:
    torch.manual_seed(seed)
    return Network(*arguments or (DIMENSION,), **options).eval()


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


class TestArchitecture:
    def test_the_fully_connected_network_is_200_128_56_and_three_heads(self):
        trunk = (80 * 200 + 200) + (200 * 128 + 128) + (128 * 56 + 56)
        heads = (56 * 6 + 6) + (56 * 2 + 2) + (56 * 1 + 1)
        assert trunk + heads == 49_665
        assert parameters(Network(DIMENSION, "fcn")) == 49_665

    def test_the_convolutional_network_has_two_convolutions_that_each_halve_before_the_same(self):
        convolutions = (1 * 3 * 8 + 8) + (8 * 3 * 16 + 16)
        flat = 80 // 2 // 2 * 16
        trunk = (flat * 200 + 200) + (200 * 128 + 128) + (128 * 56 + 56)
        assert parameters(Network(DIMENSION, "cnn")) == convolutions + trunk + 513

    def test_the_order_of_its_layers_is_the_papers(self):
        kinds = [type(layer).__name__ for layer in Network(DIMENSION, "cnn").trunk]
        block = ["Conv1d", "Halving", "ReLU"]
        assert kinds == ["Unflatten", *block, *block, "Flatten", *["Linear", "ReLU"] * 3]
        assert [type(layer).__name__ for layer in Network(DIMENSION).trunk] == [
            "Linear",
            "ReLU",
        ] * 3

    @pytest.mark.parametrize("length", [2, 3, 8, 81])
    def test_halving_is_max_pooling(self, length):
        x = embeddings(3, 4, length)
        assert torch.equal(Halving()(x), nn.functional.max_pool1d(x, 2))

    @pytest.mark.parametrize("dimension", [4, 5, 6, 7])
    def test_embeddings_of_any_size_pass_the_convolutions(self, dimension):
        assert Network(dimension, "cnn")(embeddings(3, dimension)).age.shape == (3, 1)

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    @pytest.mark.parametrize(("head", "width"), zip(AGE_HEADS, (1, 1, 14, 13), strict=True))
    def test_heads_put_out_a_row_for_every_clip(self, architecture, head, width):
        output = Network(DIMENSION, architecture, age_head=head, emotions=4)(embeddings(5, 80))
        assert output.emotion.shape == (5, 4)
        assert output.gender.shape == (5, 2)
        assert output.age.shape == (5, width)
        predicted = Network(DIMENSION, architecture, age_head=head).predict(embeddings(5, 80))
        assert [tuple(part.shape) for part in predicted] == [(5, 6), (5, 2), (5,)]

    @pytest.mark.parametrize("head", ["number", "linear"])
    def test_it_may_listen_to_some_columns_and_is_deaf_to_the_others(self, head):
        x = embeddings(4, DIMENSION)
        network = seeded(columns=(10, 30), age_head=head)
        wanted = network.predict(x)
        x[:, :10], x[:, 30:] = 99.0, -99.0
        assert all(map(torch.equal, network.predict(x), wanted))
        x[:, 10] += 1
        assert not torch.equal(network.predict(x).emotion, wanted.emotion)

    def test_different_seeds_give_different_networks(self):
        first, again, other = (seeded(s).trunk[0].weight for s in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_the_last_shared_layer_is_the_one_that_the_heads_read(self, architecture):
        network = seeded(0, DIMENSION, architecture)
        assert network.last_shared.shape == (56, 128)
        with torch.no_grad():
            network.last_shared.zero_()
        output = network(embeddings(4, DIMENSION))
        assert (output.emotion == output.emotion[0]).all() and (output.age == output.age[0]).all()

    @pytest.mark.parametrize("head", AGE_HEADS)
    def test_no_age_head_changes_the_other_tasks(self, head):
        x = embeddings(4, DIMENSION)
        assert torch.equal(seeded()(x).emotion, seeded(0, DIMENSION, age_head=head)(x).emotion)


class TestDropout:
    def network(self, **options) -> Network:
        return seeded(0, DIMENSION, age_head="linear", **options)

    @pytest.mark.parametrize("part", ["dropout", "input_dropout", "age_dropout"])
    def test_it_is_on_in_training_and_off_in_prediction(self, part):
        network, x = self.network(**{part: 0.5}), embeddings(4, DIMENSION)
        with torch.no_grad():
            network.age.linear.weight.fill_(1.0)
        kept = "age" if part == "age_dropout" else "emotion"
        torch.manual_seed(1)
        assert torch.equal(getattr(network(x), kept), getattr(network(x), kept))
        network.train()
        assert not torch.equal(getattr(network(x), kept), getattr(network(x), kept))

    def test_the_three_shares_leave_out_different_things(self):
        x = embeddings(4, DIMENSION)
        torch.manual_seed(1)
        network = self.network(age_dropout=0.5).train()
        assert torch.equal(network(x).emotion, network(x).emotion)
        network = self.network(dropout=0.5, input_dropout=0.5).train()
        assert torch.equal(network(x).age, network(x).age)

    def test_what_is_not_asked_for_is_not_there(self):
        assert not [m for m in seeded().trunk if isinstance(m, nn.Dropout)]


class TestAge:
    def test_it_is_expressed_in_deviations_and_predicted_in_years(self):
        network = seeded()
        network.age.measure(torch.tensor([20.0, 30, 50, 60]))
        x = embeddings(5, DIMENSION, seed=1)
        # Mean 40; squared distances 400, 100, 100, 400: deviation sqrt(250).
        wanted = network(x).age.squeeze(-1) * 250**0.5 + 40
        assert torch.allclose(network.predict(x).age, wanted, atol=1e-4)

    def test_people_of_one_age_do_not_divide_by_zero(self):
        network = seeded()
        network.age.measure(torch.tensor([40.0, 40]))
        assert network.predict(embeddings(3, 80)).age.tolist() == pytest.approx([40] * 3, abs=1e-3)

    def test_a_distribution_predicts_its_expected_age(self):
        logits = torch.full((2, len(BINS)), -1e4)
        logits[:, [3, 5]] = 0  # half 30, half 40 years
        assert BINS[3] == 30
        assert AgeHead("distribution", 56).years(logits).tolist() == [35, 35]

    @pytest.mark.parametrize(("score", "years"), [(-1e4, 15.0), (1e4, 80.0)])
    def test_ranks_end_at_the_first_and_the_last_bin(self, score, years):
        assert AgeHead("ordinal", 56).years(torch.full((1, 13), score)).item() == years

    def test_ranks_count_the_thresholds_that_are_passed(self):
        passed = torch.tensor([[1e4] * 4 + [-1e4] * 9])
        assert AgeHead("ordinal", 56).years(passed).item() == pytest.approx(15 + 4 * 5)

    def test_a_linear_head_reads_the_standardised_input_and_nothing_else(self):
        network = seeded(0, 2, age_head="linear")
        network.input.measure(torch.tensor([[0.0, 0], [2, 8]]))
        network.age.measure(torch.tensor([30.0, 50]))
        with torch.no_grad():
            network.age.linear.weight[:] = torch.tensor([[1.0, 2]])
            network.age.linear.bias.fill_(0.5)
        # (3, 4) is (2, 0) deviations from the mean; a year's deviation is 10, the mean 40.
        assert network.predict(torch.tensor([[3.0, 4]])).age.item() == pytest.approx(40 + 10 * 2.5)

    def test_a_linear_head_predicts_the_mean_until_it_has_learnt(self):
        age = seeded(0, DIMENSION, age_head="linear")(embeddings(4, DIMENSION)).age
        assert (age == age[0]).all()

    @pytest.mark.parametrize("head", AGE_HEADS)
    def test_a_head_is_whole_in_other_precision_on_other_devices_and_from_the_disk(
        self, head, tmp_path
    ):
        network, ages = seeded(0, DIMENSION, age_head=head), torch.tensor([20.0, 30, 60])
        network.age.measure(ages)
        x = embeddings(3, DIMENSION)
        network.input.measure(x, "robust")
        wanted = network.predict(x)
        torch.save(network.state_dict(), tmp_path / "weights")
        restored = Network(DIMENSION, age_head=head)
        restored.load_state_dict(torch.load(tmp_path / "weights"))
        assert torch.equal(restored.eval().predict(x).age, wanted.age)

        restored.double().input.measure(x.double(), "robust")
        years = restored.predict(x.double()).age
        assert years.dtype == torch.float64
        assert torch.allclose(years.float(), wanted.age, atol=1e-3)
        restored.age.loss(restored(x.double()).age, ages.double()).sum().backward()

        elsewhere = seeded(0, DIMENSION, age_head=head).to("meta")
        output = elsewhere(x.to("meta"))
        assert elsewhere.age.years(output.age).device.type == "meta"
        assert elsewhere.age.loss(output.age, ages.to("meta")).device.type == "meta"


class TestStandardisation:
    rows = torch.tensor([[0.0, 5], [1, 5], [2, 5], [3, 5], [14, 5]])

    @pytest.mark.parametrize(
        ("scaling", "location", "scale"),
        [
            ("standard", 4.0, float(np.std([0, 1, 2, 3, 14]))),
            ("none", 0.0, 1.0),
            ("range", 0.0, 14.0),
            ("robust", 2.0, 2.0),
        ],
    )
    def test_location_and_scale_come_from_the_given_rows(self, scaling, location, scale):
        measured = Standardisation(2)
        measured.measure(self.rows, scaling)
        assert measured.mean[0].item() == pytest.approx(location)
        assert measured.scale[0].item() == pytest.approx(scale)

    @pytest.mark.parametrize("scaling", SCALINGS)
    def test_a_dimension_that_never_varies_gives_no_nan(self, scaling):
        network = seeded(0, 2)
        network.input.measure(self.rows, scaling)
        assert network.input.scale[1] == 1
        assert torch.isfinite(network(self.rows).emotion).all()

    def test_the_first_layer_sees_standardised_input(self):
        network, plain = seeded(0, 2), seeded(0, 2)
        network.input.measure(self.rows)
        scaled = (self.rows - self.rows.mean(0)) / torch.tensor([np.std([0, 1, 2, 3, 14]), 1.0])
        assert torch.allclose(network(self.rows).emotion, plain(scaled.float()).emotion, atol=1e-6)

    @pytest.mark.parametrize(
        ("scaling", "limited"),
        [("standard", True), ("robust", True), ("none", False), ("range", False)],
    )
    def test_far_inputs_are_limited_where_deviations_are_the_unit(self, scaling, limited):
        measured = Standardisation(2)
        measured.measure(self.rows, scaling)
        far = measured(torch.tensor([[1e6, -1e6]]))
        assert (far.abs() == OUTLIER).all() if limited else (far.abs() > 1e4).all()


class TestPrediction:
    def test_probabilities_add_up_to_one(self):
        predicted = seeded().predict(embeddings(5, DIMENSION))
        assert torch.allclose(predicted.emotion.sum(-1), torch.ones(5))
        assert torch.allclose(predicted.gender.sum(-1), torch.ones(5))

    def test_a_clip_does_not_depend_on_its_neighbours(self):
        network, x = seeded(0, DIMENSION, "cnn"), embeddings(5, DIMENSION)
        assert torch.allclose(network.predict(x).age[3:4], network.predict(x[3:4]).age, atol=1e-5)

    def test_an_ensemble_averages_probabilities_and_ages_not_logits(self):
        networks, x = [seeded(s) for s in range(3)], embeddings(5, DIMENSION)
        together = Ensemble(networks).predict(x)
        for part in ("emotion", "gender", "age"):
            each = torch.stack([getattr(network.predict(x), part) for network in networks])
            assert torch.allclose(getattr(together, part), each.mean(0), atol=1e-6)

    def test_an_ensemble_of_one_is_the_network(self):
        network, x = seeded(), embeddings(5, DIMENSION)
        for one, two in zip(Ensemble([network]).predict(x), network.predict(x), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Network(8, "rnn"), "architecture 'rnn'"),
        (lambda: Network(8, age_head="guess"), "age head 'guess'"),
        (lambda: Network(8).input.measure(torch.ones(2, 8), "log"), "scaling 'log'"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(make, named):
    with pytest.raises(PersonaError, match=f"There is no {named}; choose from .*\\."):
        make()
