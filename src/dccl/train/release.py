"""A release as the cloud holds it, and as a folder: backbone, basis, encoder and what is needed to rebuild them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from dccl.data.log import EventLog
from dccl.method.encoder import Encoder
from dccl.method.metapatch import Basis
from dccl.models.din import Din, DinConfig
from dccl.train.basis import BasisConfig, new_basis
from dccl.train.checkpoint import load_checkpoint, prefixed, save_checkpoint, under
from dccl.wire.errors import CheckpointError, DataError
from dccl.wire.files import read_json, write_json


class Blueprint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is needed to build the modules before their weights are loaded."""

    din: DinConfig
    basis: BasisConfig
    encoder_hidden: int
    history_length: int
    num_items: int
    num_categories: int
    profile_sizes: tuple[int, ...]
    data_checksum: str


@dataclass(frozen=True)
class Release:
    """One version of everything that devices are given, and the encoder that stays in the cloud."""

    version: int
    backbone: Din
    basis: Basis
    encoder: Encoder


def blueprint(
    log: EventLog, din: DinConfig, basis: BasisConfig, encoder_hidden: int, history_length: int
) -> Blueprint:
    """The blueprint of a release for `log`."""
    return Blueprint(
        din=din,
        basis=basis,
        encoder_hidden=encoder_hidden,
        history_length=history_length,
        num_items=log.num_items,
        num_categories=log.num_categories,
        profile_sizes=tuple(int(size) for size in log.profile_sizes),
        data_checksum=log.checksum,
    )


def new_release(plan: Blueprint, categories: np.ndarray, seed: int) -> Release:
    """Untrained modules; the same seed gives the same bits.

    Args:
        plan: the shapes.
        categories: (num_items + 1,) category code of each item.
        seed: of all first weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Din(
            plan.din,
            torch.from_numpy(np.array(categories, dtype=np.int64)),
            plan.num_categories,
            plan.profile_sizes,
            plan.history_length,
        )
    basis = new_basis(backbone, plan.basis, seed)
    encoder = Encoder(
        plan.basis.surrogate_width,
        backbone.front.profile_width,
        plan.encoder_hidden,
        torch.Generator().manual_seed(seed),
    )
    return Release(0, backbone, basis, encoder)


def save_release(folder: Path, release: Release, plan: Blueprint) -> None:
    """Write `release.json` and `release.safetensors` into `folder`; the JSON last, so a release is whole or absent."""
    modules: dict[str, nn.Module] = {
        "backbone": release.backbone,
        "basis": release.basis,
        "encoder": release.encoder,
    }
    tensors: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        tensors |= prefixed(name, module.state_dict())
    facts = {"version": release.version}
    save_checkpoint(folder / "release.safetensors", tensors, _digest(plan), facts)
    write_json(folder / "release.json", {"version": release.version, "blueprint": plan})


def load_release(folder: Path) -> tuple[Release, Blueprint]:
    """Read what `save_release` wrote, into fresh modules.

    Raises:
        CheckpointError: no release is there, or its two files do not belong together.
    """
    try:
        described = read_json(folder / "release.json")
        plan = msgspec.convert(described["blueprint"], Blueprint)
    except (DataError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise CheckpointError(
            f"{folder} holds no release ({error}). A finished run has one in seed-0/release"
        ) from error
    # The blueprint as it was written: a default that came later must not make an old release look foreign.
    tensors, facts = load_checkpoint(folder / "release.safetensors", _digest(described["blueprint"]))
    if facts["version"] != described["version"]:
        raise CheckpointError(
            f"{folder}: release.json is of version {described['version']}, release.safetensors of {facts['version']}. "
            "Run the job again: it writes both"
        )
    fresh = new_release(plan, tensors["backbone/front.categories"].numpy(), seed=0)
    fresh.backbone.load_state_dict(under("backbone", tensors))
    fresh.basis.load_state_dict(under("basis", tensors))
    fresh.encoder.load_state_dict(under("encoder", tensors))
    fresh.backbone.eval()
    return Release(described["version"], fresh.backbone, fresh.basis, fresh.encoder), plan


def _digest(plan: object) -> str:
    """Of a blueprint, or of the JSON it was written as: whose tensors these are."""
    plain = msgspec.to_builtins(plan)
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()
