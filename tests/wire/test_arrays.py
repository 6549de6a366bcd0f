"""Named arrays survive the file bit by bit, and a damaged file is refused."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dccl.wire.arrays import load_arrays, save_arrays
from dccl.wire.errors import CheckpointError

DTYPES = [np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_]
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: name != "__metadata__"
)
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.dictionaries(names, arrays, min_size=1, max_size=4),
    metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
def test_arrays_come_back_with_name_shape_dtype_and_bits(
    tmp_path: Path, content: dict[str, npt.NDArray[np.generic]], metadata: dict[str, str]
) -> None:
    path = tmp_path / "some.safetensors"
    save_arrays(path, content, metadata)
    back, facts = load_arrays(path)
    assert facts == metadata
    assert back.keys() == content.keys()
    for name, array in content.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def test_a_transposed_view_is_written_as_it_reads_and_not_as_it_lies_in_memory(tmp_path: Path) -> None:
    view = np.arange(6).reshape(2, 3).T
    save_arrays(tmp_path / "a", {"view": view})
    assert load_arrays(tmp_path / "a")[0]["view"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("kept", [0, 4, 30, -1])
def test_a_file_that_was_cut_short_is_refused_by_name(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.safetensors"
    save_arrays(path, {"a": np.arange(100)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
        load_arrays(path)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="absent"):
        load_arrays(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=tmp_path.name):
        load_arrays(tmp_path)
