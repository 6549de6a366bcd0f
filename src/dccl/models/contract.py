"""What every backbone promises, so that the method, the fleet and the exporters need to know no model.

Shape letters: B rows (one user's window each) · L history positions · Q query positions (1 when serving; one per
scored event when a whole sequence is trained at once) · N candidates · D item width · F profile fields.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

Patch = Callable[[str, Tensor], Tensor]
"""`patch(junction, x)` returns what takes the place of `x` at the named junction; same shape."""


class Junction(NamedTuple):
    """A named place in a backbone where a patch may sit."""

    width: int
    """Size of the last axis there."""
    below_pooling: bool
    """True if the work after it includes the attention, so that a patch here makes every local step dearer."""


class Codes(NamedTuple):
    """A batch as integer codes, before the embedding look-up; code 0 is padding or unknown."""

    history: Tensor
    """(B, L) int64 item codes, oldest first, padded on the left or the right with 0."""
    age: Tensor
    """(B, Q, L) int64: how many events before the query position (1 = the last one); 0 = not visible to it."""
    candidates: Tensor
    """(B, Q, N) int64 item codes."""
    profile: Tensor
    """(B, F) int64 profile codes; F may be 0."""


class Inputs(NamedTuple):
    """A batch after the look-up: what the device graph is fed."""

    history: Tensor
    """(B, L, D) rows of the item table."""
    age: Tensor
    """(B, Q, L) as in `Codes`."""
    candidates: Tensor
    """(B, Q, N, D) rows of the item table."""
    profile: Tensor
    """(B, P) profile vector; P may be 0."""


class Features(NamedTuple):
    """What stands after the pooling; computed once where no patch lies below it."""

    target: Tensor
    """(B, Q, N, D) the candidate, transformed."""
    interest: Tensor
    """(B, Q, N, D) the history, pooled for that candidate."""
    profile: Tensor
    """(B, P)."""


class Backbone(Protocol):
    """A ranking model in three parts: look-up (front), pooling, head."""

    @property
    def junctions(self) -> Mapping[str, Junction]:
        """Every place where a patch may sit, in the order of the forward pass."""
        ...

    def look_up(self, codes: Codes) -> Inputs:
        """Gather embedding rows; stays outside the device graph."""
        ...

    def pool(self, inputs: Inputs, patch: Patch | None = None) -> Features:
        """Everything up to the pooled history."""
        ...

    def head(self, features: Features, patch: Patch | None = None) -> Tensor:
        """From pooled features to logits (B, Q, N)."""
        ...

    def __call__(self, inputs: Inputs, patch: Patch | None = None) -> Tensor:
        """Logits (B, Q, N): `head(pool(inputs))`."""
        ...


def unpatched(junction: str, x: Tensor) -> Tensor:
    """The patch that changes nothing: a plain backbone."""
    return x
