"""Losses worked out by hand, and what the ways of weighing them converge to."""

from math import log

import pytest
import torch

from persona.errors import PersonaError
from persona.losses import Targets, Weighing, losses
from persona.model import BINS, Network, Output

UNDECIDED = (torch.zeros(1, 1, 6), torch.zeros(1, 1, 2))


def targets(age: float) -> Targets:
    return Targets(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.long),
                   torch.tensor([[age]]))  # fmt: skip


def loss(network: Network, said: torch.Tensor, age: float) -> torch.Tensor:
    return losses(Output(*UNDECIDED, said), targets(age), network)[0, 0]


class TestTasks:
    def test_undecided_classifiers_cost_the_logarithm_of_the_number_of_classes(self):
        emotion, gender, _ = loss(Network(4, "fcn", [0]), torch.zeros(1, 1), 30.0)
        assert emotion.item() == pytest.approx(log(6))
        assert gender.item() == pytest.approx(log(2))

    def test_without_standardisation_age_costs_squared_years(self):
        assert loss(Network(4, "fcn", [0]), torch.tensor([[27.0]]), 40.0)[2] == 13**2

    def test_standardised_age_costs_squared_deviations(self):
        network = Network(4, "fcn", [0])
        network.standardise(0, torch.zeros(2, 4), torch.tensor([30.0, 50.0]))
        # The label lies one deviation above the mean, the answer two below.
        assert loss(network, torch.tensor([[-2.0]]), 50.0)[2] == 9

    def test_a_distribution_costs_least_at_a_normal_one_around_the_age(self):
        network = Network(4, "fcn", [0], "distribution")
        right = (-((BINS - 40) ** 2) / 50).view(1, 1, -1)
        costs = [loss(network, logits, 40.0)[2] for logits in (right, right * 2, right * 0.5)]
        assert costs[0] < min(costs[1:])

    def test_ranks_cost_nothing_when_every_threshold_is_answered_right(self):
        network = Network(4, "fcn", [0], "ordinal")
        older = torch.where((BINS[:-1] + BINS[1:]) / 2 < 40, 50.0, -50.0).view(1, 1, -1)
        assert loss(network, older, 40.0)[2] == pytest.approx(0)
        assert loss(network, torch.zeros_like(older), 40.0)[2].item() == pytest.approx(log(2))


def minimised(weighing: Weighing, each: torch.Tensor, steps: int = 4000) -> torch.Tensor:
    """Learnt parameters for constant losses."""
    optimiser = torch.optim.Adam(weighing.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        weighing.total(each, torch.empty(0)).backward()
        optimiser.step()
    return weighing.parameters()[0].detach()


class TestWeighing:
    EACH = torch.tensor([[1.5, 0.5, 16.0]])

    def test_fixed_is_the_weighted_sum(self):
        weighing = Weighing(["fixed"], [(1.0, 2.0, 0.5)])
        assert weighing.total(self.EACH, torch.empty(0)) == 1.5 + 2 * 0.5 + 0.5 * 16
        assert weighing.parameters() == []

    def test_uncertainty_learns_the_scale_of_each_loss(self):
        variance = minimised(Weighing(["uncertainty"], [(1.0, 1.0, 1.0)]), self.EACH).exp()
        # d/ds (L exp(-s) + s / 2) = 0 at exp(s) = 2 L; with half a squared error, at L.
        assert variance[0].tolist() == pytest.approx([3.0, 1.0, 16.0], rel=1e-3)

    def test_uncertainty_leaves_a_task_out_that_has_no_weight(self):
        assert minimised(Weighing(["uncertainty"], [(1.0, 1.0, 0.0)]), self.EACH, 50)[0, 2] == 0

    @pytest.mark.parametrize("scale", [1.0, 100.0])
    def test_gradnorm_makes_gradients_of_tasks_that_learn_alike_equally_long(self, scale):
        weighing = Weighing(["gradnorm"], [(1.0, 1.0, 1.0)])
        shared = torch.ones(1, 3, 1, requires_grad=True)
        lengths = torch.tensor([[1.0, 2.0, 4.0 * scale]])
        for _ in range(400):
            shared.grad = None
            weighing.total(shared.squeeze(-1) * lengths, shared).backward()
        norms = shared.grad.flatten()
        assert norms.max() / norms.min() < 1.2

    def test_gradnorm_gives_more_to_the_task_that_has_learnt_less(self):
        weighing = Weighing(["gradnorm"], [(1.0, 1.0, 1.0)])
        shared = torch.ones(1, 3, 1, requires_grad=True)
        learnt = torch.ones(1, 3)
        for step in range(300):
            shared.grad = None
            if step == 1:
                learnt = torch.tensor([[0.25, 0.25, 1.0]])
            each = shared.squeeze(-1) + (learnt - 1)
            weighing.total(each, shared).backward()
        assert shared.grad.flatten()[2] > 2 * shared.grad.flatten()[0]

    def test_a_network_does_not_feel_how_its_neighbour_is_weighed(self):
        alone = Weighing(["fixed"], [(1.0, 1.0, 1.0)])
        both = Weighing(["fixed", "gradnorm"], [(1.0, 1.0, 1.0)] * 2)
        shared = torch.ones(2, 3, 1, requires_grad=True)
        for _ in range(3):
            both.total(shared.squeeze(-1) * torch.tensor([1.0, 2, 3]), shared)
        gradient = torch.autograd.grad(
            both.total(shared.squeeze(-1) * torch.tensor([1.0, 2, 3]), shared), shared
        )[0]
        assert gradient[0].flatten().tolist() == [1, 2, 3]
        assert alone.total(torch.tensor([[1.0, 2, 3]]), shared) == 6

    def test_an_unknown_way_is_refused_by_name(self):
        with pytest.raises(PersonaError, match="'vote'; choose from fixed"):
            Weighing(["vote"], [(1.0, 1.0, 1.0)])
