"""Reading `metrics.json`: the file itself, and means over its seeds."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dccl.wire.errors import DataError
from dccl.wire.files import read_json
from dccl.wire.results import FORMAT, Comparison, Metrics, RunRecord, SeedRecord, UserChanges

METRICS = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "ndcg@5", "ndcg@10", "auc", "macro_auc")


def load_record(path: Path) -> RunRecord:
    """Read a run's `metrics.json`.

    Raises:
        DataError: the file is missing, damaged, not a run's metrics, or of a format unknown to this version.
    """
    if path.is_dir():
        raise DataError(f"cannot read {path}: it is a folder. Give a run's metrics.json")
    content = read_json(path)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise DataError(
            f"{path} has the format {found!r}, this version reads {FORMAT!r}. Give the metrics.json of a "
            "run, or install the version of dccl that wrote it"
        )
    try:
        return msgspec.convert(content, RunRecord)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{path} is damaged or was edited: {error}. Run the command that wrote it again"
        ) from error


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: its mean, and its standard deviation where there are two seeds or more."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def metric_value(metrics: Metrics, metric: str) -> float:
    """A metric by its name in `metrics.json`, such as `ndcg@10`."""
    value: float = getattr(metrics, metric.replace("@", "_"))
    return value


@dataclass(frozen=True)
class Reading:
    """A record and the choices that every part of the page shares: order of models, baseline, focus."""

    record: RunRecord

    @property
    def models(self) -> list[str]:
        """Every model of any seed, in the order met."""
        return list(dict.fromkeys(model for seed in self.record.seeds for model in seed.models))

    @property
    def rankings(self) -> list[str]:
        """Every ranking, sampled ones first."""
        met = dict.fromkeys(
            ranking for seed in self.record.seeds for rankings in seed.models.values() for ranking in rankings
        )
        return sorted(met, key=lambda ranking: not ranking.startswith("sampled"))

    @property
    def main_ranking(self) -> str:
        """The ranking whose figures the pictures show."""
        return next(iter(self.rankings), "sampled-100")

    @property
    def baseline(self) -> str:
        """The model that the others are measured against."""
        named = [comparison.baseline for comparison in self.record.comparisons]
        return next(iter([*named, *self.models]), self.record.backbone)

    @property
    def focus(self) -> str | None:
        """The model that answers `did devices help`: DCCL-e, or the first that is not the baseline."""
        others = [model for model in self.models if model != self.baseline]
        return "dccl-e" if "dccl-e" in others else next(iter(others), None)

    def comparison(self, model: str, ranking: str, metric: str) -> Comparison | None:
        """`model` against the baseline, or None if the run did not compare them."""
        for found in self.record.comparisons:
            key = (found.model, found.baseline, found.ranking, found.metric)
            if key == (model, self.baseline, ranking, metric):
                return found
        return None

    def changes(self, model: str | None) -> UserChanges | None:
        """Who gained when `model` replaced the baseline."""
        matching = (c for c in self.record.changes if (c.model, c.baseline) == (model, self.baseline))
        return next(matching, None)

    def measured(self, model: str, ranking: str) -> Iterator[Metrics]:
        """The model's metrics, seed by seed, where it was measured."""
        for seed in self.record.seeds:
            if (metrics := seed.models.get(model, {}).get(ranking)) is not None:
                yield metrics

    def spread(self, model: str, ranking: str, metric: str) -> Spread | None:
        """A metric over seeds; None if no seed has it."""
        values = [metric_value(metrics, metric) for metrics in self.measured(model, ranking)]
        return Spread.of(values) if values else None

    def group_means(self, model: str | None) -> list[float]:
        """macro-AUC by activity group under the main ranking, mean over seeds; empty if seeds disagree."""
        seeds = [metrics.groups for metrics in self.measured(model or "", self.main_ranking)]
        if len({len(groups) for groups in seeds}) != 1:
            return []
        return [statistics.fmean(column) for column in zip(*seeds, strict=True)]

    def first_seed(self) -> SeedRecord | None:
        """The seed whose group sizes stand for all (they depend on the data only)."""
        return next(iter(self.record.seeds), None)
