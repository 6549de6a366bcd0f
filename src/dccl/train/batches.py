"""From windows of events to tensors: candidates, labels and weights of a training batch.

Shape letters: B windows · Q scored events · N candidates (the positive first, then the negatives).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dccl.data.log import EventLog
from dccl.data.sampler import NegativeSampler
from dccl.data.windows import Windows, gather
from dccl.models.contract import Codes


@dataclass(frozen=True)
class TrainBatch:
    """Windows with their candidates, ready for a loss."""

    codes: Codes
    labels: Tensor
    """(B, Q, N) float32: 1 for the event that happened, 0 for the negatives."""
    weights: Tensor
    """(B, Q, N) float32: 0 for padding."""
    user: Tensor
    """(B,) int64: whose window it is."""


class BatchSource:
    """Makes training batches of one log; negatives are drawn anew each time.

    Args:
        log: training events only.
        history_length: L.
        num_negatives: per scored event.
        negative_weight: of each negative, where a positive weighs 1. A device that draws more negatives than the
            backbone was fitted with (they steady its gradient) must weigh them less, or its patch would mostly learn
            another share of positives.
    """

    def __init__(
        self, log: EventLog, history_length: int, num_negatives: int, negative_weight: float = 1.0
    ) -> None:
        self._negative_weight = negative_weight
        self.log = log
        self.history_length = history_length
        self.num_negatives = num_negatives
        self._sampler = NegativeSampler(log)
        self._profiles = np.asarray(log.profiles, dtype=np.int64)

    def batch(self, windows: Windows, rng: np.random.Generator) -> TrainBatch:
        """Gather `windows` and draw their negatives."""
        piece = gather(self.log, windows, self.history_length)
        rows, places = piece.positives.shape
        negatives, good = self._sampler.draw(piece.user, places, self.num_negatives, rng)
        candidates = np.concatenate([piece.positives[:, :, None], negatives], axis=2)
        weights = np.concatenate([np.ones((rows, places, 1), dtype=np.bool_), good], axis=2)
        weights &= piece.valid[:, :, None]
        labels = np.zeros(candidates.shape, dtype=np.float32)
        labels[:, :, 0] = 1.0
        codes = Codes(
            torch.from_numpy(piece.history),
            torch.from_numpy(piece.age),
            torch.from_numpy(candidates),
            torch.from_numpy(self._profiles[piece.user]),
        )
        return TrainBatch(
            codes,
            torch.from_numpy(labels),
            torch.from_numpy(self._weighed(weights)),
            torch.from_numpy(piece.user),
        )

    def epoch(self, windows: Windows, batch_size: int, rng: np.random.Generator) -> Iterator[TrainBatch]:
        """All of `windows` once, in shuffled batches."""
        for rows in shuffled(windows, batch_size, rng):
            yield self.batch(windows[rows], rng)

    def _weighed(self, counts: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        weights = counts.astype(np.float32)
        weights[:, :, 1:] *= self._negative_weight
        return weights


def shuffled(windows: Windows, batch_size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Rows of one epoch's batches: windows of like length together (little padding), batches in random order."""
    length = (windows.stop - windows.first) + 0.001 * (windows.stop - windows.start)
    order = np.lexsort((rng.random(len(windows)), length))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def in_order(count: int, batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows 0..count-1 in batches, for passes whose order does not matter."""
    for start in range(0, count, batch_size):
        yield np.arange(start, min(start + batch_size, count))
