"""A file is whole or not there."""

import hashlib
import os
from pathlib import Path

import pytest

from dccl.wire.errors import DataError, StorageError
from dccl.wire.files import read_json, sha256_of, whole_file, write_bytes, write_json


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_bytes(path, b"old")

    def crash() -> None:
        with whole_file(path) as file:
            file.write(b"half of the n")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_bytes(path, b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_missing_folders_are_made_and_others_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    write_json(path, {"x": [1, 2.5, None]})
    assert read_json(path) == {"x": [1, 2.5, None]}
    assert path.stat().st_mode & 0o777 == 0o644


def test_json_is_indented_and_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"key": 1})
    assert (tmp_path / "a.json").read_text() == '{\n  "key": 1\n}\n'


def test_a_full_disk_is_a_storage_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    write_bytes(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"state: No space left on device"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="inside"):
        write_bytes(tmp_path / "file" / "inside", b"x")


def test_json_that_is_missing_broken_or_a_folder_is_a_data_error_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.json does not exist"):
        read_json(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text('{"a": 1,')
    with pytest.raises(DataError, match=r"broken.json is not valid JSON"):
        read_json(tmp_path / "broken.json")
    with pytest.raises(DataError, match=tmp_path.name):
        read_json(tmp_path)


def test_json_that_is_not_text_is_a_data_error_by_name(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b'"\xff\xfe"')
    with pytest.raises(DataError, match=r"bytes.json"):
        read_json(tmp_path / "bytes.json")


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
