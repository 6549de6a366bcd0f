"""The auxiliary encoder U: from a device's surrogate and its user's profile to the one that the basis learns on."""

import torch
from torch import Tensor, nn


def encode(surrogate: Tensor, profile: Tensor, outer: Tensor, inner: Tensor, profile_map: Tensor) -> Tensor:
    """Eq. (6): U(θ̂, u) = W^(1) tanh(W^(2) θ̂ + W^(3) u).

    Args:
        surrogate: θ̂, (B, K).
        profile: u, (B, P); P may be 0.
        outer: W^(1), (K, H).
        inner: W^(2), (H, K).
        profile_map: W^(3), (H, P).

    Returns:
        (B, K).
    """
    return torch.tanh(surrogate @ inner.T + profile @ profile_map.T) @ outer.T


class Encoder(nn.Module):
    """U with its three matrices W_e; starts near the identity on small surrogates."""

    def __init__(self, surrogate_width: int, profile_width: int, hidden: int, rng: torch.Generator) -> None:
        super().__init__()
        inner = torch.randn(hidden, surrogate_width, generator=rng) * surrogate_width**-0.5
        self.inner = nn.Parameter(inner)
        # tanh is near linear for small arguments, so the pseudo-inverse makes U(θ̂, 0) ≈ θ̂ at the start.
        self.outer = nn.Parameter(torch.linalg.pinv(inner))
        self.profile_map = nn.Parameter(torch.zeros(hidden, profile_width))

    def forward(self, surrogate: Tensor, profile: Tensor) -> Tensor:
        """U(θ̂, u), (B, K)."""
        return encode(surrogate, profile, self.outer, self.inner, self.profile_map)
