"""The original ids of users and items: many short strings as two memory-mappable arrays."""

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt


class Ids(Sequence[str]):
    """Original ids by code, decoded one by one so that a million of them cost no Python objects.

    >>> ids = Ids.of(["", "B00005N7P0", "Zürich"])
    >>> ids[2], len(ids)
    ('Zürich', 3)
    """

    def __init__(self, text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self.text = text
        """All ids as UTF-8, one after the other."""
        self.ends = ends
        """Where each id ends in `text`."""

    @classmethod
    def of(cls, strings: Iterable[str]) -> "Ids":
        """Pack strings (an `Ids` is returned as it is)."""
        if isinstance(strings, Ids):
            return strings
        encoded = [string.encode() for string in strings]
        lengths = np.fromiter((len(part) for part in encoded), dtype=np.int64, count=len(encoded))
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        start = int(self.ends[position - 1]) if position else 0
        return self.text[start : int(self.ends[position])].tobytes().decode()
