"""One training loop for backbone, basis and distillation: epochs, validation, early stopping, exact resume.

An epoch draws all its randomness from (seed, epoch) alone, and the state is saved whole after each epoch, so a
run that was stopped anywhere and started again gives the same bits as one that was not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from dccl.train.batches import TrainBatch
from dccl.train.checkpoint import (
    load_checkpoint,
    optimiser_tensors,
    prefixed,
    restore_optimiser,
    save_checkpoint,
    under,
)
from dccl.wire.errors import DcclError


class LoopConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how fast to train."""

    epochs: int = 12
    patience: int = 4
    """Stop after so many validations in a row without a better one."""
    learning_rate: float = 7e-3
    decay: bool = True
    """Lower the learning rate to a tenth along a half cosine over `epochs`."""
    weight_decay: float = 0.0
    clip: float = 5.0
    """Largest gradient norm."""
    average: float = 0.0
    """Decay of an exponential moving average of the weights, which is what is validated and kept; 0 = off."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of a curve."""

    epoch: int
    train_loss: float
    validation: float


@dataclass(frozen=True)
class Task:
    """What one fit does."""

    name: str
    module: nn.Module
    """Holds the parameters that learn, and whatever must be saved with them."""
    batches: Callable[[np.random.Generator], Iterator[TrainBatch]]
    """One epoch."""
    loss: Callable[[TrainBatch], Tensor]
    """Of one batch, a scalar."""
    validate: Callable[[], float]
    """Larger is better; called with the module in evaluation mode."""


@dataclass(frozen=True)
class Stopover:
    """Where the loop saves its state, and whose state it is."""

    path: Path
    belongs_to: str


Progress = Callable[[str, int, int, str], None]
"""progress(what, done, total, remark): told after every batch and every epoch."""


def silent(what: str, done: int, total: int, remark: str) -> None:
    """The progress that shows nothing."""


def fit(
    task: Task, config: LoopConfig, seed: int, stopover: Stopover | None = None, progress: Progress = silent
) -> list[Point]:
    """Train `task.module` and leave it with the weights that validated best.

    The weights before the first epoch take part: a fit that helps nowhere changes nothing.

    Args:
        task: module, batches and validation.
        config: how long and how fast.
        seed: with the epoch's number, the source of all randomness.
        stopover: where to save after each epoch, and to go on from if something is there.
        progress: told how far it is.

    Returns:
        the curve; point 0 is the state before training.

    Raises:
        DcclError: the loss became NaN or infinite.
        CheckpointError: the stopover holds something else.
    """
    state = _State(task, config)
    if stopover is not None and stopover.path.exists():
        state.restore(stopover)
    if not state.curve:
        state.validated(0, float("nan"))
    while not state.finished():
        epoch = state.curve[-1].epoch + 1
        state.set_learning_rate(epoch)
        loss = _epoch(task, state, config, seed, epoch, progress)
        state.validated(epoch, loss)
        if stopover is not None:
            state.save(stopover)
        progress(task.name, epoch, config.epochs, f"validation {state.curve[-1].validation:.4f}")
    task.module.load_state_dict(state.best)
    task.module.eval()
    return state.curve


def _epoch(
    task: Task, state: "_State", config: LoopConfig, seed: int, epoch: int, progress: Progress
) -> float:
    task.module.train()
    losses = []
    with torch.random.fork_rng(devices=[]):
        # Dropout draws from torch's global generator; the fork gives the caller's back afterwards.
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch, 1]).generate_state(1)[0]))
        for batch in task.batches(np.random.default_rng([seed, epoch])):
            loss = task.loss(batch)
            state.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(state.parameters, config.clip)
            state.optimiser.step()
            state.average()
            losses.append(loss.detach())
            progress(task.name, epoch - 1, config.epochs, f"epoch {epoch}")
    mean = float(torch.stack(losses).mean()) if losses else 0.0
    if not np.isfinite(mean):
        raise DcclError(
            f"{task.name}: the training loss of epoch {epoch} is {mean}. Lower its learning_rate "
            f"(now {config.learning_rate}) or its clip (now {config.clip})"
        )
    return mean


class _State:
    """Everything that a fit must remember between epochs."""

    def __init__(self, task: Task, config: LoopConfig) -> None:
        self._module = task.module
        self._validate = task.validate
        self._config = config
        self.parameters = [p for p in task.module.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._averaged = [p.detach().clone() for p in self.parameters]
        self._steps = 0
        self.curve: list[Point] = []
        self.best: dict[str, Tensor] = {}

    def set_learning_rate(self, epoch: int) -> None:
        config = self._config
        along = 0.5 * (1.0 + np.cos(np.pi * (epoch - 1) / max(config.epochs, 1)))
        factor = 0.1 + 0.9 * along if config.decay else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * factor

    def average(self) -> None:
        if not self._config.average:
            return
        self._steps += 1
        # A young average would remember the random start: let it forget faster at first.
        decay = min(self._config.average, self._steps / (self._steps + 10.0))
        torch._foreach_lerp_(self._averaged, [p.detach() for p in self.parameters], 1.0 - decay)

    def validated(self, epoch: int, loss: float) -> None:
        """Validate (the averaged weights, if there are any), and keep them if they are the best so far."""
        current = [p.detach().clone() for p in self.parameters]
        if self._config.average and self._steps:
            _assign(self.parameters, self._averaged)
        self._module.eval()
        with torch.no_grad():
            value = float(self._validate())
        if not self.curve or value > max(point.validation for point in self.curve):
            self.best = {name: tensor.clone() for name, tensor in self._module.state_dict().items()}
        _assign(self.parameters, current)
        self.curve.append(Point(epoch=epoch, train_loss=loss, validation=value))

    def finished(self) -> bool:
        values = [point.validation for point in self.curve]
        since_best = len(values) - 1 - int(np.argmax(values))
        return self.curve[-1].epoch >= self._config.epochs or since_best >= self._config.patience

    def save(self, stopover: Stopover) -> None:
        tensors = {
            **prefixed("module", self._module.state_dict()),
            **prefixed("best", self.best),
            **prefixed("optimiser", optimiser_tensors(self.optimiser)),
            **prefixed("averaged", {str(i): tensor for i, tensor in enumerate(self._averaged)}),
        }
        curve = [msgspec.to_builtins(point) for point in self.curve]
        save_checkpoint(stopover.path, tensors, stopover.belongs_to, {"curve": curve, "steps": self._steps})

    def restore(self, stopover: Stopover) -> None:
        tensors, facts = load_checkpoint(stopover.path, stopover.belongs_to)
        self._module.load_state_dict(under("module", tensors))
        self.best = under("best", tensors)
        restore_optimiser(self.optimiser, under("optimiser", tensors))
        averaged = under("averaged", tensors)
        self._averaged = [averaged[str(i)] for i in range(len(averaged))]
        self._steps = facts["steps"]
        # JSON has no NaN: the point before training, which has no loss, travels as null.
        self.curve = [
            Point(
                **{
                    **point,
                    "train_loss": float("nan") if point["train_loss"] is None else point["train_loss"],
                }
            )
            for point in facts["curve"]
        ]


def _assign(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
