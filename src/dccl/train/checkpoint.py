"""Checkpoints: tensors in safetensors, everything else as JSON beside them in the same file; no pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from dccl.wire.arrays import load_arrays, save_arrays
from dccl.wire.errors import CheckpointError

Tensors = dict[str, Tensor]


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], belongs_to: str, facts: Mapping[str, Any]
) -> None:
    """Write tensors and facts to `path` in one step.

    Args:
        path: replaced whole.
        tensors: by name; written in their own dtype.
        belongs_to: digest of the data and configuration that the state was made from.
        facts: JSON values (epoch, curve, ...).
    """
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    save_arrays(path, arrays, {"belongs_to": belongs_to, "facts": msgspec.json.encode(facts).decode()})


def load_checkpoint(path: Path, belongs_to: str) -> tuple[Tensors, dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Raises:
        CheckpointError: the file is damaged, or was made from other data or another configuration.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("belongs_to") != belongs_to:
        raise CheckpointError(
            f"{path} was made from other data or another configuration (digest {metadata.get('belongs_to')}, "
            f"expected {belongs_to}). Choose another output folder, or delete this one to start anew"
        )
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, msgspec.json.decode(
        metadata["facts"]
    )


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The same tensors under `prefix/name`, so that several sets fit one file."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Undo `prefixed`: the tensors of one set, under their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> Tensors:
    """An optimiser's per-parameter state as named tensors (`index.key`)."""
    state = optimiser.state_dict()["state"]
    return {f"{index}.{key}": value for index, entries in state.items() for key, value in entries.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo `optimiser_tensors` on a fresh optimiser over the same parameters."""
    whole = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    whole["state"] = state
    optimiser.load_state_dict(whole)
