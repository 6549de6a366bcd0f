"""Wall-clock seconds by stage, kept on disk so that a run that went on later still knows what its stages took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dccl.wire.errors import DataError
from dccl.wire.files import read_json, write_json

_WRITE_EVERY_S = 10.0


class Stopwatch:
    """Adds up what each stage takes, over all the processes that worked on it.

    Args:
        path: a JSON file of seconds by stage; what it holds is added to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[str, float] = {}
        self._running: str | None = None
        self._since = 0.0
        self._written = time.perf_counter()
        if path.exists():
            there = read_json(path)
            if not isinstance(there, dict) or not all(
                isinstance(took, int | float) for took in there.values()
            ):
                raise DataError(
                    f"{path} does not hold seconds by stage. Delete it: only these times are lost"
                )
            self.seconds = there

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the block to `stage`."""
        self._running, self._since = stage, time.perf_counter()
        try:
            yield
        finally:
            self._add()
            self._running = None
            self._write()

    def tick(self) -> None:
        """Write now and then while a stage runs: a process that is killed loses a few seconds only."""
        if self._running is not None and time.perf_counter() - self._written >= _WRITE_EVERY_S:
            self._add()
            self._write()

    def _add(self) -> None:
        now = time.perf_counter()
        if self._running is not None:
            self.seconds[self._running] = self.seconds.get(self._running, 0.0) + now - self._since
        self._since = now

    def _write(self) -> None:
        self._written = time.perf_counter()
        write_json(self._path, self.seconds)
