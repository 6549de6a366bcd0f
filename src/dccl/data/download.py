"""Fetch public data sets from where they are published, checked against known checksums (`dccl data get`).

Nothing is kept unless it is whole and the one expected. The sets have terms of their own; they are shown
first.
"""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pooch
import requests

from dccl.data.storage import whole_folder
from dccl.wire.errors import ConfigError, DataError, StorageError

_TIMEOUT_S = 60


class PublicSet(msgspec.Struct, frozen=True, kw_only=True):
    """One published file and the terms under which it may be used."""

    url: str
    checksum: str
    """`sha256:…` or `md5:…` of the published file."""
    terms: str
    members: tuple[str, ...] = ()
    """What is wanted out of a zip archive; empty if the file itself is the log."""

    @property
    def file_name(self) -> str:
        """Last part of the address."""
        return self.url.rsplit("/", 1)[1]


_GROUPLENS = (
    "MovieLens, GroupLens Research (https://grouplens.org/datasets/movielens): for research; acknowledge "
    "it in publications; no redistribution and no commercial use without permission; the README in the "
    "archive has the terms"
)
_AMAZON = (
    "Amazon product reviews 2014, J. McAuley, UCSD (https://jmcauley.ucsd.edu/data/amazon): for research; "
    "cite the papers named there"
)

# MovieLens: the checksums stand beside the files at the publisher (.md5) and in many independent projects.
# Amazon books: as recorded by LensKit's book data tools (PIReTship/bookdata-tools, data/az2014).
SETS = {
    "ml-100k": PublicSet(
        url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        checksum="sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        terms=_GROUPLENS,
        members=("ml-100k/u.data", "ml-100k/u.user", "ml-100k/u.item", "ml-100k/README"),
    ),
    "ml-1m": PublicSet(
        url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        checksum="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        terms=_GROUPLENS,
        members=("ml-1m/ratings.dat", "ml-1m/users.dat", "ml-1m/movies.dat", "ml-1m/README"),
    ),
    "ml-25m": PublicSet(
        url="https://files.grouplens.org/datasets/movielens/ml-25m.zip",
        checksum="md5:6b51fb2759a8657d3bfcbfc42b592ada",
        terms=_GROUPLENS,
        members=("ml-25m/ratings.csv", "ml-25m/README.txt"),
    ),
    "amazon-books-2014": PublicSet(
        url="https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/ratings_Books.csv",
        checksum="md5:77b4a5b887e14e16b13e7788bdf70156",
        terms=_AMAZON,
    ),
}


def get(
    name: str,
    folder: Path,
    *,
    base_url: str | None = None,
    sets: dict[str, PublicSet] | None = None,
    tell: Callable[[str], None] = print,
) -> Path:
    """Download the set `name` into `folder/name` and return that folder; one that is there already is kept.

    The terms are told before anything is fetched. `base_url` replaces the publisher's address by a mirror;
    the checksums stay the same.

    Raises:
        ConfigError: there is no set of that name.
        DataError: the file cannot be fetched whole, or it is not the one expected.
        StorageError: it cannot be written.
    """
    known = SETS if sets is None else sets
    if name not in known:
        raise ConfigError(f"there is no public set {name!r}; known are {', '.join(known)}")
    wanted, target = known[name], folder / name
    if target.exists():
        tell(f"{target} is there already")
        return target
    tell(f"{name}: {wanted.terms}")
    url = f"{base_url.rstrip('/')}/{wanted.file_name}" if base_url else wanted.url
    with whole_folder(target) as new:
        file = _fetch(url, wanted, new)
        if wanted.members:
            _unpack(file, wanted.members, new)
            file.unlink()
    return target


def _fetch(url: str, wanted: PublicSet, folder: Path) -> Path:
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_S)
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            pooch.retrieve(url, wanted.checksum, fname=wanted.file_name, path=folder, downloader=downloader)
        )
    except requests.RequestException as error:
        raise DataError(
            f"cannot download {url}: {error}. Nothing was kept; check the network (or give a mirror) and "
            "try again"
        ) from error
    except ValueError as error:  # what pooch raises for another checksum
        raise DataError(
            f"{url} is not the file that was expected ({wanted.checksum}): {error}. Nothing was kept; the "
            "publisher may have changed it"
        ) from error


def _unpack(archive: Path, members: tuple[str, ...], folder: Path) -> None:
    """Take the named members only, so that no path inside the archive decides where a file goes."""
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in members:
                with packed.open(member) as source, (folder / Path(member).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(
            f"{archive.name} does not hold what was expected: {error}. Nothing was kept"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot unpack {archive.name} into {folder}: {error}") from error
