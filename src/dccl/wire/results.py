"""What a run leaves behind: the shape of `metrics.json`, read by the report and by other programs.

Additive evolution: a new optional field keeps `FORMAT`; a changed meaning raises it.
"""

from typing import Any

import msgspec

FORMAT = "dccl-metrics/1"


_JSON_NAMES = {
    "hit_rate_1": "hit_rate@1",
    "hit_rate_5": "hit_rate@5",
    "hit_rate_10": "hit_rate@10",
    "ndcg_5": "ndcg@5",
    "ndcg_10": "ndcg@10",
}


class Metrics(msgspec.Struct, frozen=True, kw_only=True, rename=_JSON_NAMES):
    """One model's ranking quality under one ranking; every figure is a mean over users, in 0..1."""

    hit_rate_1: float
    hit_rate_5: float
    hit_rate_10: float
    ndcg_5: float
    ndcg_10: float
    auc: float
    """Over all (positive, negative) pairs of all users together."""
    macro_auc: float
    """Mean of the users' own AUC."""
    groups: tuple[float, ...]
    """macro-AUC by group of users, fewest training events first (20 equal groups, fewer for few users)."""
    n_users: int


Rankings = dict[str, Metrics]
"""`sampled-100` and `full`, side by side."""


class RoundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One round of one seed: the models that it made and what the guard decided."""

    round: int
    models: dict[str, Rankings]
    guard_share: float
    """Share of the devices that serve their patch after this round (the guard let it through)."""
    surrogate_norm: float
    """Median Euclidean norm of the surrogates."""


class GroupRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands in one activity group."""

    n_users: int
    min_events: int
    max_events: int


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of the backbone's training."""

    epoch: int
    train_loss: float
    validation_ndcg_10: float


class SeedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One seed of a run, from the cloud model to the last round."""

    seed: int
    models: dict[str, Rankings]
    """By model: `din` (cloud only), `dccl-e`, `dccl-m` (new cloud model alone), `dccl-m+e` (with patches)."""
    rounds: list[RoundRecord]
    seconds: dict[str, float]
    """Wall-clock seconds by stage."""
    groups: list[GroupRecord]
    curve: list[CurvePoint]
    """Validation NDCG@10 and training loss of the backbone, epoch by epoch."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One model against its baseline: paired bootstrap over users, all seeds together."""

    model: str
    baseline: str
    ranking: str
    metric: str
    model_mean: float
    baseline_mean: float
    difference: float
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    relative: float
    """difference / baseline_mean; 0 where the baseline scored 0, so that no ratio exists."""
    verdict: str
    """`gain`, `loss`, or `no gain` when the interval holds zero."""
    seed_deviation: float | None = None
    """Standard deviation of the difference between seeds; None when there is one seed only."""


class UserChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Who gained and who lost when `model` replaced `baseline` (sampled ranking, all seeds)."""

    model: str
    baseline: str
    gained: float
    """Share of users whose positive moved up in the ranking."""
    lost: float
    unchanged: float
    by_group: list[tuple[float, float]]
    """(gained, lost) share by activity group."""
    head_tail: dict[str, dict[str, float]]
    """NDCG@10 by slice (`head`: the most active fifth of users, `tail`: the least active fifth) and model."""


class Bytes(msgspec.Struct, frozen=True, kw_only=True):
    """What one device moves and keeps, in bytes."""

    surrogate_upload: int
    basis_download: int
    backbone_download: int
    """The backbone without the item table."""
    item_table: int
    """The whole item table in fp32; a device may fetch a slice."""


class DataRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The log behind the numbers."""

    name: str
    checksum: str
    num_users: int
    num_items: int
    num_events: int


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """How the numbers were measured; figures under different protocols must not be compared."""

    split: str
    setting: str
    history_length: int
    num_negatives: int
    negatives_checksum: str
    ties: str
    n_users: int


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `metrics.json`."""

    format: str = FORMAT
    dccl_version: str
    data: DataRecord
    protocol: Protocol
    backbone: str
    junctions: list[str]
    surrogate_width: int
    seeds: list[SeedRecord]
    comparisons: list[Comparison]
    changes: list[UserChanges]
    bytes_per_device: Bytes
    config: dict[str, Any]
    notes: list[str] = []
    """Whatever a reader must know beside the numbers (a guard that never let a patch through, ...)."""
