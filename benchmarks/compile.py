"""Eager against torch.compile on a backbone's training batches, in turn, in one process: prints a ratio as JSON.

Example: python benchmarks/compile.py --batches 60
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dccl.data.split import leave_one_out, train_only
from dccl.data.windows import all_windows
from dccl.data.world import WorldConfig, make_world
from dccl.method.losses import pointwise_cross_entropy, weighted_mean
from dccl.models.din import DinConfig
from dccl.train.basis import BasisConfig
from dccl.train.batches import BatchSource, TrainBatch, shuffled
from dccl.train.release import blueprint, new_release


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--warm", type=int, default=15, help="not counted: the first compilations")
    options = parser.parse_args()
    torch.set_num_threads(1)
    log = make_world(WorldConfig()).log
    train = train_only(log, leave_one_out(log))
    plan = blueprint(train, DinConfig(), BasisConfig(), 8, 100)
    backbone = new_release(plan, np.asarray(train.categories), 0).backbone
    source, rng = BatchSource(train, 100, 4), np.random.default_rng(0)
    windows = all_windows(train, 100, 50)
    rows = shuffled(windows, 32, rng)
    batches = [source.batch(windows[rows[i % len(rows)]], rng) for i in range(options.batches)]

    def step(forward: Callable[..., Tensor], batch: TrainBatch) -> float:
        began = time.process_time()
        losses = pointwise_cross_entropy(forward(backbone.look_up(batch.codes)), batch.labels)
        weighted_mean(losses[None], batch.weights[None])[0].backward()
        return time.process_time() - began

    compiled = torch.compile(backbone, dynamic=True)
    seconds = [(step(backbone, batch), step(compiled, batch)) for batch in batches]
    eager_s, compiled_s = np.array(seconds[options.warm :]).sum(0)
    warm_s = float(np.array(seconds[: options.warm])[:, 1].sum())
    print(
        json.dumps(
            {
                "eager_cpu_s": round(float(eager_s), 2),
                "compiled_cpu_s": round(float(compiled_s), 2),
                "compiled_over_eager": round(float(compiled_s / eager_s), 2),
                "warm_up_cpu_s": round(warm_s, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
