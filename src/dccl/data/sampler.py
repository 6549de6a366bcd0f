"""Training negatives: items that a user has not met, drawn while training."""

import numpy as np
import numpy.typing as npt

from dccl.data.log import EventLog

_ROUNDS = 6


class NegativeSampler:
    """Draws uniform negatives from the catalogue minus the items in the log that it was given.

    Give it the training log only: the held-out items must stay possible negatives, or a model with parameters
    per user learns them by their absence (a trap that gave peers a hit rate of 1.0).
    """

    def __init__(self, log: EventLog) -> None:
        self._stride = log.num_items + 1
        users = np.repeat(np.arange(log.num_users), np.diff(log.offsets))
        self._met = np.unique(users * self._stride + log.items)

    def met(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each user met each item; `users` broadcasts against `items`."""
        keys = users * self._stride + items
        places = np.searchsorted(self._met, keys).clip(max=len(self._met) - 1)
        found: npt.NDArray[np.bool_] = self._met[places] == keys
        return found

    def draw(
        self, users: npt.NDArray[np.int64], places: int, num: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Draw `num` negatives for each of `places` scored events of each user.

        Returns:
            item codes (B, places, num) int64, and a mask that is False where no unmet item was found within a
            few draws (a user who met nearly everything): such a candidate must weigh nothing.
        """
        owner = np.repeat(users, places * num)
        items = rng.integers(1, self._stride, size=len(owner))
        open_ = np.flatnonzero(self.met(owner, items))
        for _ in range(_ROUNDS):
            if not len(open_):
                break
            items[open_] = rng.integers(1, self._stride, size=len(open_))
            open_ = open_[self.met(owner[open_], items[open_])]
        good = np.ones(len(owner), dtype=np.bool_)
        good[open_] = False
        shape = (len(users), places, num)
        return items.reshape(shape), good.reshape(shape)
