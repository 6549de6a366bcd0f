"""The training loop on a toy: exact resume, early stopping, averages, and what it refuses."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dccl.train.loop import LoopConfig, Point, Stopover, Task, fit
from dccl.wire.errors import CheckpointError, DcclError

pytestmark = pytest.mark.usefixtures("one_thread")

BATCHES = 4


class Toy(nn.Module):
    """Dropout, a buffer, and a parameter without axes: all that a checkpoint may trip over."""

    scale: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(5, 3, generator=rng))
        self.slope = nn.Parameter(torch.tensor(0.5))
        self.dropout = nn.Dropout(0.4)
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * torch.tanh(self.dropout(x) @ self.weight).sum(1) * self.scale


def toy_task(module: nn.Module, validate: Callable[[], float] | None = None) -> Task:
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(3))
    y = x[:, 0] - x[:, 1]

    def batches(rng: np.random.Generator) -> Iterator[Tensor]:
        for _ in range(BATCHES):
            yield torch.from_numpy(rng.integers(0, 20, 8))

    def loss(rows: Tensor) -> Tensor:
        error: Tensor = (module(x[rows]) - y[rows]).square().mean()
        return error

    # The loop hands on whatever the batches are; here they are rows.
    return Task("toy", module, batches, loss, validate or (lambda: -float((module(x) - y).square().mean())))


class StoppedError(Exception):
    """The power failed."""


def stop_in(epoch: int) -> Callable[[str, int, int, str], None]:
    """A progress that fails in the midst of an epoch."""
    calls = itertools.count()

    def progress(what: str, done: int, total: int, remark: str) -> None:
        if done == epoch - 1 and remark == f"epoch {epoch}" and next(calls) == 1:
            raise StoppedError

    return progress


def same_points(one: list[Point], other: list[Point]) -> bool:
    """Equal to the last bit; NaN equals NaN."""
    return np.array_equal(
        [(p.epoch, p.train_loss, p.validation) for p in one],
        [(p.epoch, p.train_loss, p.validation) for p in other],
        equal_nan=True,
    )


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("stops", [(2,), (4,), (2, 3, 5)])
def test_a_fit_that_was_stopped_anywhere_and_resumed_gives_the_same_bits(
    tmp_path: Path, average: float, stops: tuple[int, ...]
) -> None:
    config = LoopConfig(epochs=6, patience=9, learning_rate=0.05, weight_decay=0.1, average=average, clip=1.0)
    straight = Toy(0)
    curve = fit(toy_task(straight), config, seed=4)
    stopover = Stopover(tmp_path / "fit", "this run")
    for stop in stops:
        with pytest.raises(StoppedError):
            fit(toy_task(Toy(0 if stop == stops[0] else 77)), config, 4, stopover, stop_in(stop))
    # A fresh module with other weights: everything must come from the file.
    resumed = Toy(99)
    resumed_curve = fit(toy_task(resumed), config, seed=4, stopover=stopover)
    assert len(curve) == 7
    assert same_points(resumed_curve, curve)
    for key, tensor in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], tensor), key


def test_the_best_weights_are_remembered_over_a_stop(tmp_path: Path) -> None:
    """Best after epoch 1, stopped in epoch 3: what is kept comes from before the stop."""
    config = LoopConfig(epochs=4, patience=9, learning_rate=0.05)
    stopover = Stopover(tmp_path / "fit", "this run")
    best = Toy(0)
    fit(toy_task(best, iter([0.1, 0.9, 0.3]).__next__), msgspec.structs.replace(config, patience=1), 4)
    with pytest.raises(StoppedError):
        fit(toy_task(Toy(0), iter([0.1, 0.9, 0.3]).__next__), config, 4, stopover, stop_in(3))
    resumed = Toy(9)
    fit(toy_task(resumed, iter([0.4, 0.2]).__next__), config, 4, stopover)
    assert torch.equal(resumed.weight, best.weight)


def test_a_finished_fit_is_not_done_again(tmp_path: Path) -> None:
    config = LoopConfig(epochs=3, patience=9, learning_rate=0.05)
    stopover = Stopover(tmp_path / "fit", "this run")
    first, again = Toy(0), Toy(5)
    curve = fit(toy_task(first), config, 4, stopover)

    def never(rng: np.random.Generator) -> Iterator[Tensor]:
        raise AssertionError("trained again")

    task = toy_task(again)
    again_curve = fit(Task("toy", again, never, task.loss, task.validate), config, 4, stopover)
    assert same_points(again_curve, curve)
    assert all(torch.equal(again.state_dict()[key], value) for key, value in first.state_dict().items())


def test_the_checkpoint_of_another_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    config = LoopConfig(epochs=2, learning_rate=0.05)
    path = tmp_path / "fit"
    fit(toy_task(Toy(0)), config, 4, Stopover(path, "this run"))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="another configuration"):
        fit(toy_task(Toy(0)), config, 4, Stopover(path, "another run"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("scores", "best", "epochs"),
    [
        ([0.1, 0.3, 0.2, 0.5, 0.4, 0.4, 0.9], 3, 5),  # patience 2: epoch 6 is never reached
        ([0.5, 0.4, 0.3, 0.9], 0, 2),  # nothing helps: the start is kept
        ([0.1, 0.2, 0.2, 0.2, 0.9], 1, 3),  # a tie is no progress
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 6, 6),
    ],
)
def test_early_stopping_keeps_the_best_weights_including_those_of_the_start(
    scores: list[float], best: int, epochs: int
) -> None:
    module, seen = Toy(0), []

    def validate() -> float:
        assert not module.training
        seen.append({key: value.clone() for key, value in module.state_dict().items()})
        return scores[len(seen) - 1]

    config = LoopConfig(epochs=6, patience=2, learning_rate=0.05)
    curve = fit(toy_task(module, validate), config, seed=0)
    assert [point.epoch for point in curve] == list(range(epochs + 1))
    assert [point.validation for point in curve] == scores[: epochs + 1]
    assert all(torch.equal(module.state_dict()[key], value) for key, value in seen[best].items())
    assert not module.training
    assert not torch.equal(seen[0]["weight"], seen[1]["weight"])


def test_what_is_validated_is_the_moving_average_of_the_weights() -> None:
    """By a loop: the average starts at the first weights and forgets them faster while it is young."""
    module = Toy(0)
    average, steps = module.weight.detach().double().clone(), 0
    current, validated = module.weight, list[Tensor]()

    def progress(what: str, done: int, total: int, remark: str) -> None:
        nonlocal average, steps, current
        if remark.startswith("epoch"):
            steps += 1
            decay = min(0.8, steps / (steps + 10))
            current = module.weight.detach().clone()
            average = decay * average + (1 - decay) * current.double()
        else:
            # Training goes on from the weights themselves, and not from their average.
            assert torch.equal(module.weight, current)
            assert not torch.equal(module.weight, validated[-1])
            torch.testing.assert_close(validated[-1].double(), average, rtol=1e-5, atol=1e-6)

    def validate() -> float:
        validated.append(module.weight.detach().clone())
        return float(len(validated))

    config = LoopConfig(epochs=3, learning_rate=0.1, average=0.8)
    fit(toy_task(module, validate), config, 1, progress=progress)
    assert steps == 3 * BATCHES
    assert torch.equal(module.weight, validated[-1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_a_clear_error_and_leaves_the_last_good_state(
    tmp_path: Path, bad: float
) -> None:
    module = Toy(0)
    task = toy_task(module)
    calls = itertools.count()

    def loss(rows: Tensor) -> Tensor:
        return task.loss(rows) * (bad if next(calls) == BATCHES + 1 else 1.0)

    stopover = Stopover(tmp_path / "fit", "this run")
    config = LoopConfig(epochs=3, learning_rate=0.01)
    with pytest.raises(DcclError, match=r"toy: the training loss of epoch 2 is .*learning_rate \(now 0.01\)"):
        fit(Task("toy", module, task.batches, loss, task.validate), config, 0, stopover)
    resumed = Toy(9)
    assert len(fit(toy_task(resumed), config, 0, stopover)) == 4
    assert torch.isfinite(resumed.weight).all()


def test_a_seed_is_the_only_source_of_randomness_and_the_callers_generator_is_left_alone() -> None:
    config = LoopConfig(epochs=2, learning_rate=0.05)
    results = []
    for seed, disturbance in ((1, 5), (1, 6), (2, 5)):
        torch.manual_seed(disturbance)
        before = torch.random.get_rng_state()
        module = Toy(0)
        fit(toy_task(module), config, seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        results.append(module.weight.detach().clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_parameters_that_need_no_gradient_stay_as_they_are() -> None:
    module = Toy(0)
    module.weight.requires_grad_(False)
    before, slope = module.weight.clone(), module.slope.item()
    fit(toy_task(module, iter(range(99)).__next__), LoopConfig(epochs=2, learning_rate=0.1, average=0.5), 0)
    assert torch.equal(module.weight, before)
    assert module.slope.item() != slope


def test_no_epoch_at_all_changes_nothing() -> None:
    module = Toy(0)
    curve = fit(toy_task(module), LoopConfig(epochs=0), 0)
    assert [point.epoch for point in curve] == [0]
    assert torch.equal(module.weight, Toy(0).weight)
