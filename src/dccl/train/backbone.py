"""Fit a backbone on the cloud's log, by Eq. (4): every event of a window scored in one forward pass."""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from dccl.data.windows import all_windows
from dccl.method.losses import pointwise_cross_entropy, weighted_mean
from dccl.train.batches import BatchSource, TrainBatch
from dccl.train.loop import LoopConfig, Point, Progress, Stopover, Task, fit, silent


class BackboneFitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a backbone is fitted."""

    loop: LoopConfig = LoopConfig()
    batch_size: int = 32
    """Windows per batch."""
    scored_events: int = 50
    """Events per window."""
    num_negatives: int = 4
    """Negatives per event."""
    compile: Literal["on", "off"] = "off"
    """torch.compile, which needs a C++ compiler. Windows differ in length, so it compiles again and again: on two
    cores it lost to eager by a factor of five (benchmarks/compile.py)."""


def backbone_task(
    backbone: nn.Module,
    source: BatchSource,
    config: BackboneFitConfig,
    validate: Callable[[], float],
) -> Task:
    """The fit of a backbone as a task for the loop."""
    windows = all_windows(source.log, source.history_length, config.scored_events)
    forward = _compiled(backbone) if config.compile == "on" else backbone

    def loss(batch: TrainBatch) -> Tensor:
        losses = pointwise_cross_entropy(forward(backbone.look_up(batch.codes)), batch.labels)  # type: ignore[operator]
        # One mean over the batch's events, not a mean of users' means: an event weighs the same for all users.
        return weighted_mean(losses[None], batch.weights[None])[0]

    def batches(rng: np.random.Generator) -> Iterator[TrainBatch]:
        return source.epoch(windows, config.batch_size, rng)

    return Task("backbone", backbone, batches, loss, validate)


def fit_backbone(
    backbone: nn.Module,
    source: BatchSource,
    config: BackboneFitConfig,
    validate: Callable[[], float],
    seed: int,
    stopover: Stopover | None = None,
    progress: Progress = silent,
) -> list[Point]:
    """Fit `backbone` in place and leave it with the weights that validated best; returns the curve.

    Raises:
        DcclError: the loss is no longer finite.
    """
    task = backbone_task(backbone, source, config, validate)
    return fit(task, config.loop, seed, stopover, progress)


def _compiled(backbone: nn.Module) -> Callable[..., Tensor]:
    # dynamic: batches differ in length; without it every one of them would be compiled.
    compiled: Callable[..., Tensor] = torch.compile(backbone, dynamic=True)
    return compiled
