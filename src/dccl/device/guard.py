"""The guard: a device uses its patch only while the patch helps on the device's own held-back events."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Losses = npt.NDArray[np.floating[Any]]


class GuardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much proof a device wants before it serves its patch."""

    enabled: bool = True
    held_back_share: float = 0.2
    """Share of the device's events, the latest ones, that its patch is judged on and not trained on."""
    fewest_held_back: int = 1
    """With fewer held-back events the device stays on the cloud model."""
    margin: float = 0.0
    """The patched model's mean loss must be lower by more than this."""


def serves(
    cloud_loss: Losses, patched_loss: Losses, num_held_back: npt.NDArray[np.integer[Any]], config: GuardConfig
) -> npt.NDArray[np.bool_]:
    """Decide, device by device, whether the patch is served.

    A patch whose loss is not finite is never served; with the guard off every finite patch is.

    Args:
        cloud_loss: (n,) mean loss of the unpatched model on the held-back events.
        patched_loss: (n,) the same under the patch trained on the earlier events.
        num_held_back: (n,) how many held-back events there are.
        config: how much proof is wanted.

    Returns:
        (n,) bool.
    """
    finite = np.isfinite(patched_loss)
    if not config.enabled:
        return finite
    proven = (patched_loss < cloud_loss - config.margin) & (num_held_back >= config.fewest_held_back)
    return finite & proven
