"""The network is the paper's, and a stack of networks is only a way of writing several."""

import numpy as np
import pytest
import torch
from torch import nn

from persona.errors import PersonaError
from persona.model import AGE_HEADS, ARCHITECTURES, BINS, SCALINGS, Network

DIMENSION = 80


def embeddings(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters()) // network.models


def copied(linear: nn.Module, stacked: nn.Module) -> nn.Module:
    """A PyTorch layer with the weights of the first network of a stacked one."""
    with torch.no_grad():
        weight = stacked.weight[0]
        linear.weight.copy_(weight.T if isinstance(linear, nn.Linear) else weight)
        linear.bias.copy_(stacked.bias[0].flatten())
    return linear


class TestArchitecture:
    def test_the_fully_connected_network_is_200_128_56_and_three_heads(self):
        trunk = (80 * 200 + 200) + (200 * 128 + 128) + (128 * 56 + 56)
        heads = (56 * 6 + 6) + (56 * 2 + 2) + (56 * 1 + 1)
        assert trunk + heads == 49_665
        assert parameters(Network(DIMENSION, "fcn", [0])) == 49_665

    def test_the_convolutional_network_has_two_convolutions_that_each_halve_before_the_same(self):
        convolutions = (1 * 3 * 8 + 8) + (8 * 3 * 16 + 16)
        flat = 80 // 2 // 2 * 16
        trunk = (flat * 200 + 200) + (200 * 128 + 128) + (128 * 56 + 56)
        assert parameters(Network(DIMENSION, "cnn", [0])) == convolutions + trunk + 513

    def test_it_says_the_same_as_plain_pytorch_layers_with_its_weights(self):
        network = Network(DIMENSION, "cnn", [7])
        plain = nn.Sequential(
            copied(nn.Conv1d(1, 8, 3, padding=1), network.convolutions[0]),
            nn.MaxPool1d(2),
            nn.ReLU(),
            copied(nn.Conv1d(8, 16, 3, padding=1), network.convolutions[1]),
            nn.MaxPool1d(2),
            nn.ReLU(),
            nn.Flatten(),
            copied(nn.Linear(320, 200), network.hidden[0]),
            nn.ReLU(),
            copied(nn.Linear(200, 128), network.hidden[1]),
            nn.ReLU(),
            copied(nn.Linear(128, 56), network.hidden[2]),
            nn.ReLU(),
        )
        x = embeddings(9, DIMENSION)
        trunk = plain(x.unsqueeze(1))
        output = network(x)
        for head, said in (("emotion", output.emotion), ("gender", output.gender)):
            layer = getattr(network, head)
            wanted = copied(nn.Linear(56, said.shape[-1]), layer)(trunk)
            assert torch.allclose(said[0], wanted, atol=1e-5)
        years = copied(nn.Linear(56, 1), network.age)(trunk).squeeze(-1)
        assert torch.allclose(output.age[0], years, atol=1e-5)

    def test_the_first_weights_are_drawn_as_pytorch_draws_them(self):
        weight = Network(DIMENSION, "fcn", [3]).hidden[0].weight.detach()
        bound = DIMENSION**-0.5
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)

    @pytest.mark.parametrize("dimension", [4, 5, 6, 7])
    def test_embeddings_of_any_size_pass_the_convolutions(self, dimension):
        assert Network(dimension, "cnn", [0])(embeddings(3, dimension)).age.shape == (1, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
class TestStack:
    def test_it_answers_for_every_network_and_clip(self, architecture):
        said = Network(DIMENSION, architecture, [0, 1, 2])(embeddings(5, DIMENSION))
        assert said.emotion.shape == (3, 5, 6)
        assert said.gender.shape == (3, 5, 2)
        assert said.age.shape == (3, 5)

    def test_each_network_says_what_it_says_alone(self, architecture):
        x = embeddings(3, 5, DIMENSION)
        stack = Network(DIMENSION, architecture, [4, 5, 6])(x)
        for model, seed in enumerate([4, 5, 6]):
            alone = Network(DIMENSION, architecture, [seed])(x[model])
            for many, one in zip(stack, alone, strict=True):
                assert torch.allclose(many[model], one[0], atol=1e-5)

    def test_a_gradient_of_one_network_leaves_the_others_alone(self, architecture):
        network = Network(DIMENSION, architecture, [0, 1])
        network(embeddings(5, DIMENSION)).age[0].sum().backward()
        assert all(p.grad[1].abs().max() == 0 for p in network.parameters() if p.grad is not None)
        assert network.hidden[0].weight.grad[0].abs().max() > 0

    def test_different_seeds_give_different_networks(self, architecture):
        first, second = Network(DIMENSION, architecture, [0, 1]).hidden[0].weight
        assert not torch.equal(first, second)


class TestAnswers:
    def test_probabilities_add_up_to_one(self):
        said = Network(DIMENSION, "fcn", [0, 1]).predict(embeddings(5, DIMENSION))
        assert torch.allclose(said.emotion.sum(-1), torch.ones(2, 5))
        assert torch.allclose(said.gender.sum(-1), torch.ones(2, 5))

    def test_age_is_told_in_years(self):
        network = Network(DIMENSION, "fcn", [0])
        network.standardise(0, embeddings(4, DIMENSION), torch.tensor([20.0, 30, 50, 60]))
        x = embeddings(5, DIMENSION, seed=1)
        # Mean 40; squared distances 400, 100, 100, 400: deviation sqrt(250).
        assert torch.allclose(network.predict(x).age, network(x).age * 250**0.5 + 40, atol=1e-4)

    def test_a_distribution_says_its_expected_age(self):
        network = Network(DIMENSION, "fcn", [0], "distribution")
        with torch.no_grad():
            network.age.weight.zero_()
            network.age.bias.fill_(-1e4)
            network.age.bias[..., [3, 5]] = 0  # half 30, half 40 years
        assert BINS[3] == 30
        assert network.predict(embeddings(2, DIMENSION)).age.tolist() == [[35.0, 35.0]]

    @pytest.mark.parametrize(("score", "years"), [(-1e4, 15.0), (1e4, 80.0)])
    def test_ranks_end_at_the_first_and_the_last_bin(self, score, years):
        network = Network(DIMENSION, "fcn", [0], "ordinal")
        with torch.no_grad():
            network.age.weight.zero_()
            network.age.bias.fill_(score)
        assert network.predict(embeddings(1, DIMENSION)).age.item() == pytest.approx(years)

    def test_ranks_count_the_thresholds_that_are_passed(self):
        network = Network(DIMENSION, "fcn", [0], "ordinal")
        with torch.no_grad():
            network.age.weight.zero_()
            network.age.bias.zero_()
            network.thresholds[..., :4] = 1e4
            network.thresholds[..., 4:] = -1e4
        assert network.predict(embeddings(1, DIMENSION)).age.item() == pytest.approx(15 + 4 * 5)

    def test_a_linear_head_reads_the_standardised_input_and_nothing_else(self):
        network = Network(2, "fcn", [0], "linear")
        network.standardise(0, torch.tensor([[0.0, 0], [2, 8]]), torch.tensor([30.0, 50]))
        with torch.no_grad():
            network.age.weight[:] = torch.tensor([[1.0], [2]])
            network.age.bias.fill_(0.5)
        # (3, 4) is (2, 0) deviations from the mean; a year's deviation is 10, the mean 40.
        assert network.predict(torch.tensor([[3.0, 4]])).age.item() == pytest.approx(40 + 10 * 2.5)

    def test_a_linear_head_says_the_mean_until_it_has_learnt(self):
        network = Network(DIMENSION, "fcn", [0], "linear")
        said = network(embeddings(4, DIMENSION)).age
        assert (said == said[0, 0]).all()

    @pytest.mark.parametrize("head", AGE_HEADS)
    def test_no_age_head_changes_the_other_tasks(self, head):
        x = embeddings(4, DIMENSION)
        usual, other = Network(DIMENSION, "fcn", [0]), Network(DIMENSION, "fcn", [0], head)
        assert torch.equal(usual(x).emotion, other(x).emotion)


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
        network = Network(2, "fcn", [0, 1])
        network.standardise(1, self.rows, None, scaling)
        assert network.mean[1, 0, 0].item() == pytest.approx(location)
        assert network.scale[1, 0, 0].item() == pytest.approx(scale)
        assert network.mean[0].abs().max() == 0

    @pytest.mark.parametrize("scaling", SCALINGS)
    def test_a_dimension_that_never_varies_gives_no_nan(self, scaling):
        network = Network(2, "fcn", [0])
        network.standardise(0, self.rows, None, scaling)
        assert network.scale[0, 0, 1] == 1
        assert torch.isfinite(network(self.rows).emotion).all()

    def test_the_first_layer_sees_standardised_input(self):
        network = Network(2, "fcn", [0])
        network.standardise(0, self.rows, None)
        scaled = (self.rows - self.rows.mean(0)) / torch.tensor([np.std([0, 1, 2, 3, 14]), 1.0])
        plain = Network(2, "fcn", [0])
        assert torch.allclose(network(self.rows).emotion, plain(scaled.float()).emotion, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Network(8, "rnn", [0]), "'rnn'"),
        (lambda: Network(8, "fcn", [0], "guess"), "'guess'"),
        (lambda: Network(8, "fcn", [0]).standardise(0, torch.ones(2, 8), None, "log"), "'log'"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(make, named):
    with pytest.raises(PersonaError, match=f"There is no .*{named}; choose from .*\\."):
        make()
