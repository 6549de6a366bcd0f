import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccl.data.ids import Ids
from dccl.data.log import EventLog, build_log, checksum_of_log, hash_of
from dccl.data.storage import load_log, save_log, verify_log
from dccl.wire.errors import DataError, StorageError


def small_log() -> EventLog:
    return build_log(
        name="small",
        items=[1, 2, 3, 3, 1],
        offsets=[0, 3, 5],
        times=[10, 20, 30, 5, 6],
        user_ids=["anna", "bo"],
        item_ids=["", "x", "y", "z"],
        categories=[0, 1, 1, 2],
        profiles=[[1, 0], [2, 1]],
        profile_names=["gender", "age"],
    )


def test_sizes_are_one_more_than_the_largest_code() -> None:
    log = small_log()
    assert (log.num_users, log.num_items, log.num_events) == (2, 3, 5)
    assert log.num_categories == 3
    assert log.profile_sizes == (3, 2)


def test_without_times_the_times_are_ranks_within_the_user() -> None:
    log = build_log(name="x", items=[1, 2, 1], offsets=[0, 2, 3], user_ids="ab", item_ids=["", "p", "q"])
    assert log.times.tolist() == [0, 1, 0]
    assert not log.has_times


def test_a_saved_log_comes_back_memory_mapped_and_equal(tmp_path: Path) -> None:
    log = small_log()
    save_log(log, tmp_path / "log")
    found = load_log(tmp_path / "log")
    verify_log(found)
    assert isinstance(found.items, np.memmap)
    for field in dataclasses.fields(EventLog):
        expected, came = getattr(log, field.name), getattr(found, field.name)
        if isinstance(expected, np.ndarray):
            assert expected.dtype == came.dtype, field.name
            assert expected.tolist() == came.tolist(), field.name
        elif isinstance(expected, Ids):
            assert list(expected) == list(came)
        else:
            assert expected == came, field.name


def test_saving_again_replaces_the_log_and_leaves_nothing_else(tmp_path: Path) -> None:
    save_log(small_log(), tmp_path / "log")
    save_log(dataclasses.replace(small_log(), name="newer"), tmp_path / "log")
    assert load_log(tmp_path / "log").name == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_folder_that_another_process_put_there_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, raced = Path.replace, []

    def replace_after_a_rival(path: Path, target: Path) -> Path:
        if path.suffix == ".part" and path.is_dir() and not raced:
            raced.append(path)
            save_log(dataclasses.replace(small_log(), name="rival"), tmp_path / "log")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_after_a_rival)
    save_log(small_log(), tmp_path / "log")
    assert raced
    assert load_log(tmp_path / "log").name == "small"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_full_disk_leaves_the_old_log_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_log(small_log(), tmp_path / "log")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match="No space left"):
        save_log(dataclasses.replace(small_log(), name="newer"), tmp_path / "log")
    assert load_log(tmp_path / "log").name == "small"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_cut_file_is_named_when_the_log_is_opened(tmp_path: Path) -> None:
    save_log(small_log(), tmp_path / "log")
    path = tmp_path / "log" / "items.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"items\.npy is damaged"):
        load_log(tmp_path / "log")


def test_a_changed_byte_is_found_by_full_verification(tmp_path: Path) -> None:
    save_log(small_log(), tmp_path / "log")
    path = tmp_path / "log" / "times.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        verify_log(load_log(tmp_path / "log"))


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_log(tmp_path / "nothing")


def test_the_checksum_covers_every_field_but_the_name() -> None:
    log = small_log()
    assert checksum_of_log(dataclasses.replace(log, name="other")) == log.checksum
    changed = [
        dataclasses.replace(log, items=log.items[::-1].copy()),
        dataclasses.replace(log, times=log.times + 1),
        dataclasses.replace(log, offsets=np.array([0, 2, 5])),
        dataclasses.replace(log, categories=np.array([0, 2, 1, 2], dtype=np.int32)),
        dataclasses.replace(log, profiles=log.profiles[::-1].copy()),
        dataclasses.replace(log, profile_names=("gender", "city")),
        dataclasses.replace(log, profile_sizes=(3, 9)),
        dataclasses.replace(log, num_categories=9),
        dataclasses.replace(log, user_ids=["anna", "b"]),
        dataclasses.replace(log, item_ids=["", "x", "yz", ""]),
        dataclasses.replace(log, has_times=False),
    ]
    assert len({log.checksum, *map(checksum_of_log, changed)}) == 1 + len(changed)


def test_equal_bytes_in_another_shape_or_type_hash_differently() -> None:
    array = np.arange(4, dtype=np.int32)
    assert len({hash_of(array), hash_of(array.reshape(2, 2)), hash_of(array.view(np.uint32))}) == 3


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        build_log(name="x", items=[], offsets=[0, 0], user_ids=["a"], item_ids=["", "p", "q"])


def test_a_log_of_one_item_is_refused() -> None:
    with pytest.raises(DataError, match="one item only"):
        build_log(name="x", items=[1, 1], offsets=[0, 2], user_ids=["a"], item_ids=["", "p"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": [0, 4]}, "offsets"),
        ({"items": [1, 3]}, "items between"),
        ({"items": [1, 0]}, "items between"),
        ({"times": [1]}, "one time"),
        ({"user_ids": ["a", "b"]}, "one id per user"),
        ({"categories": [0, 1, 1, 1]}, "one category"),
        ({"categories": [0, 1, 1], "num_categories": 1}, "categories between"),
        ({"profiles": [[1]]}, "row of profile codes"),
        ({"profiles": [[1]], "profile_names": ["age"], "profile_sizes": [3, 3]}, "row of profile codes"),
        ({"profiles": [[3]], "profile_names": ["age"], "profile_sizes": [3]}, "row of profile codes"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "name": "x",
        "items": [1, 2],
        "offsets": [0, 2],
        "times": [1, 2],
        "user_ids": ["a"],
        "item_ids": ["", "p", "q"],
    }
    with pytest.raises(DataError, match=message):
        build_log(**(good | change))  # type: ignore[arg-type]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_ids_give_back_every_string(strings: list[str]) -> None:
    ids = Ids.of(strings)
    assert list(ids) == strings
    assert ids[1:] == strings[1:]
    assert [ids[-1 - place] for place in range(len(ids))] == strings[::-1]


def test_an_id_beyond_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Ids.of(["a"])[1]
