"""Scores for everybody's next event, each user with the own patch.

Shape letters: n users · N candidates · I items.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dccl.data.log import EventLog
from dccl.data.windows import gather, next_event_windows
from dccl.method.metapatch import Basis
from dccl.models.contract import Backbone, Codes
from dccl.train.batches import in_order

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Patches:
    """Whose patch goes on whom."""

    basis: Basis
    surrogates: Tensor
    """(U, K), 0 = the cloud model."""


@dataclass(frozen=True)
class Ranker:
    """Scores candidates for the event after the last one in `log`."""

    backbone: Backbone
    log: EventLog
    """What the model may see as history."""
    history_length: int
    patches: Patches | None = None

    def scores(self, users: Ints, candidates: Ints, batch_size: int = 256) -> Floats:
        """Logits (n, N) of each user's own candidates (n, N)."""
        parts = [
            self._batch(users[rows], torch.from_numpy(candidates[rows].astype(np.int64)))
            for rows in in_order(len(users), batch_size)
        ]
        return np.concatenate(parts)

    def full_scores(self, users: Ints, batch_cells: int = 120_000) -> Iterator[tuple[Ints, Floats]]:
        """Batches of (rows, logits (rows, I)) over the whole catalogue, item code 1 first.

        Args:
            users: (n,).
            batch_cells: users times items per batch, which bounds memory.
        """
        catalogue = torch.arange(1, self.log.num_items + 1)[None]
        for rows in in_order(len(users), max(1, batch_cells // self.log.num_items)):
            yield rows, self._batch(users[rows], catalogue.expand(len(rows), -1))

    def _batch(self, users: Ints, candidates: Tensor) -> Floats:
        piece = gather(
            self.log, next_event_windows(self.log, users, self.history_length), self.history_length
        )
        codes = Codes(
            torch.from_numpy(piece.history),
            torch.from_numpy(piece.age),
            candidates[:, None],
            torch.from_numpy(self.log.profiles[users].astype(np.int64)),
        )
        with torch.inference_mode():
            patch = None
            if self.patches is not None:
                patch = self.patches.basis.patch(self.patches.surrogates[torch.from_numpy(users)])
            logits: Floats = self.backbone(self.backbone.look_up(codes), patch)[:, 0].numpy()
        return logits
