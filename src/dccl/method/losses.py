"""The losses of the device and of the cloud.

Shape letters: B rows · Q scored events · N candidates.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def pointwise_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. (3), (4): the loss ℓ(y, ŷ) of one candidate, ŷ = sigmoid(logit).

    The same function on the device (3), where only the surrogate learns, and in the cloud (4), where the
    backbone learns. Any shape in, the same shape out; no reduction.
    """
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def bernoulli_divergence(teacher_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(ỹ, ŷ) of two click probabilities, the teacher first; the term of Eq. (5) and Eq. (7).

    The paper's head is pointwise, so its KL is between two Bernoulli distributions. Any shape in, the same
    shape out; zero exactly where the two agree, never negative beyond rounding.
    """
    teacher = torch.sigmoid(teacher_logits)
    positive = F.logsigmoid(teacher_logits) - F.logsigmoid(logits)
    negative = F.logsigmoid(-teacher_logits) - F.logsigmoid(-logits)
    return teacher * positive + (1.0 - teacher) * negative


def weighted_mean(losses: Tensor, weights: Tensor, prior: float = 0.0) -> Tensor:
    """Mean of `losses` under `weights`, row by row: (B, Q, N) to (B,).

    Args:
        losses: (B, Q, N).
        weights: (B, Q, N), 0 for padding.
        prior: counted as that many samples of loss 0, so that a row with few samples weighs less.
    """
    total = (losses * weights).flatten(1).sum(1)
    return total / (weights.flatten(1).sum(1) + prior).clamp(min=1e-6)
