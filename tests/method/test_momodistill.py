"""Eq. (5) and Eq. (7) on two samples, worked by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dccl.method.losses import pointwise_cross_entropy, weighted_mean
from dccl.method.momodistill import backbone_loss, basis_loss

pytestmark = pytest.mark.usefixtures("one_thread")

both = pytest.mark.parametrize("loss", [backbone_loss, basis_loss], ids=["eq-5", "eq-7"])
Loss = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


@both
def test_eq_5_and_eq_7_by_hand(loss: Loss) -> None:
    """Sample 1: model 1/2, teacher 4/5, label 1. Sample 2: model 3/4, teacher 1/2, label 0."""
    logits = torch.tensor([[[0.0, math.log(3.0)]]])
    teacher = torch.tensor([[[math.log(4.0), 0.0]]])
    labels = torch.tensor([[[1.0, 0.0]]])
    first = math.log(2) + 0.5 * (0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5))
    second = math.log(4) + 0.5 * (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    even = loss(logits, teacher, labels, torch.ones(1, 1, 2), 0.5)
    assert even.tolist() == pytest.approx([(first + second) / 2], rel=1e-6)
    uneven = loss(logits, teacher, labels, torch.tensor([[[3.0, 1.0]]]), 0.5)
    assert uneven.tolist() == pytest.approx([(3 * first + second) / 4], rel=1e-6)


@both
def test_with_beta_zero_the_teacher_has_no_say(loss: Loss) -> None:
    rng = torch.Generator().manual_seed(0)
    logits, teacher = torch.randn(3, 2, 4, generator=rng), torch.randn(3, 2, 4, generator=rng)
    labels, weights = (teacher > 0).float(), torch.rand(3, 2, 4, generator=rng)
    plain = weighted_mean(pointwise_cross_entropy(logits, labels), weights)
    assert torch.equal(loss(logits, teacher, labels, weights, 0.0), plain)


@both
def test_a_large_beta_pulls_the_model_to_its_teacher_and_not_the_other_way(loss: Loss) -> None:
    teacher = torch.tensor([[[1.0, -2.0, 0.5]]], requires_grad=True)
    logits = torch.zeros(1, 1, 3, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        loss(logits, teacher.detach(), torch.zeros(1, 1, 3), torch.ones(1, 1, 3), 1e3).sum().backward()
        optimiser.step()
    torch.testing.assert_close(logits.detach(), teacher.detach(), atol=0.02, rtol=0)


@both
def test_each_row_has_a_loss_of_its_own(loss: Loss) -> None:
    rng = torch.Generator().manual_seed(1)
    parts = [torch.randn(3, 2, 4, generator=rng) for _ in range(3)]
    labels, weights = (parts[2] > 0).float(), torch.ones(3, 2, 4)
    together = loss(parts[0], parts[1], labels, weights, 0.7)
    for row in range(3):
        at = slice(row, row + 1)
        alone = loss(parts[0][at], parts[1][at], labels[at], weights[at], 0.7)
        torch.testing.assert_close(alone, together[at])
