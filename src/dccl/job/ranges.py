"""Which numbers make sense: every number of a run's configuration, checked before anything is loaded.

What a single struct says of itself (`msgspec.Meta`) is checked there; the rest stands here, by struct and key.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from dccl.wire.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """An interval; an open end is not part of it."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Whether a finite value lies inside; NaN and infinity never do."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if self.open_low else f"at least {self.low:g}"
        if math.isinf(self.high):
            return low if math.isfinite(self.low) else "finite"
        return f"{low} and {'less than' if self.open_high else 'at most'} {self.high:g}"


_ANY = Range(-math.inf)
_ZERO, _ONE, _TWO = Range(0), Range(1), Range(2)
_POSITIVE = Range(0, open_low=True)
_SHARE = Range(0, 1)
_BELOW_ONE = Range(0, 1, open_high=True)
_INSIDE = Range(0, 1, open_low=True, open_high=True)

RANGES = {
    "RunConfig": {"history_length": _ONE, "rounds": _ONE, "seeds": _ONE, "first_seed": _ZERO},
    "EvaluationConfig": {
        "num_negatives": _ONE,
        "negatives_seed": _ZERO,
        "validation_users": _ONE,
        "resamples": _ONE,
    },
    "DataConfig": {
        "min_rating": _ANY,
        "min_user_events": _ZERO,
        "min_item_events": _ZERO,
        "allow_bad": _SHARE,
    },
    "WorldConfig": {
        **dict.fromkeys(
            ("num_users", "num_items", "num_categories", "latent_width", "min_events", "num_minorities"), _ONE
        ),
        **dict.fromkeys(("mean_events", "activity_sigma", "zipf_exponent", "seed"), _ZERO),
        **dict.fromkeys(("minority_share", "non_iid", "taste_drift", "profile_signal"), _SHARE),
    },
    "DinConfig": {
        **dict.fromkeys(("width", "heads", "attention_hidden", "hidden", "profile_width"), _ONE),
        "dropout": _BELOW_ONE,
    },
    "LoopConfig": {
        "epochs": _ZERO,
        "patience": _ONE,
        "learning_rate": _POSITIVE,
        "weight_decay": _ZERO,
        "clip": _POSITIVE,
        "average": _BELOW_ONE,
    },
    "BackboneFitConfig": dict.fromkeys(("batch_size", "scored_events", "num_negatives"), _ONE),
    "BasisConfig": {
        **dict.fromkeys(("surrogate_width", "rank", "steps", "batch_size", "num_negatives"), _ONE),
        **dict.fromkeys(("local_events", "fewest_events"), _TWO),
        **dict.fromkeys(("first_step", "bound"), _POSITIVE),
        "prior_samples": _ZERO,
        "query_share": _INSIDE,
    },
    "GuardConfig": {"held_back_share": _INSIDE, "fewest_held_back": _ZERO, "margin": _ANY},
    "DistilConfig": {"beta": _ZERO, "encoder_hidden": _ONE, "meta_weight": _ZERO},
}
"""By name of the struct and key. A number without a range must only be finite."""


def check_ranges(config: msgspec.Struct) -> None:
    """Refuse a number that makes no sense.

    Raises:
        ConfigError: it names the key, the range and the value.
    """
    for key, value, allowed in numbers(config):
        if not (allowed or _ANY).holds(value):
            raise ConfigError(
                f"{key} must be {allowed or _ANY}, but is {value:g}. Change it with --set {key}=…"
            )


def numbers(config: msgspec.Struct, where: str = "") -> Iterator[tuple[str, float, Range | None]]:
    """Every number of a configuration: key with dots, value, range (None where nobody has stated one)."""
    ranges = RANGES.get(type(config).__name__, {})
    for name in config.__struct_fields__:
        value: Any = getattr(config, name)
        if isinstance(value, msgspec.Struct):
            yield from numbers(value, f"{where}{name}.")
            continue
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, int | float) and not isinstance(part, bool):
                yield f"{where}{name}", part, ranges.get(name)
