"""All keys of a configuration with their defaults and meanings, as YAML that `--config` reads back."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from dccl.job.keys import struct_in

_WIDTH = 110


def listed(config: msgspec.Struct) -> str:
    """Every key, its value, and above it what it is for (the first line of its docstring)."""
    return "\n".join(_lines(config, 0)) + "\n"


def _lines(config: msgspec.Struct, depth: int) -> Iterator[str]:
    indent = "  " * depth
    meanings = _meanings(type(config))
    for field in msgspec.structs.fields(type(config)):
        value = getattr(config, field.name)
        if field.name in meanings:
            yield from (
                f"{indent}# {line}" for line in textwrap.wrap(meanings[field.name], _WIDTH - len(indent))
            )
        if isinstance(value, msgspec.Struct):
            yield f"{indent}{field.name}:"
            yield from _lines(value, depth + 1)
        elif value is None and (section := struct_in(field.type)) is not None:
            keys = ", ".join(inner.name for inner in msgspec.structs.fields(section))
            yield from (f"{indent}# {line}" for line in textwrap.wrap(f"Keys: {keys}", _WIDTH - len(indent)))
            yield f"{indent}{field.name}: null"
        else:
            yield f"{indent}{field.name}: {_as_yaml(value)}"


def _as_yaml(value: Any) -> str:  # noqa: ANN401  (any leaf of a configuration)
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=1000)
    return text.removesuffix("...\n").strip()


def _meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring under each field; Python keeps none at run time, so it is read from the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    found: dict[str, str] = {}
    if not isinstance(body, ast.ClassDef):
        return found
    for field, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            paragraph = inspect.cleandoc(below.value.value).split("\n\n")[0]
            found[field.target.id] = " ".join(paragraph.split())
    return found
