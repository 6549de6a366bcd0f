"""Named arrays as one safetensors file: no pickle, no code, refused if damaged."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dccl.wire.errors import CheckpointError
from dccl.wire.files import write_bytes

Arrays = dict[str, npt.NDArray[np.generic]]


def save_arrays(
    path: Path, arrays: Mapping[str, npt.NDArray[np.generic]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays (and a few strings about them) to `path` in one step."""
    # Not ascontiguousarray: it turns a scalar into an array of one, and a parameter without axes comes back other.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_bytes(path, save(contiguous, metadata=dict(metadata or {})))


def load_arrays(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Read what `save_arrays` wrote: the arrays and the strings.

    Raises:
        CheckpointError: the file is missing, cut short or not a safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            return arrays, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read {path}: {error}. Delete it and run the stage again") from error
