"""How long and how much memory it takes to load a large log: makes a Taobao-style CSV file and loads it.

    PYTHONPATH=src python benchmarks/load_events.py --events 100000000

The file (about 29 bytes per event) is made in a temporary folder and deleted afterwards. The load runs in a
child process of its own through the public `load`, cold cache; printed is one JSON object. Linux only (the
peak is VmHWM, because a child's ru_maxrss starts with its parent's).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

NUM_USERS, NUM_ITEMS, NUM_CATEGORIES = 1_000_000, 2_000_000, 9_000
BYTES_PER_EVENT = 31
START, STOP = 1511539200, 1512316800
BATCH = 5_000_000

LOAD = """
import json, re, sys, time
from pathlib import Path
from dccl.data.config import DataConfig
from dccl.data.cache import load
start = time.perf_counter()
log, report = load(DataConfig(path=sys.argv[1]))
cold = time.perf_counter() - start
start = time.perf_counter()
load(DataConfig(path=sys.argv[1]))
peak = re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1]
print(json.dumps({
    "events": log.num_events, "users": log.num_users, "items": log.num_items, "bad": report.num_bad,
    "load_seconds": round(cold, 1), "reading_seconds": round(report.seconds, 1),
    "cached_load_seconds": round(time.perf_counter() - start, 3),
    "peak_memory_gb": round(int(peak) / 1e6, 2),
}))
"""


def make_file(path: Path, num_events: int, seed: int = 0) -> None:
    """Write events of about a million users, grouped by user as in the original, with Zipf items."""
    rng = np.random.default_rng(seed)
    users = np.sort(rng.integers(1, NUM_USERS + 1, num_events, dtype=np.int32))
    with path.open("wb") as file:
        for start in range(0, num_events, BATCH):
            part = users[start : start + BATCH]
            items = (rng.zipf(1.2, len(part)) % NUM_ITEMS + 1).astype(np.int64)
            columns = {
                "user": part,
                "item": items,
                "category": items % NUM_CATEGORIES,
                "behaviour": np.array(["pv", "cart", "fav", "buy"])[rng.integers(0, 4, len(part))],
                "time": rng.integers(START, STOP, len(part)),
            }
            pl.DataFrame(columns).write_csv(file, include_header=False)


def measure(num_events: int, parent: str | None) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="dccl-load-", dir=parent) as name:
        folder = Path(name)
        free, needed = shutil.disk_usage(folder).free, num_events * (BYTES_PER_EVENT + 20)
        if free < needed:
            raise SystemExit(f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed")
        path = folder / "UserBehavior.csv"
        start = time.perf_counter()
        make_file(path, num_events)
        made = time.perf_counter() - start
        environment = os.environ | {"DCCL_CACHE": str(folder / "cache")}
        command = [sys.executable, "-c", LOAD, str(path)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        result: dict[str, object] = json.loads(done.stdout)
        sizes = {"file_gb": round(path.stat().st_size / 1e9, 2), "making_seconds": round(made, 1)}
        return result | sizes | {"cpus": os.cpu_count(), "polars": pl.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000_000)
    parser.add_argument("--folder", help="where the temporary folder is made")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.events, arguments.folder), indent=2))


if __name__ == "__main__":
    main()
