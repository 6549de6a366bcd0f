"""Thousands of devices trained at once: each on its own events only, all in one pass.

A device's patch is materialised (one bottleneck per row of the batch), so that a local step of a whole batch is a
few batched matrix products and one backward pass of the summed loss.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dccl.data.episodes import later_part
from dccl.data.windows import latest_windows
from dccl.device.guard import GuardConfig, serves
from dccl.fleet.population import Population
from dccl.method.losses import pointwise_cross_entropy, weighted_mean
from dccl.method.metapatch import Basis, personalise
from dccl.models.contract import Backbone
from dccl.train.basis import BasisConfig, device_loss, scored_once
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.loop import Progress, silent


def personalise_fleet(
    backbone: Backbone,
    basis: Basis,
    source: BatchSource,
    config: BasisConfig,
    guard: GuardConfig,
    seed: int,
    users: np.ndarray | None = None,
    progress: Progress = silent,
) -> Population:
    """Let every device train on its latest events, and its guard decide.

    The guard first sees a patch trained on the earlier events judged on the later ones; a device that passes
    then trains once more on all its events. A device with a single event stays on the cloud model.

    Args:
        backbone: the release's, in evaluation mode.
        basis: the release's.
        source: the devices' own events.
        config: local events, steps, bound.
        guard: how much proof a device wants.
        seed: of the devices' negatives.
        users: whose devices train; None for all.
        progress: told after every batch.
    """
    log = source.log
    users = np.arange(log.num_users) if users is None else users
    users = users[np.diff(log.offsets)[users] >= 2]
    windows = latest_windows(log, users, source.history_length, config.local_events)
    surrogates = np.zeros((log.num_users, basis.surrogate_width), np.float32)
    serving = np.zeros(log.num_users, np.bool_)
    order = np.argsort(windows.stop - windows.first, kind="stable")
    for start in range(0, len(order), config.batch_size):
        rows = order[start : start + config.batch_size]
        # One generator per batch, seeded by its place: the same fleet in the same order gives the same bits.
        batch = source.batch(windows[rows], np.random.default_rng([seed, start]))
        trained, passed = train_devices(backbone, basis, batch, config, guard)
        surrogates[users[rows]] = trained.numpy()
        serving[users[rows]] = passed
        progress("devices", min(start + config.batch_size, len(order)), len(order), "")
    return Population(surrogates, serving)


def train_devices(
    backbone: Backbone, basis: Basis, batch: TrainBatch, config: BasisConfig, guard: GuardConfig
) -> tuple[Tensor, np.ndarray]:
    """One batch of devices: surrogates (B, K) trained on all events, and whose guard lets them through (B,)."""
    logits = scored_once(backbone, batch, config.junctions)
    valid = batch.weights[:, :, 0].numpy() > 0
    late = torch.from_numpy(later_part(valid, guard.held_back_share))[:, :, None]
    start = torch.zeros(len(batch.user), basis.surrogate_width)

    def trained_on(weights: Tensor) -> Tensor:
        loss = device_loss(basis, logits, batch.labels, weights, config.prior_samples)
        return personalise(loss, start, basis.step_sizes(), config.bound)[0]

    def held_back_loss(patch: Callable[[str, Tensor], Tensor] | None) -> np.ndarray:
        return weighted_mean(
            pointwise_cross_entropy(logits(patch), batch.labels), batch.weights * late
        ).numpy()

    with torch.no_grad():
        on_all = trained_on(batch.weights)
        if not guard.enabled:
            return on_all, np.isfinite(on_all.numpy()).all(1)
        trial = trained_on(batch.weights * ~late)
        passed = serves(
            held_back_loss(None), held_back_loss(basis.patch(trial)), late[:, :, 0].sum(1).numpy(), guard
        )
    return on_all, passed & np.isfinite(on_all.numpy()).all(1)
