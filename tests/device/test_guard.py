"""The guard, decision by decision."""

import numpy as np
import pytest

from dccl.device.guard import GuardConfig, serves

NAN, INF = float("nan"), float("inf")


def decide(cloud: float, patched: float, held_back: int, **changes: object) -> bool:
    config = GuardConfig(**{"enabled": True, "fewest_held_back": 2, "margin": 0.1, **changes})  # type: ignore[arg-type]
    return bool(serves(np.array([cloud]), np.array([patched]), np.array([held_back]), config)[0])


@pytest.mark.parametrize(
    ("cloud", "patched", "held_back", "served"),
    [
        (1.0, 0.5, 5, True),
        (1.0, 0.85, 5, True),
        (1.0, 0.95, 5, False),  # better, but not by the margin
        (1.0, 1.5, 5, False),
        (1.0, 0.5, 2, True),
        (1.0, 0.5, 1, False),  # too few events to judge by
        (1.0, 0.5, 0, False),
        (1.0, NAN, 5, False),
        (1.0, INF, 5, False),
        (1.0, -INF, 5, False),
        (NAN, 0.5, 5, False),
        (INF, 0.5, 5, True),
    ],
)
def test_a_patch_is_served_only_if_it_helps_by_the_margin_on_enough_events(
    cloud: float, patched: float, held_back: int, served: bool
) -> None:
    assert decide(cloud, patched, held_back) is served


def test_a_patch_that_only_equals_the_cloud_model_is_not_served() -> None:
    assert not decide(0.7, 0.7, 5, margin=0.0)
    assert decide(0.7, 0.7 - 1e-9, 5, margin=0.0)


@pytest.mark.parametrize(("patched", "served"), [(9.0, True), (NAN, False), (INF, False), (-INF, False)])
def test_with_the_guard_off_every_finite_patch_is_served_and_no_other(patched: float, served: bool) -> None:
    assert decide(1.0, patched, 0, enabled=False) is served


def test_each_device_is_decided_on_its_own() -> None:
    served = serves(
        np.array([1.0, 1.0, 1.0, 1.0], np.float32),
        np.array([0.2, NAN, 2.0, 0.2], np.float32),
        np.array([3, 3, 3, 0]),
        GuardConfig(fewest_held_back=1, margin=0.0),
    )
    assert served.tolist() == [True, False, False, False]
    assert served.dtype == np.bool_
