"""From defaults, a file and `key=value` changes to a frozen configuration; every error names the key.

Knows no configuration in particular, and needs no torch: `dccl data info` answers without it.
"""

import difflib
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from dccl.wire.errors import ConfigError

Tree = dict[str, Any]
Kind = TypeVar("Kind", bound=msgspec.Struct)


class _Loader(yaml.SafeLoader):
    """YAML in which only true and false are booleans: `fit.compile=off` is the word `off`."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_keys(
    kind: type[Kind], file: Path | None, changes: Sequence[str], given: Mapping[str, str] | None = None
) -> Kind:
    """Defaults, then a YAML or JSON file, then what was `given`, then `key=value` changes.

    Values are read as YAML, so `basis.junctions=[target,hidden1]` is a list and `data.time=order` a string. The
    `config.json` of a run is a configuration file too.

    Args:
        kind: the configuration.
        file: its keys; None for defaults only.
        changes: `key=value`; dots lead into sections.
        given: values by key with dots, taken as they are.

    Raises:
        ConfigError: a key that does not exist (the message offers the nearest), a value of the wrong type, or a
            file that cannot be read.
    """
    tree = _read(file) if file is not None else {}
    for key, value in (given or {}).items():
        _put(tree, key, value)
    for change in changes:
        _apply(tree, change)
    _refuse_unknown(tree, kind, "")
    try:
        return msgspec.convert(tree, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{_spoken(error)}. `dccl config` prints all keys with their defaults") from error


def read_section(
    name: str, kind: type[Kind], changes: Sequence[str], given: Mapping[str, str] | None = None
) -> Kind:
    """One section of a configuration by itself, its keys under the section's name as in the whole.

    Raises:
        ConfigError: as `read_keys`.
    """
    whole: type[msgspec.Struct] = msgspec.defstruct("Whole", [(name, kind)], forbid_unknown_fields=True)
    section: Kind = getattr(read_keys(whole, None, changes, given), name)
    return section


def struct_in(kind: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401  (a type expression)
    """The configuration that a field holds, if it is a section: `DataConfig | None` is one, `int` is not."""
    for part in (kind, *typing.get_args(kind)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


def _read(file: Path) -> Tree:
    try:
        tree = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {file}: {error.strerror}. Check --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration {file} is not text. Give a YAML or JSON file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is neither YAML nor JSON: {_one_line(error)}") from error
    if tree is None:  # an empty file
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{file} must hold keys and values, not {type(tree).__name__}")
    inner = tree.get("config")
    return inner if tree.keys() == {"config", "data_checksum"} and isinstance(inner, dict) else tree


def _section(tree: Tree, name: str) -> Tree:
    if tree.get(name) is None:
        tree[name] = {}
    section = tree[name]
    if not isinstance(section, dict):
        raise ConfigError(f"{name} is a section with keys of its own, but it was set to {section!r}")
    return section


def _apply(tree: Tree, change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set takes key=value, but came {change!r}; for example --set fit.loop.epochs=20")
    try:
        _put(tree, key.strip(), yaml.load(value, _Loader))
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {change}: the value cannot be read as YAML: {_one_line(error)}") from error


def _put(tree: Tree, key: str, value: Any) -> None:  # noqa: ANN401  (YAML is any of many types)
    *sections, last = key.split(".")
    for name in sections:
        tree = _section(tree, name)
    tree[last] = value


def _refuse_unknown(tree: Mapping[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in tree.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            raise ConfigError(
                f"unknown configuration key '{where}{key}'; did you mean '{where}{near[0]}'? "
                f"There are: {', '.join(known)}"
            )
        section = struct_in(known[key])
        if section is not None and isinstance(value, Mapping):
            _refuse_unknown(value, section, f"{where}{key}.")


def _spoken(error: msgspec.ValidationError) -> str:
    """`fit.loop.epochs: expected int, got str` out of msgspec's words."""
    found = re.fullmatch(r"(.*?) - at `\$\.(.*)`", str(error))
    if found is None:
        return f"the configuration does not fit: {error}"
    what, key = found.groups()
    return f"{key}: {what[:1].lower()}{what[1:]}".replace("`", "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
