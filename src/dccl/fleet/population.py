"""The state of a fleet: every device's surrogate, and whether its guard lets the patch through."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Population:
    """Row u is the device of user u."""

    surrogates: npt.NDArray[np.float32]
    """(U, K); 0 for a device that has not trained."""
    serving: npt.NDArray[np.bool_]
    """(U,): the guard let the patch through."""

    @classmethod
    def untrained(cls, num_users: int, surrogate_width: int) -> "Population":
        """Everybody on the cloud model."""
        surrogates = np.zeros((num_users, surrogate_width), np.float32)
        return cls(surrogates, np.zeros(num_users, np.bool_))

    def served(self) -> Tensor:
        """(U, K): the surrogates in use; a device whose guard said no has 0, which is exactly the cloud model."""
        return torch.from_numpy(np.where(self.serving[:, None], self.surrogates, np.float32(0)))

    def serving_share(self) -> float:
        """Share of devices that serve their patch."""
        return float(self.serving.mean())

    def median_norm(self) -> float:
        """Median Euclidean norm of the trained surrogates."""
        norms = np.linalg.norm(self.surrogates, axis=1)
        return float(np.median(norms[norms > 0])) if (norms > 0).any() else 0.0
