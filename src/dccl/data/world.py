"""A made-up world whose laws are known: the demo's data, and the tests' yardstick.

A user picks the next item by a softmax over

    popularity + persistent taste + a response to the last few items

The majority answers its recent history in one way (more of the same). Each minority group answers in another
(novelty, jumps from category to category, unpopular items), and every user has coefficients of his own. One
model for all cannot read them off a short history; a device with some dozens of events can learn them. That
is the case which personal patches are for, and `WorldConfig.non_iid` says how strong it is: at 0 everybody
follows the same law given the history, and a device has nothing to gain.

Shape letters: U users, E events, I items (row 0 of I+1 is padding), C category codes, D latent, K recent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from dccl.data.log import EventLog, build_log
from dccl.wire.errors import ConfigError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

POPULARITY, TASTE, RECENT, JUMP = range(4)
"""Columns of the coefficients: what pulls a user towards an item."""

_MAJORITY = (0.8, 3.0, 3.5, 0.0)
_MINORITIES = (
    (0.8, 3.0, -3.5, 0.0),  # novelty: away from the last few items
    (0.8, 1.0, 0.0, 4.0),  # jumps: after category c comes the group's own pi(c)
    (-0.8, 3.0, 3.5, 0.0),  # niche: like the majority, but unpopular items
)
_INDIVIDUAL = (0.2, 0.6, 1.2, 0.0)  # standard deviation of a user's own coefficients at non_iid = 1

_NUM_RECENT = 3
_RECENCY = np.array([1.0, 0.6, 0.36], np.float32)  # newest first
_ITEM_SPREAD = 0.4  # distance of an item from its category's centre, whose length is 1
_PROFILE_FIELDS = {"age_band": 6, "gender": 2, "region": 8}
_PROFILE_UNKNOWN = 0.05
_START = 1_600_000_000  # seconds since the epoch
_DAY = 86_400


def _require(holds: bool, key: str, expected: str, came: float) -> None:
    if not holds:
        raise ConfigError(f"world.{key} must be {expected}, but is {came}")


class WorldConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of the world, and how much its users differ."""

    num_users: int = 1500
    num_items: int = 800
    num_categories: int = 20
    latent_width: int = 16
    mean_events: float = 60.0
    min_events: int = 5
    activity_sigma: float = 0.9
    """Spread of log(events per user): the larger, the longer the tail of very active users."""
    zipf_exponent: float = 1.0
    """An item's popularity is rank ** -zipf_exponent, before any taste."""
    minority_share: float = 0.3
    num_minorities: int = 4
    non_iid: float = 1.0
    """0: everybody follows one law given the history. 1: minorities answer theirs the other way round."""
    taste_drift: float = 0.08
    """How far a user's taste turns from one event to the next (radians, about), in a random direction."""
    profile_signal: float = 0.2
    """Share of profile fields that tell a user's group; the others are uniform at random."""
    repeats: bool = False
    """Whether a user may meet an item again (never twice in a row)."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a world that cannot be made, naming the key."""
        for key in ("minority_share", "non_iid", "taste_drift", "profile_signal"):
            _require(0 <= getattr(self, key) <= 1, key, "in 0..1", getattr(self, key))
        for key in ("num_users", "num_categories", "latent_width", "num_minorities", "min_events"):
            _require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        _require(self.activity_sigma >= 0, "activity_sigma", "at least 0", self.activity_sigma)
        _require(self.zipf_exponent >= 0, "zipf_exponent", "at least 0", self.zipf_exponent)
        _require(self.mean_events >= self.min_events, "mean_events", "at least min_events", self.mean_events)
        smallest = max(self.num_categories, 2 * self.min_events)
        _require(self.num_items >= smallest, "num_items", f"at least {smallest}", self.num_items)


TINY = WorldConfig(num_users=60, num_items=80, num_categories=8, mean_events=20.0)
"""A world for tests: made in a few hundredths of a second."""


@dataclass(frozen=True)
class Catalogue:
    """The items, and where each group jumps to. What every user sees alike."""

    vectors: Floats
    """(I+1, D), rows of length 1; row 0 is zero."""
    log_popularity: Floats
    """(I+1,), mean 0 over the items; entry 0 is 0."""
    categories: Ints
    """(I+1,), codes 1..C-1; entry 0 is 0."""
    jumps: Ints
    """(groups, C): after a category comes this one, group by group; 0 stays 0."""

    @property
    def num_categories(self) -> int:
        """Category codes, counting 0."""
        return int(self.jumps.shape[1])

    def keys(self) -> Floats:
        """(I+1, D + 1 + C): what a user's query is multiplied with to give logits."""
        one_hot = np.eye(self.num_categories, dtype=np.float32)[self.categories]
        return np.concatenate([self.vectors, self.log_popularity[:, None], one_hot], axis=1)


@dataclass(frozen=True)
class World:
    """A log, and the truth behind it that no model may see."""

    config: WorldConfig
    log: EventLog
    catalogue: Catalogue
    taste_group: Ints
    """(U,): 0 for the majority, 1.. for the minorities."""
    coefficients: Floats
    """(U, 4): columns POPULARITY, TASTE, RECENT, JUMP."""
    tastes: Floats
    """(E, D): the user's taste at the moment of each event."""

    def oracle(self, users: Longs, histories: Sequence[npt.NDArray[np.integer]]) -> Floats:
        """Logits (n, I+1) by which `users` would pick the item after `histories`: the best reachable ranking.

        Padding, and items that the user may not pick again, are -inf. A history is a whole one, oldest first;
        the taste is the one that the user had after as many events.
        """
        lengths = np.array([len(history) for history in histories], np.int64)
        spans = np.diff(self.log.offsets)[users]
        moments = self.log.offsets[users] + np.minimum(lengths, spans - 1)
        groups = self.taste_group[users]
        return self._logits(self.coefficients[users], groups, self.tastes[moments], histories)

    def majority_law(self, histories: Sequence[npt.NDArray[np.integer]]) -> Floats:
        """Logits (n, I+1) of the one law that everybody follows at `non_iid` 0, from the history alone."""
        n = len(histories)
        coefficients = np.tile(np.array(_MAJORITY, np.float32), (n, 1))
        return self._logits(coefficients, np.zeros(n, np.int32), None, histories)

    def _logits(
        self,
        coefficients: Floats,
        groups: Ints,
        tastes: Floats | None,
        histories: Sequence[npt.NDArray[np.integer]],
    ) -> Floats:
        vectors = self.catalogue.vectors
        sums = np.stack([vectors[history].sum(axis=0) for history in histories])
        recent = np.stack([_last(history) for history in histories])
        persistent = _persistent(tastes, sums, self.config.non_iid if tastes is not None else 0.0)
        queries = _queries(self.catalogue, coefficients, groups, persistent, recent)
        logits = queries @ self.catalogue.keys().T
        for row, history in zip(logits, histories, strict=True):
            row[history if not self.config.repeats else history[-1:]] = -np.inf
        logits[:, 0] = -np.inf
        return logits


def make_world(config: WorldConfig) -> World:
    """Make the world that `config` describes: the same seed gives the same bits."""
    rng = np.random.default_rng(config.seed)
    catalogue = _make_catalogue(config, rng)
    groups = _draw_groups(config, rng)
    coefficients = _draw_coefficients(config, groups, rng)
    counts = _draw_counts(config, rng)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    items, tastes = _live(config, catalogue, groups, coefficients, offsets, rng)
    times = _draw_times(counts, rng)
    profiles = _draw_profiles(config, groups, rng)
    log = _as_log(config, catalogue, items, offsets, times, profiles)
    return World(config, log, catalogue, groups, coefficients, tastes)


def _unit(vectors: npt.NDArray[np.floating]) -> Floats:
    """Scale rows to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _make_catalogue(config: WorldConfig, rng: np.random.Generator) -> Catalogue:
    n, c = config.num_items, config.num_categories
    categories = np.concatenate([[0], 1 + rng.permutation(n) % c]).astype(np.int32)
    centres = _unit(rng.normal(size=(c + 1, config.latent_width)))
    offsets = _ITEM_SPREAD * _unit(rng.normal(size=(n + 1, config.latent_width)))
    vectors = _unit(centres[categories] + offsets)
    vectors[0] = 0
    pull = -config.zipf_exponent * np.log(1 + rng.permutation(n))
    log_popularity = np.concatenate([[0], pull - pull.mean()]).astype(np.float32)
    jumps = np.zeros((config.num_minorities + 1, c + 1), np.int32)
    for group in range(1, config.num_minorities + 1):
        jumps[group, 1:] = _cycle(c, rng)
    return Catalogue(vectors, log_popularity, categories, jumps)


def _cycle(c: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One cycle through categories 1..c, so that a jump leaves its category (if there is another)."""
    order = 1 + rng.permutation(c)
    successor = np.empty(c, np.int64)
    successor[order - 1] = np.roll(order, -1)
    return successor


def _draw_groups(config: WorldConfig, rng: np.random.Generator) -> Ints:
    """Exactly `minority_share` of the users, dealt evenly to the minorities."""
    groups = np.zeros(config.num_users, np.int32)
    num_minority = round(config.minority_share * config.num_users)
    groups[:num_minority] = 1 + np.arange(num_minority) % config.num_minorities
    return rng.permutation(groups)


def _draw_coefficients(config: WorldConfig, groups: Ints, rng: np.random.Generator) -> Floats:
    majority = np.array(_MAJORITY)
    kinds = np.array(_MINORITIES)[np.arange(config.num_minorities) % len(_MINORITIES)]
    by_group = np.concatenate([majority[None], kinds])[groups]
    individual = rng.normal(size=by_group.shape) * _INDIVIDUAL
    coefficients: Floats = (majority + config.non_iid * (by_group - majority + individual)).astype(np.float32)
    return coefficients


def _draw_counts(config: WorldConfig, rng: np.random.Generator) -> Longs:
    """Events per user: `min_events` plus a lognormal; at most half of the items, so that choice remains."""
    scale = max(config.mean_events - config.min_events, 1e-9)
    mu = np.log(scale) - config.activity_sigma**2 / 2
    extra = rng.lognormal(mu, config.activity_sigma, size=config.num_users)
    counts = config.min_events + np.round(extra)
    return np.minimum(counts, config.num_items // 2).astype(np.int64)


def _live(
    config: WorldConfig,
    catalogue: Catalogue,
    groups: Ints,
    coefficients: Floats,
    offsets: Longs,
    rng: np.random.Generator,
) -> tuple[Ints, Floats]:
    """Let all users choose, event after event: items (E,) and the taste at each event (E, D)."""
    counts = np.diff(offsets)
    order = np.argsort(-counts, kind="stable")  # the most active first: whoever is still active is a prefix
    counts, starts = counts[order], offsets[:-1][order]
    groups, coefficients = groups[order], coefficients[order]
    keys = np.ascontiguousarray(catalogue.keys().T)
    tastes = _unit(rng.normal(size=(len(counts), config.latent_width)))
    sums = np.zeros_like(tastes)
    recent = np.zeros((len(counts), _NUM_RECENT), np.int32)
    closed = np.zeros((len(counts), config.num_items + 1), bool)
    closed[:, 0] = True
    items = np.zeros(offsets[-1], np.int32)
    path = np.zeros((offsets[-1], config.latent_width), np.float32)
    for step in range(counts[0]):
        n = int(np.searchsorted(-counts, -step, side="left"))  # users with more than `step` events
        rows = np.arange(n)
        path[starts[:n] + step] = tastes[:n]
        persistent = _persistent(tastes[:n], sums[:n], config.non_iid)
        queries = _queries(catalogue, coefficients[:n], groups[:n], persistent, recent[:n])
        picked = _sample(queries @ keys, closed[:n], rng)
        items[starts[:n] + step] = picked
        if config.repeats:
            closed[rows, recent[:n, 0]] = False
            closed[:, 0] = True
        closed[rows, picked] = True
        sums[:n] += catalogue.vectors[picked]
        recent[:n] = np.concatenate([picked[:, None], recent[:n, :-1]], axis=1)
        tastes[:n] = _drift(tastes[:n], config.taste_drift, rng)
    return items, path


def _persistent(tastes: Floats | None, sums: Floats, non_iid: float) -> Floats:
    """(n, D): what the user likes in the long run.

    At non_iid 0 it is the direction of the whole history, the same function for everybody; at 1 it is the
    user's own hidden taste.
    """
    if tastes is None:
        return _unit(sums)
    return (non_iid * tastes + (1 - non_iid) * _unit(sums)).astype(np.float32)


def _queries(
    catalogue: Catalogue, coefficients: Floats, groups: Ints, persistent: Floats, recent: Ints
) -> Floats:
    """(n, D + 1 + C): the law of choice, linear in `Catalogue.keys`; `recent` (n, K) is newest first."""
    lately = _unit((catalogue.vectors[recent] * _RECENCY[:, None]).sum(axis=1))
    direction = coefficients[:, TASTE, None] * persistent + coefficients[:, RECENT, None] * lately
    targets = catalogue.jumps[groups, catalogue.categories[recent[:, 0]]]
    jump = np.zeros((len(groups), catalogue.num_categories), np.float32)
    jump[np.arange(len(groups)), targets] = coefficients[:, JUMP]
    return np.concatenate([direction, coefficients[:, POPULARITY, None], jump], axis=1)


def _sample(logits: Floats, closed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """One item per row by softmax over the items that are not closed (inverse of the cumulated weights)."""
    logits[closed] = -np.inf
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    cumulated = np.cumsum(weights, axis=1)
    # In (0, total]: the first place that reaches it has a weight above zero, so no closed item is picked.
    reached = (1 - rng.random((len(logits), 1), dtype=np.float32)) * cumulated[:, -1:]
    picked: Ints = (cumulated < reached).sum(axis=1, dtype=np.int32)
    return picked


def _drift(tastes: Floats, angle: float, rng: np.random.Generator) -> Floats:
    """Turn each taste by about `angle` in a random direction."""
    return _unit(tastes + angle * _unit(rng.normal(size=tastes.shape)))


def _last(history: npt.NDArray[np.integer]) -> Ints:
    """(K,): the last items, newest first, 0 where there are fewer."""
    recent = np.zeros(_NUM_RECENT, np.int32)
    newest = history[: -_NUM_RECENT - 1 : -1]
    recent[: len(newest)] = newest
    return recent


def _draw_times(counts: Longs, rng: np.random.Generator) -> Longs:
    """Seconds (E,): users arrive over a season; gaps are irregular, from minutes to weeks."""
    starts = np.repeat(_START + rng.uniform(0, 90 * _DAY, size=len(counts)), counts)
    gaps = 1 + rng.lognormal(np.log(_DAY / 8), 1.5, size=counts.sum())
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    elapsed = np.cumsum(gaps)
    times: Longs = (starts + elapsed - elapsed[firsts]).astype(np.int64)
    return times


def _draw_profiles(config: WorldConfig, groups: Ints, rng: np.random.Generator) -> Ints:
    """(U, F): a field tells the group with probability `profile_signal`, else it is uniform; some unknown."""
    columns = []
    for size in _PROFILE_FIELDS.values():
        telling = rng.random(len(groups)) < config.profile_signal
        values = np.where(telling, 1 + groups % size, rng.integers(1, size + 1, size=len(groups)))
        values[rng.random(len(groups)) < _PROFILE_UNKNOWN] = 0
        columns.append(values)
    return np.stack(columns, axis=1).astype(np.int32)


def _as_log(
    config: WorldConfig, catalogue: Catalogue, items: Ints, offsets: Longs, times: Longs, profiles: Ints
) -> EventLog:
    return build_log(
        name=f"world-{config.seed}",
        items=items,
        offsets=offsets,
        times=times,
        categories=catalogue.categories,
        num_categories=catalogue.num_categories,
        profiles=profiles,
        profile_names=tuple(_PROFILE_FIELDS),
        profile_sizes=[size + 1 for size in _PROFILE_FIELDS.values()],
        user_ids=[f"user-{u}" for u in range(1, config.num_users + 1)],
        item_ids=["", *(f"item-{i}" for i in range(1, config.num_items + 1))],
    )
