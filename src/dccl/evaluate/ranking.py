"""Where each user's held-out item stands among its candidates, without help from ties or from NaN.

Shape letters: n users, N candidates per user beside the positive.

Two traps made the numbers of others wrong, and both end here. A positive that is listed first and ranked with
a stable sort wins every tie, so a model that says the same of all items scores HR@1 = 1. A NaN compares false
with everything, so a positive with the score NaN, counted by `others > positive`, stands first as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dccl.wire.errors import DcclError

Scores = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]


class ScoreError(DcclError):
    """A model's scores cannot be ranked: NaN, infinite, or nothing to rank against."""


@dataclass(frozen=True)
class Places:
    """The place of each user's positive: behind `better` candidates, level with `ties`, of `total` others.

    A positive level with t others takes each of the places better..better+t (counted from 0) with the same
    probability; every metric is its expectation over these places. All three are int64 (n,).
    """

    better: Counts
    ties: Counts
    total: Counts

    @classmethod
    def joined(cls, parts: Iterable["Places"]) -> "Places":
        """Batches of users, one after the other, as one."""
        better, ties, total = zip(*((p.better, p.ties, p.total) for p in parts), strict=True)
        return cls(np.concatenate(better), np.concatenate(ties), np.concatenate(total))

    @property
    def mid_rank(self) -> npt.NDArray[np.float64]:
        """The mean of the tied places, counted from 1, (n,)."""
        return 1.0 + self.better + 0.5 * self.ties

    def __len__(self) -> int:
        return len(self.better)


def places(positive: Scores, others: Scores, excluded: npt.NDArray[np.bool_] | None = None) -> Places:
    """Count who stands above and beside each user's positive.

    Args:
        positive: (n,) score of each user's held-out item, from the same forward pass as `others`: a second
            pass in another batch shape may differ in the last bit and break a tie.
        others: (n, N) scores of the candidates; the positive itself must not be among them ...
        excluded: (n, N) ... unless it is marked here, with the items the user met. Scores of excluded
            candidates are not looked at (they may be NaN or -inf). None: every candidate counts.

    Raises:
        ScoreError: a score that counts is NaN or infinite, a user has no candidate left (the message
            names the row), or shapes or dtypes do not match.
    """
    _check_match(positive, others, excluded)
    _check_finite(positive, others, excluded)
    above, level = others > positive[:, None], others == positive[:, None]
    if excluded is None:
        total = np.full(len(positive), others.shape[1], dtype=np.int64)
    else:
        allowed = ~excluded
        above &= allowed
        level &= allowed
        total = np.count_nonzero(allowed, axis=1)
    if (empty := np.flatnonzero(total == 0)).size:
        raise ScoreError(
            f"user row {empty[0]} ({empty.size} in all) has no candidate beside the positive: every item is "
            "excluded. Leave users who met all items out of the evaluation"
        )
    return Places(np.count_nonzero(above, axis=1), np.count_nonzero(level, axis=1), total)


def _check_match(positive: Scores, others: Scores, excluded: npt.NDArray[np.bool_] | None) -> None:
    if positive.ndim != 1 or others.ndim != 2 or len(others) != len(positive):
        raise ScoreError(
            f"positive and others must be (n,) and (n, N), not {positive.shape} and {others.shape}: score "
            "one positive and one row of candidates per user"
        )
    if positive.dtype != others.dtype:  # 0.1 in float32 is not level with 0.1 in float64: ties would be lost
        raise ScoreError(
            f"positive is {positive.dtype} and others are {others.dtype}: use both as the model gave them, "
            "without a cast of one"
        )
    if excluded is not None and excluded.shape != others.shape:
        raise ScoreError(f"excluded must have the shape of others {others.shape}, not {excluded.shape}")


def _check_finite(positive: Scores, others: Scores, excluded: npt.NDArray[np.bool_] | None) -> None:
    if not (finite := np.isfinite(positive)).all():
        row = int(np.argmin(finite))
        raise ScoreError(_not_finite(f"the positive of user row {row}", positive[row]))
    if (finite_others := np.isfinite(others)).all():
        return
    if excluded is not None:
        finite_others |= excluded
    rows, columns = np.nonzero(~finite_others)
    if rows.size:
        place = f"candidate {columns[0]} of user row {rows[0]}"
        raise ScoreError(_not_finite(place, others[rows[0], columns[0]]))


def _not_finite(what: str, score: np.floating[Any]) -> str:
    return (
        f"the score of {what} is {score}, which has no place in a ranking. The model has diverged: lower its "
        "learning rate or its inner step size, or clip its gradients, and train again"
    )
