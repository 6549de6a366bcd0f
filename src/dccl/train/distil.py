"""MoMoDistill's two phases as fits: personal models back into the backbone, then a better basis."""

import copy
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from dccl.data.episodes import random_windows
from dccl.data.windows import all_windows
from dccl.method.encoder import Encoder
from dccl.method.metapatch import Basis
from dccl.method.momodistill import backbone_loss, basis_loss
from dccl.train.basis import BasisConfig, meta_loss
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.loop import LoopConfig, Task


class DistilConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the cloud learns from its devices."""

    beta: float = 1.0
    """β of Eq. (5) and Eq. (7): weight of the teachers."""
    backbone: LoopConfig = LoopConfig(epochs=2, patience=2, learning_rate=1e-3)
    """Phase 1."""
    basis: LoopConfig = LoopConfig(epochs=1, patience=1, learning_rate=1e-3)
    """Phase 2."""
    encoder_hidden: int = 32
    meta_weight: float = 1.0
    """Weight of the meta-learning loss beside Eq. (7) in phase 2; 0 = the paper's phase 2 alone."""


class Teachers:
    """The personal models of one release: its backbone under each device's patch, frozen.

    Args:
        backbone: the release's.
        basis: the release's.
        surrogates: (U, K), 0 where the device's guard kept the cloud model: then that is the teacher.
    """

    def __init__(self, backbone: nn.Module, basis: Basis, surrogates: Tensor) -> None:
        self._backbone = copy.deepcopy(backbone).eval()
        self._basis = copy.deepcopy(basis)
        self.surrogates = surrogates

    def logits(self, batch: TrainBatch) -> Tensor:
        """ỹ = f^(m)(x) for each sample by the model of the device that it came from, (B, Q, N)."""
        with torch.no_grad():
            patch = self._basis.patch(self.surrogates[batch.user])
            logits: Tensor = self._backbone(self._backbone.look_up(batch.codes), patch)  # type: ignore[operator]
        return logits


def backbone_distil_task(
    backbone: nn.Module,
    teachers: Teachers,
    source: BatchSource,
    config: DistilConfig,
    scored_events: int,
    batch_size: int,
    validate: Callable[[], float],
) -> Task:
    """Phase 1, Eq. (5): the backbone learns in place, from the labels and from the personal models."""
    windows = all_windows(source.log, source.history_length, scored_events)

    def loss(batch: TrainBatch) -> Tensor:
        logits = backbone(backbone.look_up(batch.codes))  # type: ignore[operator]
        taught = teachers.logits(batch)
        # All samples of the batch in one mean, as in the backbone's own fit.
        return backbone_loss(
            logits[None], taught[None], batch.labels[None], batch.weights[None], config.beta
        )[0]

    def batches(rng: np.random.Generator) -> Iterator[TrainBatch]:
        return source.epoch(windows, batch_size, rng)

    return Task("distil backbone", backbone, batches, loss, validate)


class BasisAndEncoder(nn.Module):
    """What learns in phase 2."""

    def __init__(self, basis: Basis, encoder: Encoder) -> None:
        super().__init__()
        self.basis = basis
        self.encoder = encoder


def basis_distil_task(
    backbone: nn.Module,
    learning: BasisAndEncoder,
    teachers: Teachers,
    source: BatchSource,
    config: DistilConfig,
    basis_config: BasisConfig,
    validate: Callable[[], float],
) -> Task:
    """Phase 2, Eq. (7): Θ and the encoder learn on the phase-1 backbone, which is fixed.

    Differs: the meta-learning loss of the basis is added (`meta_weight`). Eq. (7) alone asks that the proxy
    models be good where they stand; nothing in it keeps a few local steps of the next round useful.
    """

    def loss(batch: TrainBatch) -> Tensor:
        with torch.no_grad():
            inputs = backbone.look_up(batch.codes)  # type: ignore[operator]
        surrogate = learning.encoder(teachers.surrogates[batch.user], inputs.profile)
        proxy = backbone(inputs, learning.basis.patch(surrogate))
        taught = teachers.logits(batch)
        total = basis_loss(proxy[None], taught[None], batch.labels[None], batch.weights[None], config.beta)[0]
        if config.meta_weight:
            total = total + config.meta_weight * meta_loss(backbone, learning.basis, batch, basis_config)
        return total

    users = np.arange(source.log.num_users)

    def batches(rng: np.random.Generator) -> Iterator[TrainBatch]:
        windows = random_windows(
            source.log,
            users,
            source.history_length,
            basis_config.local_events,
            basis_config.fewest_events,
            rng,
        )
        return source.epoch(windows, basis_config.batch_size, rng)

    return Task("distil basis", learning, batches, loss, validate)
