"""Users by activity: equal groups from the least to the most active, and the two ends of the line.

A mean over all users hides who pays for it: a model that serves the active majority better and the rare
tastes worse looks like progress. So every result is also told by group.
"""

import numpy as np
import numpy.typing as npt

from dccl.wire.results import GroupRecord

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NUM_GROUPS = 20
MIN_GROUP_USERS = 10
"""Below this a group's mean AUC says more about who fell into it than about the model: with a spread of 0.2
between users, ten of them leave a standard error of 0.06. So 20 groups need 200 users, and fewer users get
fewer groups."""


def activity_groups(num_train_events: Counts, num_groups: int = NUM_GROUPS) -> Counts:
    """Group 0..G-1 of each user, (n,) int64; 0 is the least active.

    Users are sorted by training events, stably, and cut into groups whose sizes differ by at most one. So
    users with the same number of events may fall on both sides of a cut, in the order they are listed in.
    G is `num_groups`, or fewer so that a group has at least MIN_GROUP_USERS users; never less than one.

    Args:
        num_train_events: (n,) events that each evaluated user trains on (not validation, not test).
        num_groups: how many groups enough users are cut into.
    """
    num_users = len(num_train_events)
    num_groups = max(1, min(num_groups, num_users // MIN_GROUP_USERS))
    group_of = np.empty(num_users, dtype=np.int64)
    group_of[_by_activity(num_train_events)] = np.arange(num_users) * num_groups // max(1, num_users)
    return group_of


def group_records(num_train_events: Counts, group_of: Counts) -> list[GroupRecord]:
    """Size and range of training events of each group, as in `metrics.json`."""
    records = []
    for group in range(int(group_of.max(initial=-1)) + 1):
        events = num_train_events[group_of == group]
        records.append(
            GroupRecord(n_users=len(events), min_events=int(events.min()), max_events=int(events.max()))
        )
    return records


def head_and_tail(num_train_events: Counts) -> dict[str, Mask]:
    """`head`: the most active fifth of the users, `tail`: the least active fifth, masks (n,).

    At least one user each; the same order as `activity_groups`, so with 20 groups the tail is groups 0 to 3.
    """
    num_users = len(num_train_events)
    fifth = max(1, num_users // 5)
    order = _by_activity(num_train_events)
    head, tail = np.zeros(num_users, dtype=np.bool_), np.zeros(num_users, dtype=np.bool_)
    head[order[-fifth:]] = True
    tail[order[:fifth]] = True
    return {"head": head, "tail": tail}


def _by_activity(num_train_events: Counts) -> npt.NDArray[np.intp]:
    return np.argsort(num_train_events, kind="stable")
