"""Plausible runs, made by code: nothing here was measured."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from dccl.wire.results import (
    Bytes,
    Comparison,
    CurvePoint,
    DataRecord,
    GroupRecord,
    Metrics,
    Protocol,
    RoundRecord,
    RunRecord,
    SeedRecord,
    UserChanges,
)

NUM_GROUPS = 20
METRICS = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10", "macro_auc")
BASE = {"sampled-100": (0.235, 0.545, 0.705, 0.398, 0.450), "full": (0.018, 0.071, 0.121, 0.044, 0.060)}
LIFT = {"din": 0.0, "dccl-e": 0.011, "dccl-m": 0.004, "dccl-m+e": 0.015}


def made_metrics(ranking: str, lift: float, rng: np.random.Generator) -> Metrics:
    figures = [v * (1 + lift * 2 + rng.normal(0, 0.006)) for v in BASE[ranking]]
    x = np.arange(NUM_GROUPS) / (NUM_GROUPS - 1)
    tail_lift = lift * (1.6 - 1.5 * x)
    groups = 0.80 + 0.07 * np.sqrt(x) + tail_lift + rng.normal(0, 0.004, NUM_GROUPS)
    return Metrics(
        hit_rate_1=figures[0], hit_rate_5=figures[1], hit_rate_10=figures[2], ndcg_5=figures[3],
        ndcg_10=figures[4], auc=0.842 + lift * 0.4, macro_auc=float(groups.mean()),
        groups=tuple(groups.tolist()), n_users=943,
    )  # fmt: skip


def made_seed(seed: int, num_rounds: int, effect: float) -> SeedRecord:
    rng = np.random.default_rng(seed)
    rounds = []
    models = {}
    for number in range(1, num_rounds + 1):
        growth = effect * (1 - 0.5**number) * 1.6
        models = {
            name: {ranking: made_metrics(ranking, lift * growth, rng) for ranking in BASE}
            for name, lift in LIFT.items()
        }
        made = {name: rankings for name, rankings in models.items() if name != "din"}
        rounds.append(RoundRecord(round=number, models=made, guard_share=0.7, surrogate_norm=0.4 * number))
    edges = np.round(np.geomspace(12, 700, NUM_GROUPS + 1)).astype(int)
    return SeedRecord(
        seed=seed,
        models=models,
        rounds=rounds,
        seconds={
            "data": 1.3,
            "backbone": 48.0,
            "basis": 31.5,
            "devices": 22.1,
            "distil": 25.0,
            "evaluate": 9.4,
        },
        groups=[
            GroupRecord(n_users=47 + (g < 3), min_events=int(edges[g]), max_events=int(edges[g + 1]))
            for g in range(NUM_GROUPS)
        ],
        curve=[
            CurvePoint(
                epoch=e,
                train_loss=0.28 + 0.4 * math.exp(-e / 4) + float(rng.normal(0, 0.004)),
                validation_ndcg_10=0.45 - 0.25 * math.exp(-e / 5) + float(rng.normal(0, 0.003)),
            )
            for e in range(1, 25)
        ],
    )


def made_comparisons(seeds: list[SeedRecord], spread: float) -> list[Comparison]:
    found = []
    for model in list(LIFT)[1:]:
        for ranking in BASE:
            for metric in METRICS:
                name = metric.replace("@", "_")
                new, old = (
                    float(np.mean([getattr(s.models[which][ranking], name) for s in seeds]))
                    for which in (model, "din")
                )
                half = (0.008 if ranking == "sampled-100" else 0.0012) * spread
                low, high = new - old - half, new - old + half
                found.append(
                    Comparison(
                        model=model, baseline="din", ranking=ranking, metric=metric, model_mean=new,
                        baseline_mean=old, difference=new - old, low=low, high=high,
                        relative=(new - old) / old, seed_deviation=0.002,
                        verdict="gain" if low > 0 else "loss" if high < 0 else "no gain",
                    )
                )  # fmt: skip
    return found


def made_changes() -> list[UserChanges]:
    changes = []
    for number, model in enumerate(list(LIFT)[1:]):
        by_group = [(0.36 - 0.006 * g + 0.01 * number, 0.24 + 0.002 * g) for g in range(NUM_GROUPS)]
        gained, lost = (float(v) for v in np.mean(by_group, axis=0))
        changes.append(
            UserChanges(
                model=model, baseline="din", gained=gained, lost=lost, unchanged=1 - gained - lost,
                by_group=by_group,
                head_tail={
                    "head": {"din": 0.468, model: 0.470 + 0.001 * number},
                    "tail": {"din": 0.421, model: 0.437 - 0.004 * number},
                },
            )
        )  # fmt: skip
    return changes


def made_run(
    name: str = "ml-100k", num_seeds: int = 3, num_rounds: int = 3, effect: float = 1.0, spread: float = 1.0
) -> RunRecord:
    """A run in which devices help by `effect` (0: not at all), most where events are few."""
    seeds = [made_seed(seed, num_rounds, effect) for seed in range(num_seeds)]
    return RunRecord(
        dccl_version="0.1.0",
        data=DataRecord(name=name, checksum="9f2c" * 16, num_users=943, num_items=1682, num_events=100_000),
        protocol=Protocol(
            split="leave-one-out", setting="poster", history_length=50, num_negatives=100,
            negatives_checksum="51ab" * 16, ties="expectation over tied places", n_users=943,
        ),
        backbone="din",
        junctions=["item", "attention", "hidden"],
        surrogate_width=16,
        seeds=seeds,
        comparisons=made_comparisons(seeds, spread),
        changes=made_changes(),
        bytes_per_device=Bytes(
            surrogate_upload=64, basis_download=405_504, backbone_download=87_300, item_table=215_424
        ),
        config={"data": {"path": "ml-100k", "time": "timestamp"}, "train": {"epochs": 24, "rate": 0.001}},
        notes=["Made by code for a test; nothing here was measured."],
    )  # fmt: skip


ENVIRONMENT = {
    "python": "3.11.9",
    "torch": "2.13.0",
    "platform": "Linux",
    "cores": 2,
    "threads": {"torch": 1},
}


@pytest.fixture
def make_run() -> Callable[..., RunRecord]:
    """Makes plausible runs; see `made_run`."""
    return made_run
