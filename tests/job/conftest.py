import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny runs wait for one another's threads longer than they compute."""
    torch.set_num_threads(1)
