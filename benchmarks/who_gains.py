"""Who gained in a run on the synthetic world, by the truth that no model saw: prints NDCG@10 by taste group as JSON.

Example: python benchmarks/who_gains.py runs/demo
"""

import argparse
import json
from pathlib import Path

import numpy as np

from dccl.data.split import leave_one_out
from dccl.data.world import make_world
from dccl.evaluate.metrics import ndcg
from dccl.evaluate.ranking import Places
from dccl.evaluate.significance import bootstrap_means
from dccl.job.config import load_config
from dccl.wire.arrays import load_arrays


def main() -> None:
    """Read the saved places of DIN and DCCL-e (sampled ranking), split the users by group, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run on the built-in world")
    folder = parser.parse_args().run
    world = make_world(load_config(folder / "config.json", []).world)
    group = world.taste_group[leave_one_out(world.log).users]
    quality = {name: _ndcg(folder, name) for name in ("0-din", "1-dccl-e", "1-dccl-m+e")}
    found = {}
    for part, members in {"majority": group == 0, "minorities": group > 0}.items():
        found[part] = {"users": int(members.sum())}
        for name, values in quality.items():
            difference = (values - quality["0-din"])[members]
            means = bootstrap_means(difference[:, None], np.random.default_rng(0))
            low, high = np.quantile(means, [0.025, 0.975])
            found[part][name] = {
                "ndcg@10": round(100 * float(values[members].mean()), 2),
                "difference": [round(100 * float(x), 2) for x in (difference.mean(), low, high)],
            }
    print(json.dumps(found, indent=2))


def _ndcg(folder: Path, name: str) -> np.ndarray:
    """Of each user, mean over the run's seeds."""
    seeds = sorted(folder.glob("seed-*"))
    return np.mean([_places(seed / f"assessment-{name}.safetensors") for seed in seeds], axis=0)


def _places(path: Path) -> np.ndarray:
    arrays, _ = load_arrays(path)
    parts = (arrays[f"sampled-100/{part}"].astype(np.int64) for part in ("better", "ties", "total"))
    return ndcg(Places(*parts), 10)


if __name__ == "__main__":
    main()
