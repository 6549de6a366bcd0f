"""Checkpoints: what goes in comes out, and a stranger's is refused."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from dccl.train.checkpoint import (
    load_checkpoint,
    optimiser_tensors,
    prefixed,
    restore_optimiser,
    save_checkpoint,
    under,
)
from dccl.wire.arrays import save_arrays
from dccl.wire.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("one_thread")

DTYPES = [np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
names = st.text(st.characters(codec="utf-8"), max_size=8)
facts = st.dictionaries(names, st.integers(-5, 5) | names | st.none() | st.lists(st.booleans(), max_size=2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(names, arrays, max_size=4), known=facts, owner=names)
def test_tensors_and_facts_come_back_with_name_shape_dtype_and_bits(
    tmp_path: Path, content: dict[str, npt.NDArray[np.generic]], known: dict[str, object], owner: str
) -> None:
    tensors = prefixed("set", {name: torch.from_numpy(array.copy()) for name, array in content.items()})
    save_checkpoint(tmp_path / "c", tensors, owner, known)
    back, same_facts = load_checkpoint(tmp_path / "c", owner)
    assert same_facts == known
    assert under("set", back).keys() == content.keys()
    for name, tensor in under("set", back).items():
        assert tensor.numpy().dtype == content[name].dtype
        assert tensor.numpy().shape == content[name].shape
        assert tensor.numpy().tobytes() == content[name].tobytes()


def test_a_loaded_tensor_may_be_written_to(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", {"a": torch.ones(3)}, "me", {})
    tensors, _ = load_checkpoint(tmp_path / "c", "me")
    assert tensors["a"].add_(1).tolist() == [2, 2, 2]


def test_the_checkpoint_of_something_else_is_refused_with_both_digests(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", {"a": torch.ones(3)}, "theirs", {})
    with pytest.raises(CheckpointError, match=r"c was made from other data.*theirs.*mine"):
        load_checkpoint(tmp_path / "c", "mine")


def test_a_file_of_arrays_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "c", {"a": np.ones(3)})
    with pytest.raises(CheckpointError, match="other data or another configuration"):
        load_checkpoint(tmp_path / "c", "mine")


def test_a_prefix_does_not_take_the_names_of_one_that_it_begins() -> None:
    tensors = {
        **prefixed("best", {"x": torch.zeros(1)}),
        **prefixed("best2", {"x": torch.ones(1)}),
        **prefixed("", {"best/x": torch.ones(2)}),
    }
    assert {name: len(tensor) for name, tensor in under("best", tensors).items()} == {"x": 1}
    assert under("best", tensors)["x"].item() == 0


def test_a_restored_optimiser_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    def stepping(parameters: list[nn.Parameter], optimiser: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            sum((p**2).sum() * (i + 1) for i, p in enumerate(parameters)).backward()  # type: ignore[union-attr]
            optimiser.step()

    def fresh() -> list[nn.Parameter]:
        # One parameter without axes, one with two.
        return [nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.linspace(-1, 1, 6).view(2, 3))]

    straight = fresh()
    stepping(straight, torch.optim.AdamW(straight, lr=0.1), 7)
    first = fresh()
    optimiser = torch.optim.AdamW(first, lr=0.1)
    stepping(first, optimiser, 3)
    save_checkpoint(tmp_path / "c", optimiser_tensors(optimiser), "me", {})
    second = [nn.Parameter(p.detach().clone()) for p in first]
    resumed = torch.optim.AdamW(second, lr=0.1)
    restore_optimiser(resumed, load_checkpoint(tmp_path / "c", "me")[0])
    stepping(second, resumed, 4)
    assert all(torch.equal(p, q) for p, q in zip(straight, second, strict=True))
