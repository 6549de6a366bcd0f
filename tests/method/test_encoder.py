"""Eq. (6) against numpy."""

import numpy as np
import pytest
import torch

from dccl.method.encoder import Encoder, encode

pytestmark = pytest.mark.usefixtures("one_thread")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("profile_width", [0, 2])
def test_eq_6_is_a_hidden_layer_over_surrogate_and_profile(profile_width: int) -> None:
    rng = np.random.default_rng(0)
    surrogate, profile = rng.normal(size=(4, 3)), rng.normal(size=(4, profile_width))
    outer, inner, profile_map = (
        rng.normal(size=(3, 5)),
        rng.normal(size=(5, 3)),
        rng.normal(size=(5, profile_width)),
    )
    found = encode(*(torch.from_numpy(part) for part in (surrogate, profile, outer, inner, profile_map)))
    for row in range(4):
        hidden = np.tanh(inner @ surrogate[row] + profile_map @ profile[row])
        np.testing.assert_allclose(found[row], outer @ hidden, rtol=1e-12)


def test_a_new_encoder_passes_small_surrogates_on_and_is_deaf_to_the_profile() -> None:
    encoder = Encoder(4, 2, 16, torch.Generator().manual_seed(0))
    surrogate = 0.01 * normal(8, 4, seed=1)
    with torch.no_grad():
        found = encoder(surrogate, normal(8, 2, seed=2))
    torch.testing.assert_close(found, surrogate, rtol=0.01, atol=1e-5)


def test_every_matrix_of_the_encoder_learns_from_the_start() -> None:
    encoder = Encoder(4, 2, 16, torch.Generator().manual_seed(0))
    encoder(normal(8, 4, seed=1), normal(8, 2, seed=2)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
