"""The folder of a run: which run it belongs to, and where each stage keeps its result."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dccl.job.config import RunConfig
from dccl.train.loop import Stopover
from dccl.wire.errors import ConfigError, DataError
from dccl.wire.files import read_json, write_json

_MAY_GROW = ("rounds", "seeds")
"""A finished run may be taken further along these without anything being trained anew."""


@dataclass(frozen=True)
class Workspace:
    """One run's folder."""

    folder: Path
    belongs_to: str
    """Digest of the data and of every setting that decides a trained state."""

    @property
    def metrics(self) -> Path:
        """`metrics.json`."""
        return self.folder / "metrics.json"

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.folder / "report.html"

    def stage(self, seed: int, name: str) -> Path:
        """Where a seed's stage keeps its state."""
        return self.folder / f"seed-{seed}" / f"{name}.safetensors"

    def stopover(self, seed: int, name: str) -> Stopover:
        """The resumable state of a fit."""
        return Stopover(self.stage(seed, name), self.belongs_to)


def open_workspace(folder: Path, config: RunConfig, data_checksum: str) -> Workspace:
    """Take a new folder into use, or go on in one that the same run left.

    Raises:
        ConfigError: the folder holds something else; nothing in it is touched.
        DataError: it holds a run on another log.
    """
    tree = msgspec.to_builtins(config)
    marker = folder / "config.json"
    if marker.exists():
        _check_same(folder, read_json(marker), tree, data_checksum)
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            f"{folder} is not empty and holds no run of dccl (no config.json). Choose a new folder with --out"
        )
    write_json(marker, {"config": tree, "data_checksum": data_checksum})
    decisive = {key: value for key, value in tree.items() if key not in _MAY_GROW}
    digest = hashlib.sha256(msgspec.json.encode([decisive, data_checksum], order="deterministic"))
    return Workspace(folder, digest.hexdigest()[:16])


def _check_same(folder: Path, there: Any, config: dict[str, Any], data_checksum: str) -> None:  # noqa: ANN401
    if not isinstance(there, dict) or not {"config", "data_checksum"} <= there.keys():
        raise ConfigError(f"{folder}/config.json was not written by dccl. Choose a new folder with --out")
    differing = [
        f"{key} ({old!r} there, {new!r} now)"
        for key, (old, new) in _differences(there["config"], config).items()
        if key not in _MAY_GROW
    ]
    if differing:
        raise ConfigError(
            f"{folder} holds a run with another configuration; it differs in {'; '.join(differing[:5])}. Choose a new "
            "folder with --out, or the old configuration to go on"
        )
    if there["data_checksum"] != data_checksum:
        raise DataError(
            f"{folder} holds a run on another log (checksum {there['data_checksum'][:12]} there, {data_checksum[:12]} "
            "now). Choose a new folder with --out"
        )


def _differences(old: Any, new: Any, where: str = "") -> dict[str, tuple[Any, Any]]:  # noqa: ANN401
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in {**old, **new}:
            inner = f"{where}.{key}" if where else key
            found |= _differences(old.get(key), new.get(key), inner)
        return found
    return {} if old == new else {where: (old, new)}
