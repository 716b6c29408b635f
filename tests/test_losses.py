"""Losses worked out by hand, and what the ways of weighing them converge to."""

from math import log

import numpy as np
import pandas as pd
import pytest
import torch

from persona.errors import PersonaError
from persona.labels import EMOTIONS
from persona.losses import Targets, Weighing, losses
from persona.network import AGE_HEADS, BINS, Network, Output

UNDECIDED = (torch.zeros(1, 6), torch.zeros(1, 2))


def targets(age: float) -> Targets:
    zero, one = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long)
    return Targets(zero, one, torch.tensor([age]), torch.ones(1, 3))


def loss(network: Network, output: torch.Tensor, age: float, **options) -> torch.Tensor:
    return losses(Output(*UNDECIDED, output), targets(age), network, **options)[0]


def clips(**columns) -> pd.DataFrame:
    plain = {"emotion": ["sad", "anger"], "gender": ["male", "female"], "age": [20.0, 40.0]}
    return pd.DataFrame(plain | columns)


class TestTargets:
    def test_labels_become_numbers_in_the_order_of_the_classes(self):
        found = Targets.of(clips())
        assert found.emotion.tolist() == [5, 0]
        assert found.gender.tolist() == [1, 0]
        assert found.age.tolist() == [20, 40]
        assert found.known.tolist() == [[1, 1, 1]] * 2

    @pytest.mark.parametrize("nothing", [None, np.nan])
    def test_what_is_missing_is_unknown(self, nothing):
        missing = clips(emotion=[nothing, "sad"], gender=["male", nothing], age=[nothing, nothing])
        found = Targets.of(missing)
        assert found.known.tolist() == [[0, 1, 0], [1, 0, 0]]
        assert found.age.tolist() == [0, 0]

    def test_an_infinite_age_is_unknown(self):
        found = Targets.of(clips(age=[np.inf, 40]))
        assert found.age.tolist() == [0, 40]
        assert found.known[0, 2] == 0

    def test_rows_are_chosen_in_their_order(self):
        chosen = Targets.of(clips()).at(torch.tensor([1, 0, 1]))
        assert chosen.age.tolist() == [40, 20, 40]

    @pytest.mark.parametrize(("task", "label"), [("emotion", "bored"), ("gender", "Male")])
    def test_an_unknown_label_is_named(self, task, label):
        with pytest.raises(PersonaError, match=f"the {task} '{label}'; known are .*\\."):
            Targets.of(clips(**{task: [label, None]}))

    def test_other_classes_may_be_given(self):
        found = Targets.of(clips(emotion=["calm", "loud"]), emotions=("loud", "calm"))
        assert found.emotion.tolist() == [1, 0]


class TestTasks:
    def test_undecided_classifiers_cost_the_logarithm_of_the_number_of_classes(self):
        emotion, gender, _ = loss(Network(4), torch.zeros(1, 1), 30.0)
        assert emotion.item() == pytest.approx(log(6))
        assert gender.item() == pytest.approx(log(2))

    def test_without_a_unit_age_costs_squared_years(self):
        assert loss(Network(4), torch.tensor([[27.0]]), 40.0)[2] == 13**2

    def test_in_deviations_age_costs_squared_deviations(self):
        network = Network(4)
        network.age.measure(torch.tensor([30.0, 50.0]))
        # The label lies one deviation above the mean, the answer two below.
        assert loss(network, torch.tensor([[-2.0]]), 50.0)[2] == 9

    def test_a_distribution_costs_least_at_a_normal_one_around_the_age(self):
        network = Network(4, age_head="distribution")
        right = (-((torch.tensor(BINS) - 40) ** 2) / 50).view(1, -1)
        costs = [loss(network, logits, 40.0)[2] for logits in (right, right * 2, right * 0.5)]
        assert costs[0] < min(costs[1:])

    def test_ranks_cost_nothing_when_every_threshold_is_answered_right(self):
        network, bins = Network(4, age_head="ordinal"), torch.tensor(BINS)
        older = torch.where((bins[:-1] + bins[1:]) / 2 < 40, 50.0, -50.0).view(1, -1)
        assert loss(network, older, 40.0)[2] == pytest.approx(0)
        assert loss(network, torch.zeros_like(older), 40.0)[2].item() == pytest.approx(log(2))

    def test_smoothing_keeps_a_sure_emotion_from_costing_nothing_and_gender_by_half(self):
        sure = Output(
            torch.tensor([[50.0, 0, 0, 0, 0, 0]]), torch.tensor([[0.0, 50]]), torch.zeros(1, 1)
        )
        plain = losses(sure, targets(30), Network(4))[0]
        smoothed = losses(sure, targets(30), Network(4), 0.12)[0]
        assert plain[:2].tolist() == pytest.approx([0, 0])
        # A share of 0.12 is spread over six classes, five of which cost 50; 0.06 over two.
        assert smoothed[0].item() == pytest.approx(0.12 * 5 / 6 * 50)
        assert smoothed[1].item() == pytest.approx(0.06 * 1 / 2 * 50)
        assert smoothed[2] == plain[2]

    @pytest.mark.parametrize("head", AGE_HEADS)
    def test_a_missing_label_contributes_nothing_and_its_gradient_is_zero(self, head):
        torch.manual_seed(0)
        network, x = Network(4, age_head=head), torch.randn(2, 4)
        labels = Targets.of(clips(emotion=[None, None], age=[None, 40.0]))
        each = losses(network(x), labels, network)
        assert each[:, 0].tolist() == [0, 0] and each[0, 2] == 0
        assert each[:, 1].min() > 0 and each[1, 2] > 0
        each.sum().backward()
        assert network.emotion.weight.grad.abs().max() == 0
        assert network.gender.weight.grad.abs().max() > 0

        network.zero_grad()
        losses(network(x), labels, network)[0, 2].backward()
        assert all(p.grad is None or p.grad.abs().max() == 0 for p in network.age.parameters())


def minimised(weighing: Weighing, each: torch.Tensor, steps: int = 1500) -> torch.Tensor:
    """Learnt parameters for constant losses."""
    optimiser = torch.optim.Adam(weighing.parameters(), 0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        weighing.total(each, torch.empty(0)).backward()
        optimiser.step()
    return weighing.parameters()[0].detach()


class TestWeighing:
    EACH = torch.tensor([1.5, 0.5, 16.0])

    def test_fixed_is_the_weighted_sum(self):
        weighing = Weighing("fixed", (1.0, 2.0, 0.5))
        assert weighing.total(self.EACH, torch.empty(0)) == 1.5 + 2 * 0.5 + 0.5 * 16
        assert weighing.parameters() == []

    def test_uncertainty_learns_the_scale_of_each_loss(self):
        variance = minimised(Weighing("uncertainty", (1.0, 1.0, 1.0)), self.EACH).exp()
        # d/ds (L exp(-s) + s / 2) = 0 at exp(s) = 2 L; with half a squared error, at L.
        assert variance.tolist() == pytest.approx([3.0, 1.0, 16.0], rel=1e-3)

    def test_uncertainty_leaves_a_task_out_that_has_no_weight(self):
        assert minimised(Weighing("uncertainty", (1.0, 1.0, 0.0)), self.EACH, 50)[2] == 0

    @pytest.mark.parametrize("scale", [1.0, 100.0])
    def test_gradnorm_makes_gradients_of_tasks_that_learn_alike_equally_long(self, scale):
        weighing = Weighing("gradnorm", (1.0, 1.0, 1.0))
        shared = torch.ones(3, 1, requires_grad=True)
        lengths = torch.tensor([1.0, 2.0, 4.0 * scale])
        for _ in range(400):
            shared.grad = None
            weighing.total(shared.squeeze(-1) * lengths, shared).backward()
        norms = shared.grad.flatten()
        assert norms.max() / norms.min() < 1.2

    def test_gradnorm_gives_more_to_the_task_that_has_learnt_less(self):
        """What has half the mean of losses left has 0.5 ** 1.5 of the mean gradient."""
        weighing = Weighing("gradnorm", (1.0, 1.0, 1.0))
        shared, left = torch.ones(3, 1, requires_grad=True), torch.ones(3)
        at_first = torch.tensor([0.5, 1.0, 2.0])
        for step in range(300):
            shared.grad = None
            if step == 1:
                left = torch.tensor([0.25, 0.25, 1.0])
            weighing.total(at_first * (shared.squeeze(-1) + (left - 1)), shared).backward()
        first, second, third = (shared.grad.flatten() / shared.grad.mean()).tolist()
        assert [first, second] == pytest.approx([0.5**1.5] * 2, rel=0.1)
        assert third > 2 * first

    def test_gradnorm_leaves_a_task_out_that_has_no_weight(self):
        """The factors of the other two, 1.5 and 0.5, still have a mean of one."""
        weighing = Weighing("gradnorm", (1.0, 0.0, 1.0))
        shared = torch.ones(3, 1, requires_grad=True)
        for _ in range(50):
            shared.grad = None
            weighing.total(shared.squeeze(-1) * torch.tensor([1.0, 5, 3]), shared).backward()
        assert shared.grad[1] == 0
        assert shared.grad[[0, 2]].flatten().tolist() == pytest.approx([1.5, 1.5], rel=0.1)

    def test_an_unknown_way_is_refused_by_name(self):
        with pytest.raises(PersonaError, match="'vote'; choose from fixed"):
            Weighing("vote", (1.0, 1.0, 1.0))


def test_the_classes_are_those_of_the_labels():
    assert Targets.of(clips(emotion=[EMOTIONS[2], EMOTIONS[3]])).emotion.tolist() == [2, 3]
