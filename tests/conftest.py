import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dccl.data.log import EventLog
from dccl.data.split import leave_one_out, train_only
from dccl.data.world import TINY, make_world


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets: `$DCCL_DATA`, or `../shared/data` beside the repository."""
    folder = Path(os.environ.get("DCCL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there (set DCCL_DATA to its folder)")
    return folder


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's cache folder."""
    monkeypatch.setenv("DCCL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch on one core: tiny tensors are slower on many, and machines run tests side by side."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_log() -> EventLog:
    """The training part of a tiny world: 60 users, 80 items, categories and profiles."""
    log = make_world(TINY).log
    return train_only(log, leave_one_out(log))
