"""The whole configuration of a run, frozen; an unknown key is an error that names its nearest neighbour."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dccl.data.config import DataConfig
from dccl.data.world import WorldConfig
from dccl.device.guard import GuardConfig
from dccl.job.keys import read_keys
from dccl.job.ranges import check_ranges
from dccl.models.din import DinConfig
from dccl.train.backbone import BackboneFitConfig
from dccl.train.basis import BasisConfig
from dccl.train.distil import DistilConfig


class EvaluationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How models are measured."""

    num_negatives: int = 100
    """Items that each user never met, to rank the held-out item among."""
    negatives_seed: int = 20210814
    """The same seed draws the same negatives."""
    full: bool = True
    """Rank against the whole catalogue too."""
    validation_users: int = 2_000
    """Users that validate the basis after each epoch (all devices among them have to be trained for it)."""
    resamples: int = 10_000
    """Of the paired bootstrap."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a run's numbers."""

    data: DataConfig | None = None
    """The log; without it the synthetic world."""
    world: WorldConfig = WorldConfig()
    """The synthetic world, if there is no log."""
    history_length: int = 100
    """The latest events that a model sees of a user."""
    din: DinConfig = DinConfig()
    """The shape of the backbone."""
    fit: BackboneFitConfig = BackboneFitConfig()
    """How the backbone is fitted."""
    basis: BasisConfig = BasisConfig()
    """The patches, and how their basis is learned."""
    guard: GuardConfig = GuardConfig()
    """When a device uses its patch."""
    distil: DistilConfig = DistilConfig()
    """How the cloud learns from its devices."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How models are measured."""
    rounds: int = 1
    """Times that devices train and the cloud distils; a finished run may be given more."""
    seeds: int = 1
    """Repetitions with other first weights; a finished run may be given more."""
    first_seed: int = 0
    """The others count up from it."""


def load_config(file: Path | None, changes: Sequence[str], data: Path | None = None) -> RunConfig:
    """Defaults, then a YAML or JSON file, then the log's path, then `key=value` changes (see `read_keys`).

    Raises:
        ConfigError: a key that does not exist (the message offers the nearest), a value of the wrong type or out
            of its range, or a file that cannot be read.
    """
    config = read_keys(RunConfig, file, changes, {} if data is None else {"data.path": str(data)})
    check_ranges(config)
    return config
