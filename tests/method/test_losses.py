"""Eq. (3), (4) and the divergence of Eq. (5), (7) against their formulas in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dccl.method.losses import bernoulli_divergence, pointwise_cross_entropy, weighted_mean

pytestmark = pytest.mark.usefixtures("one_thread")

logits = st.floats(-30, 30)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


@settings(max_examples=80, deadline=None)
@given(logit=logits, label=st.sampled_from([0.0, 1.0]))
def test_cross_entropy_is_minus_the_log_of_the_probability_of_what_happened(
    logit: float, label: float
) -> None:
    happened = sigmoid(logit) if label else sigmoid(-logit)
    loss = pointwise_cross_entropy(tensor(logit), tensor(label))
    assert loss.item() == pytest.approx(-math.log(happened), rel=1e-9, abs=1e-12)


def test_cross_entropy_by_hand() -> None:
    losses = pointwise_cross_entropy(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[1.0, 0.0]]))
    np.testing.assert_allclose(losses, [[math.log(2), math.log(4)]], rtol=1e-6)


def test_extreme_logits_have_finite_losses_and_gradients() -> None:
    values = torch.tensor([-1e4, -100.0, 100.0, 1e4], requires_grad=True)
    for label in (0.0, 1.0):
        losses = pointwise_cross_entropy(values, torch.full((4,), label))
        expected = [0.0, 0.0, 100.0, 1e4] if label == 0 else [1e4, 100.0, 0.0, 0.0]
        np.testing.assert_allclose(losses.detach(), expected, atol=1e-6)
        (gradient,) = torch.autograd.grad(losses.sum(), values)
        assert torch.isfinite(gradient).all()


@settings(max_examples=100, deadline=None)
@given(teacher=logits, student=logits)
def test_the_divergence_is_that_of_two_bernoulli_distributions(teacher: float, student: float) -> None:
    p, not_p, q, not_q = sigmoid(teacher), sigmoid(-teacher), sigmoid(student), sigmoid(-student)
    expected = p * (math.log(p) - math.log(q)) + not_p * (math.log(not_p) - math.log(not_q))
    found = bernoulli_divergence(tensor(teacher), tensor(student)).item()
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert found >= -1e-12


@settings(max_examples=100, deadline=None)
@given(teacher=st.floats(-50, 50, width=32), student=st.floats(-50, 50, width=32))
def test_the_divergence_is_not_negative_beyond_rounding_in_single_precision(
    teacher: float, student: float
) -> None:
    found = bernoulli_divergence(torch.tensor([teacher]), torch.tensor([student]))
    assert found.item() >= -1e-5


@settings(max_examples=60, deadline=None)
@given(logit=st.floats(-1e4, 1e4, width=32))
def test_the_divergence_of_equals_is_exactly_zero_and_so_is_its_gradient(logit: float) -> None:
    student = torch.tensor([logit], requires_grad=True)
    found = bernoulli_divergence(torch.tensor([logit]), student)
    found.sum().backward()
    assert found.item() == 0.0
    assert student.grad is not None
    assert abs(student.grad.item()) < 1e-6


def test_the_teacher_comes_first() -> None:
    """By hand: KL(1/2, 4/5) = ln(5/4), the other way round 0.8 ln 1.6 + 0.2 ln 0.4."""
    half, four_fifths = tensor(0.0), tensor(math.log(4.0))
    assert bernoulli_divergence(half, four_fifths).item() == pytest.approx(math.log(1.25))
    other = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    assert bernoulli_divergence(four_fifths, half).item() == pytest.approx(other)
    assert abs(math.log(1.25) - other) > 0.02


def test_a_student_far_off_is_pulled_towards_the_teacher_with_a_finite_gradient() -> None:
    student = torch.tensor([-1e4, 1e4], requires_grad=True)
    bernoulli_divergence(torch.tensor([3.0, -3.0]), student).sum().backward()
    assert student.grad is not None
    np.testing.assert_allclose(student.grad, [-sigmoid(3.0), sigmoid(3.0)], rtol=1e-5)


def test_the_weighted_mean_by_hand() -> None:
    losses = torch.tensor([[[1.0, 2.0], [3.0, 100.0]], [[4.0, 100.0], [100.0, 100.0]]])
    weights = torch.tensor([[[1.0, 1.0], [2.0, 0.0]], [[0.5, 0.0], [0.0, 0.0]]])
    assert weighted_mean(losses, weights).tolist() == [9 / 4, 4.0]
    assert weighted_mean(losses, weights, prior=2.0).tolist() == pytest.approx([9 / 6, 2 / 2.5])


def test_a_row_without_weight_has_loss_zero_and_no_gradient() -> None:
    losses = torch.ones(1, 2, 2, requires_grad=True)
    mean = weighted_mean(losses, torch.zeros(1, 2, 2))
    mean.sum().backward()
    assert mean.item() == 0.0
    assert losses.grad is not None
    assert not losses.grad.any()
