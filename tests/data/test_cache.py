import os
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dccl.data.encoding
from dccl.data.assembly import ordered_ids
from dccl.data.cache import LoadReport, cache_folder, load
from dccl.data.config import DataConfig
from dccl.data.log import EventLog
from dccl.data.storage import verify_log
from dccl.wire.errors import ConfigError, DataError

HEADER = "user_id,item_id,timestamp\n"


def table(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "log.csv"
    path.write_text(header + "".join(row + "\n" for row in rows))
    return path


def read(path: Path, **settings: object) -> tuple[EventLog, LoadReport]:
    return load(DataConfig(path=str(path), **settings))  # type: ignore[arg-type]


def events_of(log: EventLog, user: int) -> list[tuple[str, int]]:
    span = slice(log.offsets[user], log.offsets[user + 1])
    return [
        (log.item_ids[item], int(time)) for item, time in zip(log.items[span], log.times[span], strict=True)
    ]


def many_rows(count: int = 1000) -> list[str]:
    return [f"{number % 7},{number % 11},{number}" for number in range(count)]


EVENTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["a", "b", "Z", "é", "10", "9"]), st.integers(-5, 5)),
    min_size=1,
)


@given(EVENTS, st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_events_are_grouped_by_user_and_stably_sorted_by_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[tuple[int, str, int]], batch: int
) -> None:
    monkeypatch.setattr(dccl.data.encoding, "_ROWS_AT_ONCE", batch)
    events = [*events, (31, "a", 0), (31, "b", 0)]
    expected = defaultdict(list)
    for user, item, time in events:
        expected[str(user)].append((item, time))
    log, report = read(table(tmp_path, [f"{user},{item},{time}" for user, item, time in events]), cache=False)
    assert list(log.user_ids) == sorted(expected, key=int)
    assert list(log.item_ids) == ["", *sorted({item for _, item, _ in events})]
    for user, name in enumerate(log.user_ids):
        assert events_of(log, user) == sorted(expected[name], key=lambda event: event[1])
    assert report.rows == len(events)


def test_the_order_of_the_lines_does_not_change_the_log(tmp_path: Path) -> None:
    rows = many_rows()
    first, _ = read(table(tmp_path, rows))
    random.Random(0).shuffle(rows)
    second, _ = read(table(tmp_path, rows))
    assert first.checksum == second.checksum


def test_ids_are_sorted_as_numbers_only_if_all_are_plain_numbers() -> None:
    def order(ids: list[str]) -> list[str]:
        return [ids[place] for place in ordered_ids(pl.Series(ids))]

    assert order(["10", "9", "100"]) == ["9", "10", "100"]
    assert order(["10", "9", "x"]) == ["10", "9", "x"]
    assert order(["10", "9", "09"]) == ["09", "10", "9"]


def test_few_bad_rows_are_left_out_counted_and_named_by_line(tmp_path: Path) -> None:
    rows = many_rows()
    for place, row in {
        4: "1,,3",
        5: ",2,3",
        6: "1,2",
        7: "1,2,soon",
        8: "1,2,3,4",
        9: "",
        10: "1,2,inf",
    }.items():
        rows[place] = row
    log, report = read(table(tmp_path, rows))
    assert [(row.line, row.reason) for row in report.examples] == [
        (6, "no item"),
        (7, "no user"),
        (8, "no time"),
        (9, "the time is not a number"),
        (10, "too many fields"),
        (11, "blank line"),
        (12, "the time is not a number"),
    ]
    assert report.bad["the time is not a number"] == 2
    assert (log.num_events, report.num_bad, report.rows) == (993, 7, 1000)


def test_a_report_says_in_sentences_what_was_left_out(tmp_path: Path) -> None:
    rows = [*many_rows(), "1,2", "99,3,5"]
    assert read(table(tmp_path, rows), min_user_events=2)[1].lines() == [
        "1 of 1,002 rows are bad: no time",
        "bad row: log.csv line 1002: no time",
        "1 rows are left out: user with fewer than 2 events",
    ]


def test_only_twenty_bad_rows_are_shown_but_all_are_counted(tmp_path: Path) -> None:
    log, report = read(table(tmp_path, [*many_rows(), *["1,2,never"] * 30]), allow_bad=0.05)
    assert [row.line for row in report.examples] == list(range(1002, 1022))
    assert (report.bad, log.num_events) == ({"the time is not a number": 30}, 1000)


def test_more_than_one_percent_of_bad_rows_is_an_error_unless_allowed(tmp_path: Path) -> None:
    path = table(tmp_path, [*many_rows(989), *["1,2"] * 11])
    with pytest.raises(
        DataError, match=r"11 of the 1000 rows.*11 x no time.*log\.csv line 991.*data\.allow_bad=0\.02"
    ):
        read(path)
    assert read(path, allow_bad=0.02)[1].num_bad == 11
    assert read(table(tmp_path, [*many_rows(990), *["1,2"] * 10]))[1].num_bad == 10


def test_low_ratings_are_filtered_and_bad_ratings_are_bad(tmp_path: Path) -> None:
    rows = [f"{number % 7},{number % 11},{number},{number % 5 + 1}" for number in range(1000)]
    rows[0], rows[1], rows[2] = "1,2,3,good", "1,2,3,", "1,2,3,nan"
    log, report = read(table(tmp_path, rows, "user_id,item_id,timestamp,rating\n"), min_rating=3)
    assert report.bad == {"the rating is not a number": 2, "no rating": 1}
    # Every fifth number has rating 1 and every fifth rating 2: 400, less the bad ones 0 and 1.
    assert report.filtered == {"rating below 3": 398}
    assert log.num_events == 1000 - 3 - 398


def test_a_filter_on_a_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path, many_rows())
    with pytest.raises(ConfigError, match=r"data\.min_rating is set, but this log has no rating"):
        read(path, min_rating=3)
    with pytest.raises(ConfigError, match=r"data\.behaviours"):
        read(path, behaviours=("buy",))


def test_rare_users_and_items_are_left_out_until_none_is_left(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = [(int(user), int(item)) for user, item in rng.zipf(1.5, (600, 2)) % 40]
    kept, before = pairs, -1
    while len(kept) != before:
        before = len(kept)
        kept = [pair for pair in kept if sum(other[0] == pair[0] for other in kept) >= 3]
        kept = [pair for pair in kept if sum(other[1] == pair[1] for other in kept) >= 4]
    path = table(tmp_path, [f"{user},{item},{place}" for place, (user, item) in enumerate(pairs)])
    log, report = read(path, min_user_events=3, min_item_events=4)
    found = [
        (int(log.user_ids[user]), int(item))
        for user in range(log.num_users)
        for item, _ in events_of(log, user)
    ]
    assert 0 < len(kept) < len(pairs)
    assert sorted(found) == sorted(kept)
    assert sum(report.filtered.values()) == len(pairs) - len(kept)


def test_filters_that_leave_nothing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no event"):
        read(table(tmp_path, many_rows()), min_user_events=10_000)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_times_are_seconds_whatever_their_unit(tmp_path: Path, unit: int) -> None:
    log, _ = read(table(tmp_path, [f"u,a,{1_500_000_000 * unit}", f"u,b,{1_500_000_001 * unit}"]))
    assert log.times.tolist() == [1_500_000_000, 1_500_000_001]


def test_the_second_load_comes_from_the_cache_and_is_the_same(tmp_path: Path) -> None:
    path = table(tmp_path, [*many_rows(), "1,2"])
    first, made = read(path)
    second, found = read(path)
    assert (made.from_cache, found.from_cache) == (False, True)
    assert first.checksum == second.checksum
    assert found.examples == made.examples
    assert isinstance(second.items, np.memmap)
    verify_log(second)


def test_a_changed_file_or_configuration_is_read_anew(tmp_path: Path) -> None:
    path = table(tmp_path, many_rows())
    read(path)
    assert not read(path, min_user_events=2)[1].from_cache
    os.utime(path, (1, 1))
    assert not read(path)[1].from_cache
    assert read(path)[1].from_cache


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    path = table(tmp_path, many_rows())
    good = read(path)[0].checksum
    (stored,) = (cache_folder() / "logs").iterdir()
    (stored / "items.npy").write_bytes(b"")
    log, report = read(path)
    verify_log(log)
    assert (log.checksum, report.from_cache) == (good, False)


def test_a_failed_load_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read(table(tmp_path, ["1,2"]))
    assert not (cache_folder() / "logs").exists()


def test_profile_fields_that_nearly_tell_users_apart_are_left_out_unless_named(tmp_path: Path) -> None:
    users = "".join(f"{number}\t{number % 2}\tz{number}\n" for number in range(300))
    (tmp_path / "set.user").write_text("user_id:token\tgender:token\tzip:token\n" + users)
    rows = "".join(f"{number}\t{number % 5}\t1\n" for number in range(300))
    (tmp_path / "set.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + rows)
    log, report = read(tmp_path)
    assert log.profile_names == ("gender",)
    assert "profile field zip is left out" in report.notes[0]
    assert read(tmp_path, profiles=("zip",))[0].profile_sizes == (301,)
    with pytest.raises(ConfigError, match=r"data\.profiles names 'age'.*gender, zip"):
        read(tmp_path, profiles=("age",))
