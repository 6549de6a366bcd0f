"""MoMoDistill, the cloud side: from thousands of personal models back to one backbone and one basis.

Two phases, one after the other: with both at once the optimisation falls into a bad local optimum, because
backbone and basis are semantically different (the paper's reason).
Shape letters: B rows · Q scored events · N candidates.
"""

from torch import Tensor

from dccl.method.losses import bernoulli_divergence, pointwise_cross_entropy, weighted_mean


def backbone_loss(
    logits: Tensor, teacher_logits: Tensor, labels: Tensor, weights: Tensor, beta: float
) -> Tensor:
    """Eq. (5), phase 1: ℓ(y, ŷ) + β·KL(ỹ, ŷ), each sample taught by the model of the device that it came from.

    Args:
        logits: ŷ of the new backbone f, (B, Q, N).
        teacher_logits: ỹ of the device models f^(m), (B, Q, N).
        labels: y, (B, Q, N).
        weights: (B, Q, N), 0 for padding.
        beta: β.

    Returns:
        (B,) loss of each row.
    """
    return _taught(logits, teacher_logits, labels, weights, beta)


def basis_loss(
    proxy_logits: Tensor, teacher_logits: Tensor, labels: Tensor, weights: Tensor, beta: float
) -> Tensor:
    """Eq. (7), phase 2: ℓ(y, ŷ) + β·KL(ỹ, ŷ), ŷ of the proxy f̂^(m): the phase-1 backbone patched by Θ * U(θ̂, u).

    Arguments and result as in `backbone_loss`; what learns is Θ and W_e, the backbone is fixed.
    """
    return _taught(proxy_logits, teacher_logits, labels, weights, beta)


def _taught(logits: Tensor, teacher_logits: Tensor, labels: Tensor, weights: Tensor, beta: float) -> Tensor:
    losses = pointwise_cross_entropy(logits, labels) + beta * bernoulli_divergence(teacher_logits, logits)
    return weighted_mean(losses, weights)
