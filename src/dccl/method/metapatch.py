"""MetaPatch, the device side: patches from a basis and a surrogate, and the step that trains the surrogate.

Shape letters: B rows (devices) · K surrogate width · W junction width · R bottleneck rank · S local steps.
Everything here is written so that the very same functions run batched over a fleet, inside the basis's
meta-learning, and traced into the graph that a device runs.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class PatchWeights(NamedTuple):
    """One junction's bottleneck, one set per device."""

    down: Tensor
    """(B, W, R)"""
    down_bias: Tensor
    """(B, 1, R)"""
    up: Tensor
    """(B, R, W)"""
    up_bias: Tensor
    """(B, 1, W)"""


def patched(x: Tensor, weights: PatchWeights) -> Tensor:
    """Eq. (1): f_l^(m)(·) = f_l(·) + h_l^(m)(·) ∘ f_l(·): a residual bottleneck after layer l.

    Args:
        x: (B, ..., W), the output f_l of the layer at the junction.
        weights: the device's patch h_l^(m): down, tanh, up.
    """
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    hidden = torch.tanh(flat @ weights.down + weights.down_bias)
    return x + (hidden @ weights.up + weights.up_bias).reshape(x.shape)


def patch_parameters(basis: Tensor, surrogate: Tensor, offset: Tensor) -> Tensor:
    """Eq. (2): θ_l^(m) = Θ_l * θ̂^(m), one surrogate for all junctions.

    Differs: an offset (non-zero only in the down-projection) is added. Without it a zero surrogate makes both
    projections zero, where neither has a gradient; with it a zero surrogate is exactly the cloud model and its
    gradient is alive.

    Args:
        basis: Θ_l, (K, P).
        surrogate: θ̂, (B, K).
        offset: (P,).

    Returns:
        θ_l, (B, P).
    """
    return surrogate @ basis + offset


class Basis(nn.Module):
    """Θ: for each patched junction the matrix that turns a surrogate into a patch, and the learned step sizes.

    Frozen on devices, learned in the cloud.

    Args:
        widths: width of every patched junction, by name.
        surrogate_width: K.
        rank: R, the bottleneck.
        steps: S, how many local steps have a step size of their own.
        step_size: where the learned step sizes start.
        rng: draws the first Θ.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        surrogate_width: int,
        rank: int,
        steps: int,
        step_size: float,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.rank = rank
        self.surrogate_width = surrogate_width
        self.theta = nn.ParameterDict()
        self.down = nn.ParameterDict()
        for name, width in self.widths.items():
            theta = torch.randn(surrogate_width, patch_size(width, rank), generator=rng)
            self.theta[name] = nn.Parameter(theta * (surrogate_width * rank) ** -0.5)
            self.down[name] = nn.Parameter(torch.randn(width * rank, generator=rng) * width**-0.5)
        self.log_step_sizes = nn.Parameter(torch.full((steps, surrogate_width), step_size).log())

    def step_sizes(self) -> Tensor:
        """(S, K), positive."""
        return self.log_step_sizes.exp()

    def patches(self, surrogate: Tensor) -> dict[str, PatchWeights]:
        """Every junction's weights for surrogates (B, K)."""
        weights = {}
        for name, width in self.widths.items():
            down = self.down[name]
            offset = torch.cat([down, down.new_zeros(self.theta[name].shape[1] - len(down))])
            theta = patch_parameters(self.theta[name], surrogate, offset)
            weights[name] = shaped(theta, width, self.rank)
        return weights

    def patch(self, surrogate: Tensor) -> Callable[[str, Tensor], Tensor]:
        """The function that a backbone calls at its junctions, for surrogates (B, K), one per row."""
        weights = self.patches(surrogate)

        def at_junction(junction: str, x: Tensor) -> Tensor:
            return patched(x, weights[junction]) if junction in weights else x

        return at_junction


def patch_size(width: int, rank: int) -> int:
    """Number of parameters |θ_l| of a patch: two projections and their biases."""
    return 2 * width * rank + rank + width


def shaped(theta: Tensor, width: int, rank: int) -> PatchWeights:
    """Cut θ_l (B, P) into the four parts of a patch."""
    # One split: its backward is one concatenation, where slices would each scatter into zeros.
    down, down_bias, up, up_bias = torch.split(theta, [width * rank, rank, rank * width, width], dim=-1)
    rows = theta.shape[0]
    return PatchWeights(
        down.reshape(rows, width, rank),
        down_bias.reshape(rows, 1, rank),
        up.reshape(rows, rank, width),
        up_bias.reshape(rows, 1, width),
    )


def bounded(vectors: Tensor, bound: float) -> Tensor:
    """Scale rows of (B, K) down to Euclidean norm `bound`; shorter rows and zero rows pass unchanged."""
    # eps inside the root keeps the gradient at zero finite; 1e-6 survives the exporters, 1e-8 does not.
    norms = (vectors.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    return vectors * (bound / norms).clamp(max=1.0)


def device_step(surrogate: Tensor, gradient: Tensor, step_size: Tensor, bound: float) -> Tensor:
    """One local step of Eq. (3) on the surrogate: gradient descent with a learned step size per dimension.

    Step (norm at most a quarter of `bound`) and surrogate (norm at most `bound`) are bounded: with free steps the
    inner loop of an earlier experiment ran away to a norm of 389 and took the ranking with it.

    Args:
        surrogate: (B, K).
        gradient: (B, K), of the device's loss.
        step_size: (K,) or (B, K).
        bound: largest norm of a surrogate.
    """
    return bounded(surrogate - bounded(step_size * gradient, bound / 4), bound)


def personalise(
    device_loss: Callable[[Tensor], Tensor], surrogate: Tensor, step_sizes: Tensor, bound: float
) -> tuple[Tensor, Tensor]:
    """Train surrogates by S local steps; devices do not touch each other.

    Differentiable with respect to everything that `device_loss` closes over and to `step_sizes`, so the same
    function serves a device, a fleet and the meta-learning of the basis.

    Args:
        device_loss: (B, K) to (B,), each device's loss of Eq. (3) under its surrogate.
        surrogate: (B, K), where to start.
        step_sizes: (S, K).
        bound: largest norm of a surrogate.

    Returns:
        the trained surrogates (B, K), and the loss before each step (S, B).
    """

    def summed(vectors: Tensor) -> tuple[Tensor, Tensor]:
        losses = device_loss(vectors)
        return losses.sum(), losses

    losses_before = []
    for step_size in step_sizes:
        # The sum's gradient is each device's own gradient, because no loss depends on another's surrogate.
        gradient, (_, losses) = torch.func.grad_and_value(summed, has_aux=True)(surrogate)
        losses_before.append(losses)
        surrogate = device_step(surrogate, gradient, step_size, bound)
    return surrogate, torch.stack(losses_before)
