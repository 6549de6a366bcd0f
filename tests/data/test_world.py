"""The synthetic world keeps its promises: a test may rely on who should gain, and by how much."""

import time

import numpy as np
import pytest

from dccl.data.world import JUMP, POPULARITY, RECENT, TASTE, TINY, World, WorldConfig, make_world
from dccl.wire.errors import ConfigError

SMALL = WorldConfig(num_users=300, num_items=200, num_categories=10, mean_events=30.0)


def _changed(config: WorldConfig, **changes: object) -> WorldConfig:
    return WorldConfig(**({key: getattr(config, key) for key in config.__struct_fields__} | changes))


@pytest.fixture(scope="module")
def small() -> World:
    return make_world(SMALL)


@pytest.fixture(scope="module")
def alike() -> World:
    return make_world(_changed(SMALL, non_iid=0.0))


def _histories(world: World, users: np.ndarray) -> list[np.ndarray]:
    """Everything before each user's last event."""
    offsets = world.log.offsets
    return [world.log.items[offsets[u] : offsets[u + 1] - 1] for u in users]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _share_in_top(scores: np.ndarray, chosen: np.ndarray, k: int) -> float:
    """How often the chosen item is among the k best of the catalogue."""
    own = scores[np.arange(len(chosen)), chosen]
    return float(((scores > own[:, None]).sum(axis=1) < k).mean())


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not() -> None:
    first, again, other = make_world(TINY), make_world(TINY), make_world(_changed(TINY, seed=1))
    for name in ("items", "offsets", "times", "categories", "profiles"):
        assert getattr(first.log, name).tobytes() == getattr(again.log, name).tobytes(), name
    for name in ("taste_group", "coefficients", "tastes"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes(), name
    assert first.log.checksum == again.log.checksum
    assert first.log.checksum != other.log.checksum


def test_the_tiny_world_is_made_fast_enough_for_every_test() -> None:
    start = time.perf_counter()
    make_world(TINY)
    assert time.perf_counter() - start < 0.3


def test_codes_and_shapes_are_those_of_a_log(small: World) -> None:
    log = small.log
    assert log.num_users == 300
    assert log.num_items == 200
    assert log.items.min() >= 1
    assert log.items.max() <= 200
    assert log.offsets[-1] == log.num_events == len(log.times)
    assert log.categories.max() == 10 == log.num_categories - 1
    assert log.categories[0] == 0
    assert log.profiles.shape == (300, 3)
    assert all(log.profiles[:, f].max() < size for f, size in enumerate(log.profile_sizes))
    assert log.item_ids[0] == ""
    assert len(log.item_ids) == 201


def test_users_spread_over_the_groups_as_asked() -> None:
    world = make_world(_changed(TINY, num_users=400, minority_share=0.4, num_minorities=4))
    assert np.bincount(world.taste_group).tolist() == [240, 40, 40, 40, 40]


def test_activity_has_the_asked_mean_a_minimum_and_a_long_tail() -> None:
    config = _changed(TINY, num_users=4000, num_items=400, mean_events=25.0, min_events=5)
    counts = np.diff(make_world(config).log.offsets)
    assert counts.min() >= 5
    assert counts.max() <= 200  # half of the items
    assert counts.mean() == pytest.approx(25, rel=0.06)
    assert np.median(counts) < 0.8 * counts.mean()
    assert counts.max() > 5 * counts.mean()


def test_popularity_is_long_tailed() -> None:
    config = _changed(SMALL, num_items=400)
    met = np.sort(np.bincount(make_world(config).log.items, minlength=401)[1:])[::-1]
    assert met[:80].sum() > 0.4 * met.sum()  # the top fifth
    assert met[200:].sum() < 0.35 * met.sum()  # the bottom half


def test_popularity_follows_the_zipf_exponent_when_nothing_else_pulls() -> None:
    catalogue = make_world(_changed(TINY, zipf_exponent=1.5)).catalogue
    ranked = np.sort(catalogue.log_popularity[1:])[::-1]
    assert ranked[0] - ranked[9] == pytest.approx(1.5 * np.log(10), rel=1e-5)


def test_no_item_comes_twice_unless_repeats_are_allowed(small: World) -> None:
    for user in range(small.log.num_users):
        items = small.log.items[small.log.offsets[user] : small.log.offsets[user + 1]]
        assert len(set(items.tolist())) == len(items)


def test_repeats_come_when_allowed_but_never_twice_in_a_row() -> None:
    world = make_world(_changed(TINY, repeats=True, mean_events=30.0))
    repeated = 0
    for user in range(world.log.num_users):
        items = world.log.items[world.log.offsets[user] : world.log.offsets[user + 1]]
        assert (items[1:] != items[:-1]).all()
        assert (items > 0).all()
        repeated += len(items) - len(set(items.tolist()))
    assert repeated > 100


def test_times_go_forward_in_irregular_steps(small: World) -> None:
    offsets, times = small.log.offsets, small.log.times
    gaps = np.concatenate([np.diff(times[offsets[u] : offsets[u + 1]]) for u in range(small.log.num_users)])
    assert gaps.min() > 0
    assert gaps.std() > gaps.mean()
    assert times.min() > 1_500_000_000
    assert times.max() < 2_000_000_000


def test_the_oracle_is_the_formula_worked_by_a_plain_loop(small: World) -> None:
    user = int(np.flatnonzero(small.taste_group == 2)[0])  # a jumper: every term is in play
    (history,) = _histories(small, np.array([user]))
    vectors, coefficients = small.catalogue.vectors, small.coefficients[user]
    taste = small.tastes[small.log.offsets[user] + len(history)]
    lately = vectors[history[-1]] + 0.6 * vectors[history[-2]] + 0.36 * vectors[history[-3]]
    lately = lately / np.sqrt((lately**2).sum())
    target = small.catalogue.jumps[2, small.log.categories[history[-1]]]
    (logits,) = small.oracle(np.array([user]), [history])
    for item in range(1, small.log.num_items + 1):
        if item in history:
            assert logits[item] == -np.inf
            continue
        expected = coefficients[POPULARITY] * small.catalogue.log_popularity[item]
        expected += coefficients[TASTE] * (taste * vectors[item]).sum()
        expected += coefficients[RECENT] * (lately * vectors[item]).sum()
        expected += coefficients[JUMP] * (small.log.categories[item] == target)
        assert logits[item] == pytest.approx(expected, abs=1e-4)
    assert logits[0] == -np.inf


def test_users_choose_by_the_oracle_probabilities(small: World) -> None:
    """The mean surprise of the choices is the mean entropy of the oracle, or one of the two is wrong."""
    users = np.repeat(np.arange(small.log.num_users), 3)
    starts = small.log.offsets[users]
    lengths = np.tile([1, 2, 4], small.log.num_users)
    histories = [small.log.items[s : s + n] for s, n in zip(starts, lengths, strict=True)]
    log_p = _log_softmax(small.oracle(users, histories))
    chosen = log_p[np.arange(len(users)), small.log.items[starts + lengths]]
    finite = np.where(np.isfinite(log_p), log_p, 0)
    entropy = -(np.exp(log_p) * finite).sum(axis=1)
    difference = -chosen - entropy
    assert abs(difference.mean()) < 3.5 * difference.std() / np.sqrt(len(users))


def test_the_oracle_ranks_the_next_item_far_better_than_popularity(small: World) -> None:
    users = np.arange(small.log.num_users)
    chosen = small.log.items[small.log.offsets[1:] - 1]
    oracle = small.oracle(users, _histories(small, users))
    popularity = np.where(np.isfinite(oracle), np.bincount(small.log.items, minlength=201)[None], -np.inf)
    assert _share_in_top(oracle, chosen, 20) > 1.5 * _share_in_top(popularity, chosen, 20)


def test_at_non_iid_0_everybody_follows_one_law_given_the_history(alike: World) -> None:
    users = np.arange(alike.log.num_users)
    histories = _histories(alike, users)
    swapped = np.roll(users, 1)
    assert (alike.taste_group[users] != alike.taste_group[swapped]).sum() > 50
    own = alike.oracle(users, histories)
    np.testing.assert_array_equal(own, alike.oracle(swapped, histories))
    np.testing.assert_array_equal(own, alike.majority_law(histories))


def test_at_non_iid_1_minorities_answer_the_same_history_the_other_way(small: World) -> None:
    majority, novelty, niche = (np.flatnonzero(small.taste_group == group) for group in (0, 1, 3))
    assert small.coefficients[majority, RECENT].mean() > 2
    assert small.coefficients[novelty, RECENT].mean() < -2
    assert small.coefficients[majority, POPULARITY].mean() > 0.5
    assert small.coefficients[niche, POPULARITY].mean() < -0.5
    history = _histories(small, majority[:1])
    free = np.isfinite(small.majority_law(history)[0])
    closeness = small.catalogue.vectors[free] @ small.catalogue.vectors[history[0][-1]]
    by_minority = np.corrcoef(small.oracle(novelty[:1], history)[0, free], closeness)[0, 1]
    by_majority = np.corrcoef(small.majority_law(history)[0, free], closeness)[0, 1]
    assert by_minority < 0 < by_majority


def test_jumpers_follow_their_groups_cycle_through_the_categories(small: World) -> None:
    kinds, log = small.log.categories[small.log.items], small.log

    def share_of_jumps(group: int, cycle: int) -> float:
        hits = total = 0
        for user in np.flatnonzero(small.taste_group == group):
            own = kinds[log.offsets[user] : log.offsets[user + 1]]
            hits += (own[1:] == small.catalogue.jumps[cycle, own[:-1]]).sum()
            total += len(own) - 1
        return hits / total

    assert share_of_jumps(group=2, cycle=2) > 0.5
    assert share_of_jumps(group=0, cycle=2) < 0.25
    assert sorted(small.catalogue.jumps[2, 1:]) == list(range(1, 11))
    assert (small.catalogue.jumps[2, 1:] != np.arange(1, 11)).all()


def test_only_the_truth_about_a_minority_user_beats_the_majority_law(small: World) -> None:
    chosen = small.log.items[small.log.offsets[1:] - 1]
    users = np.arange(small.log.num_users)
    histories = _histories(small, users)
    minority = small.taste_group > 0
    oracle, shared = small.oracle(users, histories), small.majority_law(histories)
    gain = {
        name: _share_in_top(oracle[who], chosen[who], 20) - _share_in_top(shared[who], chosen[who], 20)
        for name, who in (("minority", minority), ("majority", ~minority))
    }
    assert gain["minority"] > 0.2
    assert gain["minority"] > gain["majority"] + 0.1


@pytest.mark.parametrize(("drift", "low", "high"), [(0.0, 0.999, 1.001), (0.05, 0.9, 0.99), (0.3, -0.3, 0.7)])
def test_drift_turns_taste_as_far_as_set(drift: float, low: float, high: float) -> None:
    config = _changed(TINY, num_users=300, min_events=30, mean_events=30.0, num_items=100, taste_drift=drift)
    world = make_world(config)
    first, last = world.tastes[world.log.offsets[:-1]], world.tastes[world.log.offsets[:-1] + 29]
    assert np.linalg.norm(world.tastes, axis=1) == pytest.approx(1, abs=1e-5)
    assert low < (first * last).sum(axis=1).mean() < high


@pytest.mark.parametrize("signal", [0.0, 0.5, 1.0])
def test_profiles_tell_the_group_as_often_as_set(signal: float) -> None:
    world = make_world(_changed(TINY, num_users=6000, mean_events=5.0, profile_signal=signal))
    for field, size in enumerate((6, 2, 8)):
        telling = world.log.profiles[:, field] == 1 + world.taste_group % size
        expected = 0.95 * (signal + (1 - signal) / size)  # one in twenty is unknown
        assert telling.mean() == pytest.approx(expected, abs=0.02)
    assert (world.log.profiles == 0).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"non_iid": 1.5}, "world.non_iid"),
        ({"minority_share": -0.1}, "world.minority_share"),
        ({"num_users": 0}, "world.num_users"),
        ({"mean_events": 3.0}, "world.mean_events"),
        ({"num_items": 8}, "world.num_items"),
    ],
)
def test_a_world_that_cannot_be_made_is_refused_by_key(changes: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        _changed(TINY, **changes)
