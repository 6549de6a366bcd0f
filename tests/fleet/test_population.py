"""The state of a fleet, by hand."""

import numpy as np

from dccl.fleet.population import Population

FLEET = Population(
    np.array([[3, 4], [0, 0], [6, 8], [0, 1]], np.float32), np.array([True, False, False, True])
)


def test_a_device_whose_guard_said_no_serves_exactly_zero() -> None:
    assert FLEET.served().tolist() == [[3, 4], [0, 0], [0, 0], [0, 1]]


def test_a_nan_that_is_not_served_does_not_leak_into_what_is() -> None:
    broken = Population(np.full((2, 2), np.nan, np.float32), np.array([False, False]))
    assert broken.served().tolist() == [[0, 0], [0, 0]]
    assert broken.median_norm() == 0


def test_shares_and_norms_by_hand() -> None:
    assert FLEET.serving_share() == 0.5
    assert FLEET.median_norm() == 5.0  # of 5, 10 and 1: a device that has not trained does not count


def test_an_untrained_fleet_is_everybody_on_the_cloud_model() -> None:
    fleet = Population.untrained(3, 2)
    assert fleet.served().tolist() == [[0, 0]] * 3
    assert fleet.serving_share() == 0
    assert fleet.median_norm() == 0
