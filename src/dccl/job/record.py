"""From finished seeds to `metrics.json`: means, comparisons, who gained, bytes."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from dccl import __version__
from dccl.data.log import EventLog
from dccl.evaluate.groups import group_records
from dccl.evaluate.metrics import per_seed_and_user
from dccl.evaluate.ranking import Places
from dccl.evaluate.significance import compare, user_changes
from dccl.job.simulation import Seed, Stage
from dccl.train.release import Release
from dccl.wire.errors import DcclError
from dccl.wire.results import (
    Bytes,
    Comparison,
    CurvePoint,
    DataRecord,
    Protocol,
    RoundRecord,
    RunRecord,
    SeedRecord,
    UserChanges,
)

BASELINE = (0, "din")
MODELS = ("dccl-e", "dccl-m", "dccl-m+e")


def run_record(
    stage: Stage, log: EventLog, seeds: Sequence[Seed], release: Release, negatives: str
) -> RunRecord:
    """The whole of `metrics.json`.

    Args:
        stage: what the seeds share.
        log: the whole log.
        seeds: finished ones.
        release: any seed's last, for the sizes.
        negatives: checksum of the fixed candidates.
    """
    config = stage.config
    events = train_events(stage)
    return RunRecord(
        dccl_version=__version__,
        data=DataRecord(
            name=log.name,
            checksum=log.checksum,
            num_users=log.num_users,
            num_items=log.num_items,
            num_events=log.num_events,
        ),
        protocol=Protocol(
            split="leave-one-out",
            setting="poster",
            history_length=config.history_length,
            num_negatives=config.evaluation.num_negatives,
            negatives_checksum=negatives,
            ties="mid-rank",
            n_users=len(stage.test.users),
        ),
        backbone="din",
        junctions=list(config.basis.junctions),
        surrogate_width=config.basis.surrogate_width,
        seeds=[_seed_record(stage, seed, events) for seed in seeds],
        comparisons=_comparisons(stage, seeds),
        changes=_changes(stage, seeds, events),
        bytes_per_device=device_bytes(release),
        config=msgspec.to_builtins(config),
        notes=_notes(seeds),
    )


def train_events(stage: Stage) -> np.ndarray:
    """(n,) number of training events of each evaluated user."""
    counts: np.ndarray = np.diff(stage.train.offsets)[stage.test.users]
    return counts


def device_bytes(release: Release) -> Bytes:
    """What one device moves and keeps: fp32 as it stands, without compression."""
    front = sum(p.numel() for p in release.backbone.front.parameters())
    table = release.backbone.front.table()
    whole = sum(p.numel() for p in release.backbone.parameters())
    return Bytes(
        surrogate_upload=4 * release.basis.surrogate_width,
        basis_download=4 * sum(p.numel() for p in release.basis.parameters()),
        backbone_download=4 * (whole - front),
        item_table=4 * table.numel(),
    )


def _seed_record(stage: Stage, seed: Seed, events: np.ndarray) -> SeedRecord:
    rounds = stage.config.rounds
    return SeedRecord(
        seed=seed.number,
        models={
            name: seed.assessments[number, name].metrics
            for number, name in (BASELINE, *((rounds, model) for model in MODELS))
        },
        rounds=[_round_record(seed, number) for number in range(1, rounds + 1)],
        seconds=seed.seconds,
        groups=group_records(events, stage.test.group_of),
        curve=[
            CurvePoint(epoch=p.epoch, train_loss=p.train_loss, validation_ndcg_10=p.validation)
            for p in seed.curve
            if p.epoch > 0
        ],
    )


def _round_record(seed: Seed, number: int) -> RoundRecord:
    population = seed.populations[number]
    return RoundRecord(
        round=number,
        models={name: seed.assessments[number, name].metrics for name in MODELS},
        guard_share=population.serving_share(),
        surrogate_norm=population.median_norm(),
    )


def _places(seeds: Sequence[Seed], key: tuple[int, str], ranking: str) -> list[Places]:
    return [seed.assessments[key].places[ranking] for seed in seeds]


def _comparisons(stage: Stage, seeds: Sequence[Seed]) -> list[Comparison]:
    found = []
    for ranking in seeds[0].assessments[BASELINE].metrics:
        baseline = per_seed_and_user(_places(seeds, BASELINE, ranking))
        for name in MODELS:
            model = per_seed_and_user(_places(seeds, (stage.config.rounds, name), ranking))
            # The same draws of users for every model: their intervals can be set side by side.
            rng = np.random.default_rng(stage.config.first_seed)
            resamples = stage.config.evaluation.resamples
            found += compare(name, BASELINE[1], ranking, model, baseline, rng, resamples)
    return found


def _changes(stage: Stage, seeds: Sequence[Seed], events: np.ndarray) -> list[UserChanges]:
    sampled = next(iter(seeds[0].assessments[BASELINE].metrics))
    baseline = _places(seeds, BASELINE, sampled)
    return [
        user_changes(
            name,
            BASELINE[1],
            _places(seeds, (stage.config.rounds, name), sampled),
            baseline,
            stage.test.group_of,
            events,
        )
        for name in MODELS
    ]


def _notes(seeds: Sequence[Seed]) -> list[str]:
    notes = []
    for seed in seeds:
        for number, population in seed.populations.items():
            if not population.serving.any():
                notes.append(
                    f"seed {seed.number}, round {number}: no guard let a patch through; every device served the "
                    "cloud model"
                )
    return notes


def require_finite(record: RunRecord) -> None:
    """Keep NaN and infinity out of `metrics.json`: JSON has no word for them, and no reader expects them.

    Raises:
        DcclError: it names every place.
    """
    places = list(_not_finite(msgspec.to_builtins(record), ""))
    if places:
        raise DcclError(
            f"no metrics.json was written: {', '.join(places[:5])} would not be a finite number. This is a defect of "
            "dccl: please report it together with config.json"
        )


def _not_finite(value: Any, where: str) -> Iterator[str]:  # noqa: ANN401  (any JSON value)
    if isinstance(value, float) and not math.isfinite(value):
        yield where
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from _not_finite(inner, f"{where}.{key}" if where else str(key))
