"""Fit a basis: by meta-learning (a few local steps must help on later events), or jointly with free surrogates."""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from dccl.data.episodes import later_part, random_windows
from dccl.data.windows import all_windows
from dccl.method.losses import pointwise_cross_entropy, weighted_mean
from dccl.method.metapatch import Basis, personalise
from dccl.models.contract import Backbone, Features
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.loop import LoopConfig, Task


class BasisConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of the basis, the device's step, and how the cloud learns both."""

    junctions: tuple[str, ...] = ("interest", "hidden1", "hidden2")
    """Where patches sit; any subset of the backbone's junctions."""
    surrogate_width: int = 16
    """K: floats per device."""
    rank: int = 8
    """R: width of each patch's bottleneck."""
    steps: int = 3
    """S: local steps, each with learned step sizes."""
    first_step: float = 0.1
    """Norm of the median device's first step before the step sizes are learned: they are set so by a look at the
    gradients, because no fixed number fits every log."""
    bound: float = 2.0
    """Largest Euclidean norm of a surrogate."""
    prior_samples: float = 20.0
    """Counted into a device's mean loss as samples of loss 0: few events make small steps."""
    method: Literal["meta", "joint"] = "meta"
    loop: LoopConfig = LoopConfig(epochs=6, patience=2, learning_rate=5e-3)
    batch_size: int = 32
    """Users per batch."""
    local_events: int = 64
    """A device's own samples: its latest events."""
    fewest_events: int = 4
    """Users with fewer events teach the basis nothing."""
    query_share: float = 0.25
    """Share of an episode's events that judge; the earlier ones adapt."""
    num_negatives: int = 4
    """Per local event; together they weigh as much as the backbone's."""


def new_basis(backbone: Backbone, config: BasisConfig, seed: int) -> Basis:
    """An untrained basis for `backbone`, whose junctions the configuration must name rightly (`job` checks it)."""
    widths = {name: backbone.junctions[name].width for name in config.junctions}
    rng = torch.Generator().manual_seed(seed)
    return Basis(widths, config.surrogate_width, config.rank, config.steps, 1.0, rng)


Logits = Callable[[Callable[[str, Tensor], Tensor] | None], Tensor]


def scored_once(backbone: Backbone, batch: TrainBatch, junctions: tuple[str, ...]) -> Logits:
    """Do all the work that no patch touches, and return what is left: patch to logits (B, Q, N).

    With every patch above the pooling, look-up and attention are done here, once, however many steps follow.
    """
    with torch.no_grad():
        inputs = backbone.look_up(batch.codes)
        if any(backbone.junctions[name].below_pooling for name in junctions):
            return lambda patch: backbone(inputs, patch)
        features: Features = backbone.pool(inputs)
    return lambda patch: backbone.head(features, patch)


def device_loss(
    basis: Basis, logits: Logits, labels: Tensor, weights: Tensor, prior: float
) -> Callable[[Tensor], Tensor]:
    """Eq. (3)'s objective as a function of the surrogates: (B, K) to (B,)."""

    def loss(surrogate: Tensor) -> Tensor:
        return weighted_mean(pointwise_cross_entropy(logits(basis.patch(surrogate)), labels), weights, prior)

    return loss


def calibrate(backbone: nn.Module, basis: Basis, source: BatchSource, config: BasisConfig, seed: int) -> None:
    """Set the step sizes so that the median device's first step has norm `config.first_step`."""
    rng = np.random.default_rng([seed, 0])
    users = np.arange(source.log.num_users)
    fewest = min(config.fewest_events, int(np.diff(source.log.offsets).max()))
    windows = random_windows(source.log, users, source.history_length, config.local_events, fewest, rng)
    batch = source.batch(windows[rng.permutation(len(windows))[: 4 * config.batch_size]], rng)
    logits = scored_once(backbone, batch, config.junctions)  # type: ignore[arg-type]
    loss = device_loss(basis, logits, batch.labels, batch.weights, config.prior_samples)
    start = torch.zeros(len(batch.user), basis.surrogate_width)
    gradients = torch.func.grad(lambda surrogate: loss(surrogate).sum())(start)
    median = gradients.norm(dim=1).median().clamp(min=1e-6)
    with torch.no_grad():
        basis.log_step_sizes.fill_(float(torch.log(config.first_step / median)))


def basis_task(
    backbone: nn.Module, basis: Basis, source: BatchSource, config: BasisConfig, validate: Callable[[], float]
) -> Task:
    """The fit of a basis on a frozen backbone, as a task for the loop."""
    if config.method == "joint":
        return _joint_task(backbone, basis, source, config, validate)
    users = np.arange(source.log.num_users)

    def batches(rng: np.random.Generator) -> Iterator[TrainBatch]:
        windows = random_windows(
            source.log, users, source.history_length, config.local_events, config.fewest_events, rng
        )
        return source.epoch(windows, config.batch_size, rng)

    def loss(batch: TrainBatch) -> Tensor:
        return meta_loss(backbone, basis, batch, config)

    return Task("basis", basis, batches, loss, validate)


def meta_loss(backbone: nn.Module, basis: Basis, batch: TrainBatch, config: BasisConfig) -> Tensor:
    """Adapt on each user's earlier events, be judged on the later ones; the gradient goes through the steps."""
    logits = scored_once(backbone, batch, config.junctions)  # type: ignore[arg-type]
    valid = batch.weights[:, :, 0].numpy() > 0
    late = torch.from_numpy(later_part(valid, config.query_share))[:, :, None]
    start = torch.zeros(len(batch.user), basis.surrogate_width)
    earlier = device_loss(basis, logits, batch.labels, batch.weights * ~late, config.prior_samples)
    adapted, _ = personalise(earlier, start, basis.step_sizes(), config.bound)
    judged = pointwise_cross_entropy(logits(basis.patch(adapted)), batch.labels)
    return weighted_mean(judged[None], (batch.weights * late)[None])[0]


class Joint(nn.Module):
    """A basis and a free surrogate for every user, fitted on the same samples: the ablation."""

    def __init__(self, basis: Basis, num_users: int) -> None:
        super().__init__()
        self.basis = basis
        self.surrogates = nn.Embedding(num_users, basis.surrogate_width)
        nn.init.zeros_(self.surrogates.weight)


def _joint_task(
    backbone: nn.Module, basis: Basis, source: BatchSource, config: BasisConfig, validate: Callable[[], float]
) -> Task:
    joint = Joint(basis, source.log.num_users)
    windows = all_windows(source.log, source.history_length, config.local_events)

    def loss(batch: TrainBatch) -> Tensor:
        logits = scored_once(backbone, batch, config.junctions)  # type: ignore[arg-type]
        losses = pointwise_cross_entropy(
            logits(joint.basis.patch(joint.surrogates(batch.user))), batch.labels
        )
        return weighted_mean(losses[None], batch.weights[None])[0]

    def batches(rng: np.random.Generator) -> Iterator[TrainBatch]:
        return source.epoch(windows, config.batch_size, rng)

    return Task("basis", joint, batches, loss, validate)
