import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dccl.data.log import EventLog
from dccl.data.split import leave_one_out, train_only
from dccl.data.world import TINY, make_world

# As in the command line: two spinning threads beside another busy process are slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_TINY_RUN = """
world.num_users=60 world.num_items=100 world.num_categories=5 world.mean_events=8 history_length=10
din.width=8 din.hidden=[16,8] fit.loop.epochs=2 fit.scored_events=10
basis.surrogate_width=4 basis.rank=2 basis.local_events=16 basis.loop.epochs=1
distil.backbone.epochs=1 distil.basis.epochs=1 evaluation.resamples=100 evaluation.num_negatives=20
"""


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


@pytest.fixture(scope="session")
def tiny_run() -> list[str]:
    """Changes of the configuration that make a whole run take a second, on one thread.

    Runs so small gain nothing from more, and beside other processes they lose a minute waiting for their threads.
    """
    import torch

    torch.set_num_threads(1)
    return _TINY_RUN.split()


@pytest.fixture(scope="session")
def finished_run(tiny_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny run; copy it before changing anything in it."""
    from dccl.job.config import load_config
    from dccl.job.run import run

    folder = tmp_path_factory.mktemp("runs") / "finished"
    run(load_config(None, tiny_run), folder)
    return folder
