"""The whole configuration of a run, frozen; an unknown key is an error that names its nearest neighbour."""

import difflib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from dccl.data.config import DataConfig
from dccl.data.world import WorldConfig
from dccl.device.guard import GuardConfig
from dccl.models.din import DinConfig
from dccl.train.backbone import BackboneFitConfig
from dccl.train.basis import BasisConfig
from dccl.train.distil import DistilConfig
from dccl.wire.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML in which only true and false are booleans: `fit.compile=off` is the word `off`."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class EvaluationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How models are measured."""

    num_negatives: int = 100
    negatives_seed: int = 20210814
    full: bool = True
    """Rank against the whole catalogue too."""
    validation_users: int = 2_000
    """Users that validate the basis after each epoch (all devices among them have to be trained for it)."""
    resamples: int = 10_000
    """Of the paired bootstrap."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a run's numbers."""

    data: DataConfig | None = None
    """The log; None for the synthetic world."""
    world: WorldConfig = WorldConfig()
    history_length: int = 100
    din: DinConfig = DinConfig()
    fit: BackboneFitConfig = BackboneFitConfig()
    basis: BasisConfig = BasisConfig()
    guard: GuardConfig = GuardConfig()
    distil: DistilConfig = DistilConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    rounds: int = 1
    seeds: int = 1
    first_seed: int = 0


def load_config(file: Path | None, changes: Sequence[str], data: Path | None = None) -> RunConfig:
    """Defaults, then a YAML or JSON file, then `key=value` changes (dots lead into sections).

    Values are read as YAML, so `basis.junctions=[target,hidden1]` is a list and `data.time=order` a string.

    Raises:
        ConfigError: a key that does not exist (the message offers the nearest), a value of the wrong type, or a
            file that cannot be read.
    """
    tree = _read(file) if file is not None else {}
    if data is not None:
        _section(tree, "data")["path"] = str(data)
    for change in changes:
        _apply(tree, change)
    _refuse_unknown(tree, RunConfig, "")
    try:
        return msgspec.convert(tree, RunConfig, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the configuration does not fit: {error}. `dccl config` prints all keys"
        ) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(file.read_text(), _Loader)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is neither YAML nor JSON: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{file} must hold keys and values, not {type(tree).__name__}")
    return tree


def _section(tree: dict[str, Any], name: str) -> dict[str, Any]:
    section = tree.setdefault(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{name} is a section with keys of its own, but it was set to {section!r}")
    return section


def _apply(tree: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set takes key=value, but came {change!r}; for example --set fit.loop.epochs=20")
    *sections, last = key.strip().split(".")
    for name in sections:
        tree = _section(tree, name)
    tree[last] = yaml.load(value, _Loader)


def _refuse_unknown(tree: Mapping[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(_unknown_key(f"{where}{key}", key, where, list(known)))
        section = _struct_in(known[key])
        if section is not None and isinstance(value, Mapping):
            _refuse_unknown(value, section, f"{where}{key}.")


def _unknown_key(full: str, key: str, where: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return (
        f"unknown configuration key {full!r}; did you mean {where + near[0]!r}? There are: {', '.join(known)}"
    )


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401  (a type expression)
    for part in (kind, *typing.get_args(kind)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None
