"""A log on disk: a folder of memory-mapped arrays that appears whole or not at all.

The folder holds `log.json` (names, sizes, checksum) and one `.npy` file per array. Opening it reads
`log.json` and the files' sizes only; `verify_log` reads everything and recomputes the checksum.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from dccl.data.ids import Ids
from dccl.data.log import EventLog, arrays_of, checksum_of_log
from dccl.wire.errors import DataError, StorageError
from dccl.wire.files import read_json, write_json

FORMAT = "dccl-log/1"
HEADER = "log.json"
_ATTEMPTS = 5


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    name: str
    profile_names: tuple[str, ...]
    profile_sizes: tuple[int, ...]
    num_categories: int
    has_times: bool
    checksum: str
    file_bytes: dict[str, int]
    """Size of each array's file."""


def save_log(log: EventLog, folder: Path) -> None:
    """Write a log to `folder`; a log that stood there is replaced in one step.

    Raises:
        StorageError: the disk is full or the folder cannot be written; what was there is untouched.
    """
    with whole_folder(folder) as new:
        write_log(log, new)


def write_log(log: EventLog, folder: Path) -> None:
    """Write a log's files into a folder that is not in its place yet (see `whole_folder`)."""
    arrays = arrays_of(log)
    for name, array in arrays.items():
        _write_array(folder / f"{name}.npy", array)
    header = _Header(
        format=FORMAT,
        name=log.name,
        profile_names=log.profile_names,
        profile_sizes=log.profile_sizes,
        num_categories=log.num_categories,
        has_times=log.has_times,
        checksum=log.checksum,
        file_bytes={name: (folder / f"{name}.npy").stat().st_size for name in arrays},
    )
    write_json(folder / HEADER, header)


def load_log(folder: Path) -> EventLog:
    """Open a saved log; its arrays stay on disk until they are used.

    Raises:
        DataError: there is no log, it has another format, or a file is missing or cut short.
    """
    header = _read_header(folder)
    arrays = {name: _open_array(folder / f"{name}.npy", size) for name, size in header.file_bytes.items()}
    return EventLog(
        name=header.name,
        items=arrays["items"],
        offsets=arrays["offsets"],
        times=arrays["times"],
        categories=arrays["categories"],
        profiles=arrays["profiles"],
        profile_names=header.profile_names,
        profile_sizes=header.profile_sizes,
        num_categories=header.num_categories,
        user_ids=Ids(arrays["user_ids"], arrays["user_ids_ends"]),
        item_ids=Ids(arrays["item_ids"], arrays["item_ids_ends"]),
        has_times=header.has_times,
        checksum=header.checksum,
    )


def verify_log(log: EventLog) -> None:
    """Read every byte of a log and compare with its checksum.

    Raises:
        DataError: something changed since the log was made.
    """
    found = checksum_of_log(log)
    if found != log.checksum:
        raise DataError(
            f"the log {log.name} is damaged: its checksum should be {log.checksum[:16]}… but is "
            f"{found[:16]}…. Delete its folder and load the source files again"
        )


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder that takes the place of `folder` only if the block ends without an error.

    Raises:
        StorageError: the disk is full or the place cannot be written; what was there is untouched.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise _storage_error(folder, error) from error
    try:
        yield new
        new.chmod(0o755)
        _replace_folder(new, folder)
    except OSError as error:
        raise _storage_error(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _replace_folder(new: Path, folder: Path) -> None:
    # A folder cannot be renamed over a full one, so the old one steps aside first.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent) as aside:
        for attempt in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                folder.replace(Path(aside) / str(attempt))
            try:
                new.replace(folder)
                break
            except OSError as error:  # another process put its folder there in between
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _ATTEMPTS - 1:
                    raise


def _write_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _read_header(folder: Path) -> _Header:
    try:
        header = msgspec.convert(read_json(folder / HEADER), _Header)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{folder} is not a saved log that this version can read: {error}. Load the source files again"
        ) from error
    if header.format != FORMAT:
        raise DataError(
            f"{folder} has format {header.format}, expected {FORMAT}. Load the source files again"
        )
    return header


def _open_array(path: Path, size: int) -> npt.NDArray[Any]:
    found = path.stat().st_size if path.exists() else 0
    if found != size:
        raise DataError(
            f"{path} is damaged: expected {size} bytes, found {found}. Delete the folder {path.parent} "
            "and load the source files again"
        )
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except ValueError as error:
        raise DataError(f"{path} is not an array file: {error}. Delete the folder {path.parent}") from error


def _storage_error(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {folder}: {error.strerror or error}. Nothing was changed; free some space or choose "
        "another folder, then run the same command again"
    )
