"""The folder of a run: which run it belongs to, and where each stage keeps its result."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from dccl.job.config import RunConfig
from dccl.train.loop import Stopover
from dccl.wire.arrays import Arrays, load_arrays, save_arrays
from dccl.wire.errors import CheckpointError, ConfigError, DataError, DcclError, StorageError
from dccl.wire.files import read_json, write_json

_MAY_GROW = ("rounds", "seeds")
"""A finished run may be taken further along these without anything being trained anew."""
_IMMATERIAL = ("data.path", "data.cache")
"""Where the log lies decides nothing: the log itself is told by its checksum."""
_LOCK = ".lock"
_ELSEWHERE = "Choose a new folder with --out"


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

    @property
    def environment(self) -> Path:
        """`environment.json`."""
        return self.folder / "environment.json"

    def stage(self, seed: int, name: str) -> Path:
        """Where a seed's stage keeps its state."""
        return self.folder / f"seed-{seed}" / f"{name}.safetensors"

    def stopover(self, seed: int, name: str) -> Stopover:
        """The resumable state of a fit."""
        return Stopover(self.stage(seed, name), self.belongs_to)

    def save(
        self,
        path: Path,
        arrays: Mapping[str, npt.NDArray[np.generic]],
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the result of a stage, marked as this run's."""
        save_arrays(path, arrays, {**(facts or {}), "belongs_to": self.belongs_to})

    def load(self, path: Path) -> tuple[Arrays, dict[str, str]]:
        """Undo `save`.

        Raises:
            CheckpointError: the file is damaged, or another run made it.
        """
        arrays, facts = load_arrays(path)
        if facts.get("belongs_to") != self.belongs_to:
            raise CheckpointError(
                f"{path} was made from other data or another configuration (digest {facts.get('belongs_to')}, "
                f"expected {self.belongs_to}). {_ELSEWHERE}, or delete this file to make it anew"
            )
        return arrays, facts


def check_folder(folder: Path, config: RunConfig) -> None:
    """Find out before any work whether a run with `config` may use `folder`; nothing is written.

    Raises:
        ConfigError: the folder holds something else, or a run with another configuration.
        StorageError: it cannot be written or made.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file, but a run needs a folder. {_ELSEWHERE}")
    _refuse_unwritable(folder)
    if not _is_unused(folder):
        _check_configuration(folder, _marker(folder)["config"], _as_json(config))


@contextlib.contextmanager
def opened(folder: Path, config: RunConfig, data_checksum: str) -> Iterator[Workspace]:
    """Take a new folder into use, or go on in one that the same run left; for this process alone.

    Raises:
        ConfigError: the folder holds something else; nothing in it is touched.
        DataError: it holds a run on another log; nothing in it is touched.
        DcclError: another process is at work in it.
        StorageError: it cannot be written.
    """
    check_folder(folder, config)
    with _locked(folder):
        check_folder(folder, config)
        if not _is_unused(folder):
            _check_log(folder, _marker(folder)["data_checksum"], data_checksum)
        for leftover in folder.rglob(".*.part"):  # of a process that was killed while it wrote
            leftover.unlink(missing_ok=True)
        tree = _as_json(config)
        write_json(folder / "config.json", {"config": tree, "data_checksum": data_checksum})
        yield Workspace(folder, _digest(tree, data_checksum))


def _refuse_unwritable(folder: Path) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise StorageError(f"cannot write into {folder}: {there} is a file. {_ELSEWHERE}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write into {folder}: no permission in {there}. {_ELSEWHERE}")


def _as_json(config: RunConfig) -> dict[str, Any]:
    """The tree as it reads from config.json: a tuple is a list there."""
    tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(config))
    return tree


def _digest(tree: dict[str, Any], data_checksum: str) -> str:
    decisive = {key: value for key, value in tree.items() if key not in _MAY_GROW}
    if tree["data"] is not None:
        kept = {key: value for key, value in tree["data"].items() if f"data.{key}" not in _IMMATERIAL}
        decisive["data"] = kept
    encoded = msgspec.json.encode([decisive, data_checksum], order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:16]


def _is_unused(folder: Path) -> bool:
    """Whether no run has begun here: nothing is there, or only what a process killed at its start left."""
    if (folder / "config.json").exists():
        return False
    return not folder.exists() or all(
        path.name == _LOCK or path.name.startswith(".config.json.") for path in folder.iterdir()
    )


def _marker(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        raise ConfigError(f"{folder} is not empty and holds no run of dccl (no config.json). {_ELSEWHERE}")
    try:
        there: dict[str, Any] = read_json(folder / "config.json")
    except DataError as error:
        raise ConfigError(f"{error}, so {folder} cannot be told to be this run. {_ELSEWHERE}") from error
    is_run = isinstance(there, dict) and {"config", "data_checksum"} <= there.keys()
    if not is_run or not isinstance(there["config"], dict):
        raise ConfigError(f"{folder}/config.json was not written by dccl. {_ELSEWHERE}")
    return there


def _check_configuration(folder: Path, there: dict[str, Any], now: dict[str, Any]) -> None:
    differing = [
        f"{key} ({old!r} there, {new!r} now)"
        for key, (old, new) in _differences(there, now).items()
        if key not in (*_MAY_GROW, *_IMMATERIAL)
    ]
    if differing:
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise ConfigError(
            f"{folder} holds a run with another configuration; it differs in {'; '.join(differing[:5])}{more}. "
            f"{_ELSEWHERE}, or take the old configuration to go on: --config {folder}/config.json"
        )
    if not (folder / "metrics.json").exists():
        return
    for key in _MAY_GROW:
        if now[key] < there.get(key, 0):
            raise ConfigError(
                f"{folder} holds a run with {there[key]} {key}; it may grow, but {now[key]} would throw results away. "
                f"{_ELSEWHERE}"
            )


def _check_log(folder: Path, there: str, now: str) -> None:
    if there != now:
        raise DataError(
            f"{folder} holds a run on another log (checksum {there[:12]} there, {now[:12]} now). {_ELSEWHERE}"
        )


def _differences(old: Any, new: Any, where: str = "") -> dict[str, tuple[Any, Any]]:  # noqa: ANN401
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in {**old, **new}:
            inner = f"{where}.{key}" if where else key
            found |= _differences(old.get(key), new.get(key), inner)
        return found
    return {} if old == new else {where: (old, new)}


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out; the system gives the lock back however this process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(
            f"cannot write into {folder}: {error.strerror or error}. Choose another folder with --out"
        ) from error
    try:
        _take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        raise DcclError(
            f"another dccl (process {owner}) is at work in {folder}. Wait until it ends, or choose another folder "
            "with --out"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
