"""DIN, the Deep Interest Network.

Sources: Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018 (MLP attention);
the scaled dot-product form with one transform for the target and one for the history is the one that the
paper's group publishes with its later work.

Differs: an optional learned bias by the age of a history event (1 = the last one) is added to the attention
logits, because plain DIN cannot tell yesterday's event from last year's; `recency=False` turns it off.
Differs: the dot form has `heads` heads (the group's has one).
Differs: the product target * interest enters the head beside the two vectors.
"""

from typing import Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dccl.models.contract import Codes, Features, Inputs, Junction, Patch, unpatched
from dccl.models.front import Front
from dccl.wire.errors import ConfigError


class DinConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of a DIN."""

    width: int = 32
    attention: Literal["dot", "mlp"] = "dot"
    """`dot`: scaled dot product, softmax. `mlp`: the DIN paper's 36-unit network on [h, c, h-c, h*c], no softmax."""
    heads: int = 2
    """Of the dot form."""
    attention_hidden: int = 36
    """Of the mlp form."""
    hidden: tuple[int, int] = (128, 64)
    recency: bool = True
    profile_width: int = 8
    dropout: float = 0.1


class Din(nn.Module):
    """DIN with junctions `target`, `history` (below the pooling), `interest`, `hidden1`, `hidden2` (above it).

    Args:
        config: the shape.
        categories: (num_items + 1,) category code of each item.
        num_categories: counts code 0.
        profile_sizes: number of codes of each profile field.
        history_length: the longest history L that a query may see.
    """

    def __init__(
        self,
        config: DinConfig,
        categories: Tensor,
        num_categories: int,
        profile_sizes: tuple[int, ...],
        history_length: int,
    ) -> None:
        super().__init__()
        width = config.width
        self.front = Front(categories, num_categories, profile_sizes, width, config.profile_width)
        self.target_map = nn.Linear(width, width)
        self.history_map = nn.Linear(width, width)
        self.attention: DotAttention | MlpAttention = (
            DotAttention(width, config.heads)
            if config.attention == "dot"
            else MlpAttention(width, config.attention_hidden)
        )
        heads = config.heads if config.attention == "dot" else 1
        if width % heads:
            raise ConfigError(f"din.width ({width}) must be a multiple of din.heads ({heads})")
        self.age_bias = nn.Parameter(torch.zeros(history_length + 1, heads)) if config.recency else None
        self.dropout = nn.Dropout(config.dropout)
        first, second = config.hidden
        self.hidden1 = nn.Linear(3 * width + self.front.profile_width, first)
        self.hidden2 = nn.Linear(first, second)
        self.out = nn.Linear(second, 1)
        self._junctions = {
            "target": Junction(width, True),
            "history": Junction(width, True),
            "interest": Junction(width, False),
            "hidden1": Junction(first, False),
            "hidden2": Junction(second, False),
        }

    @property
    def junctions(self) -> dict[str, Junction]:
        """Every place where a patch may sit, in the order of the forward pass."""
        return self._junctions

    def look_up(self, codes: Codes) -> Inputs:
        """Gather embedding rows; stays outside the device graph."""
        inputs: Inputs = self.front(codes)
        return inputs

    def forward(self, inputs: Inputs, patch: Patch | None = None) -> Tensor:
        """Logits (B, Q, N) of every candidate of every query."""
        return self.head(self.pool(inputs, patch), patch)

    def pool(self, inputs: Inputs, patch: Patch | None = None) -> Features:
        """Transform target and history, then attend; an empty history pools to zero."""
        patch = patch or unpatched
        target = patch("target", torch.tanh(self.target_map(self.dropout(inputs.candidates))))
        history = patch("history", torch.tanh(self.history_map(self.dropout(inputs.history))))
        visible = inputs.age > 0
        bias = self.age_bias[inputs.age] if self.age_bias is not None else None
        return Features(target, self.attention(target, history, visible, bias), inputs.profile)

    def head(self, features: Features, patch: Patch | None = None) -> Tensor:
        """Two hidden layers over [target, interest, target * interest, profile]."""
        patch = patch or unpatched
        target, interest, profile = features
        # Here and not in `pool`: whoever pools once for many patches would lose this one.
        interest = patch("interest", interest)
        parts = [target, interest, target * interest]
        if profile.shape[-1]:
            parts.append(profile[:, None, None, :].expand(*target.shape[:3], profile.shape[-1]))
        x = torch.tanh(self.hidden1(torch.cat(parts, dim=-1)))
        x = self.dropout(patch("hidden1", x))
        x = torch.tanh(self.hidden2(x))
        x = self.dropout(patch("hidden2", x))
        logits: Tensor = self.out(x).squeeze(-1)
        return logits


class DotAttention(nn.Module):
    """Scaled dot-product target attention: three bias-free maps, softmax over the visible history, H heads.

    Several heads let one pool the last few events and another the whole past, each with its own bias by age; a
    single pooled vector cannot tell the two apart, and neither can anything above it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.heads = heads
        self.scale = (width // heads) ** -0.5

    def forward(self, target: Tensor, history: Tensor, visible: Tensor, bias: Tensor | None) -> Tensor:
        """Pool `history` (B, L, D) for every `target` (B, Q, N, D).

        Args:
            target: (B, Q, N, D).
            history: (B, L, D).
            visible: (B, Q, L) bool.
            bias: (B, Q, L, H), added to the attention logits.
        """
        rows, queries, candidates, width = target.shape
        query = self._by_head(self.query(target.flatten(1, 2)) * self.scale)
        scores = query @ self._by_head(self.key(history)).transpose(2, 3)
        scores = scores.view(rows, self.heads, queries, candidates, -1)
        if bias is not None:
            scores = scores + bias.permute(0, 3, 1, 2)[:, :, :, None, :]
        # -1e4 and not -inf: a query that sees nothing must give zeros, not NaN, in every engine.
        weights = F.softmax(scores.masked_fill(~visible[:, None, :, None, :], -1e4), dim=-1)
        pooled = weights.flatten(2, 3) @ self._by_head(self.value(history))
        seen: Tensor = pooled.transpose(1, 2).reshape(rows, queries, candidates, width)
        return seen * visible.any(-1)[:, :, None, None]

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, M, D) to (B, H, M, D / H)."""
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class MlpAttention(nn.Module):
    """The DIN paper's activation unit: a small network on [h, c, h - c, h * c]; sums, without softmax.

    Differs: sigmoid weights divided by sqrt(number of visible events), so that a long history does not
    drown the head; PReLU in place of Dice, whose batch statistics a device does not have.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        # W [h; c; h-c; h*c] = (Wh + Wd) h + (Wc - Wd) c + Wp (h * c): the same numbers with far less work.
        self.from_history = nn.Linear(width, hidden)
        self.from_target = nn.Linear(width, hidden, bias=False)
        self.from_product = nn.Parameter(torch.empty(hidden, width))
        nn.init.xavier_uniform_(self.from_product)
        self.slope = nn.Parameter(torch.tensor(0.25))
        self.out = nn.Linear(hidden, 1)
        self.value = nn.Linear(width, width, bias=False)

    def forward(self, target: Tensor, history: Tensor, visible: Tensor, bias: Tensor | None) -> Tensor:
        """As `DotAttention.forward`, with one head."""
        rows, queries, candidates, width = target.shape
        flat = target.flatten(1, 2)
        # (B, L, H, D): the product part as one matrix product with the targets.
        weighted = history[:, :, None, :] * self.from_product
        product = flat @ weighted.flatten(1, 2).transpose(1, 2)
        product = product.view(rows, queries * candidates, history.shape[1], -1)
        x = product + self.from_history(history)[:, None] + self.from_target(flat)[:, :, None]
        x = torch.where(x > 0, x, self.slope * x)
        scores = self.out(x).squeeze(-1).view(rows, queries, candidates, -1)
        if bias is not None:
            scores = scores + bias[:, :, None, :, 0]
        count = visible.sum(-1, keepdim=True).clamp(min=1)[:, :, None, :]
        weights = torch.sigmoid(scores) * visible[:, :, None, :] / count.sqrt()
        pooled: Tensor = weights.flatten(1, 2) @ self.value(history)
        return pooled.view(rows, queries, candidates, width)
