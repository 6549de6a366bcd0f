"""Names and numbers as a reader meets them."""

import pytest

from dccl.report import labels


def test_known_models_are_spelt_as_in_papers_and_others_keep_their_name() -> None:
    assert labels.model_label("dccl-m+e") == "DCCL-m+e"
    assert labels.model_label("my model") == "my model"


def test_rankings_are_told_in_words() -> None:
    assert labels.ranking_label("sampled-100") == "100 sampled negatives"
    assert labels.ranking_label("full") == "full ranking"
    assert labels.ranking_label("other") == "other"


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (0.0123, "+1.23"),
        (-0.0123, "\N{MINUS SIGN}1.23"),
        (0.0, "0.00"),
        (-0.00001, "0.00"),
        (0.00006, "+0.01"),
    ],
)
def test_a_difference_has_a_true_sign_unless_it_rounds_to_zero(difference: float, expected: str) -> None:
    assert labels.signed_points(difference) == expected


def test_relative_changes_are_per_cent() -> None:
    assert labels.signed_percent(0.0316) == "+3.2 %"
    assert labels.signed_percent(-0.0004) == "0.0 %"


@pytest.mark.parametrize(
    ("num_bytes", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (2 * 10**12, "2.0 TB")],
)
def test_bytes_are_decimal(num_bytes: int, expected: str) -> None:
    assert labels.byte_count(num_bytes) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 00 s"), (3600, "1 h 00 min")]
)
def test_durations_change_unit(seconds: float, expected: str) -> None:
    assert labels.duration(seconds) == expected


def test_counts_and_ranges() -> None:
    assert labels.count(1, "seed") == "1 seed"
    assert labels.count(1200, "user") == "1,200 users"
    assert labels.event_range(3, 3) == "3"
    assert labels.event_range(3, 9) == "3–9"
