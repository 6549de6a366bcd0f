"""Where a run ran: versions and machine, for `environment.json`."""

import os
import platform
import sys
from importlib import metadata
from typing import Any

import torch

_PACKAGES = ("dccl", "torch", "numpy", "polars", "msgspec", "safetensors", "plotly")


def describe_environment() -> dict[str, Any]:
    """Versions, processor and thread count; nothing that names the user or the machine."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
