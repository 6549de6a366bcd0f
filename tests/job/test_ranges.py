import math

import pytest

from dccl.job.config import RunConfig, load_config
from dccl.job.ranges import RANGES, Range, numbers
from dccl.wire.errors import ConfigError


@pytest.mark.parametrize(
    "change",
    [
        "basis.rank=0",
        "basis.surrogate_width=0",
        "basis.steps=0",
        "basis.query_share=1",
        "din.width=-4",
        "din.hidden=[16, 0]",
        "din.dropout=1",
        "fit.loop.epochs=-1",
        "fit.loop.learning_rate=0",
        "fit.batch_size=0",
        "distil.beta=-1",
        "guard.held_back_share=0",
        "history_length=0",
        "rounds=0",
        "seeds=0",
        "first_seed=-1",
        "evaluation.num_negatives=0",
        "evaluation.resamples=0",
        "world.seed=-1",
        "world.num_users=0",
        "fit.loop.learning_rate=.nan",
        "distil.beta=.inf",
        "guard.margin=.nan",
    ],
)
def test_a_number_out_of_its_range_is_refused_by_name_with_the_range(change: str) -> None:
    key, _, value = change.partition("=")
    with pytest.raises(ConfigError) as caught:
        load_config(None, [change])
    message = str(caught.value)
    assert key in message
    assert "must be" in message or "at least" in message
    assert value.strip("[].").split(",")[-1].strip() in message


@pytest.mark.parametrize(
    "change", ["fit.loop.epochs=0", "din.dropout=0", "basis.rank=1", "guard.margin=-0.5"]
)
def test_the_end_of_a_range_is_part_of_it(change: str) -> None:
    load_config(None, [change])


def test_every_number_of_the_configuration_has_a_range() -> None:
    config = load_config(None, ["data.path=log.csv", "data.min_rating=3"])
    without = [key for key, _, allowed in numbers(config) if allowed is None]
    assert without == [], f"state the range of {without} in job/ranges.py"


def test_every_range_belongs_to_a_key() -> None:
    config = load_config(None, ["data.path=log.csv", "data.min_rating=3"])
    used = {key.split(".")[-1] for key, _, _ in numbers(config)}
    assert {key for keys in RANGES.values() for key in keys} <= used
    assert len(list(numbers(RunConfig()))) > 40


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (Range(1), (1, 5.5), (0.99, math.inf, math.nan), "at least 1"),
        (Range(0, open_low=True), (1e-9,), (0, -1), "more than 0"),
        (Range(0, 1), (0, 1), (1.01,), "at least 0 and at most 1"),
        (Range(0, 1, open_high=True), (0, 0.99), (1,), "at least 0 and less than 1"),
        (Range(-math.inf), (-1e9,), (-math.inf, math.nan), "finite"),
    ],
)
def test_a_range_holds_what_its_words_say(
    allowed: Range, inside: tuple[float, ...], outside: tuple[float, ...], words: str
) -> None:
    assert all(allowed.holds(value) for value in inside)
    assert not any(allowed.holds(value) for value in outside)
    assert str(allowed) == words
