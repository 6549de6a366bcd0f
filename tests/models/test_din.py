"""DIN against its formulas written as loops in numpy, in both attention forms."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch

from dccl.models.contract import Codes
from dccl.models.din import Din, DinConfig
from dccl.wire.errors import ConfigError

pytestmark = pytest.mark.usefixtures("one_thread")

Vector = npt.NDArray[np.float64]
State = dict[str, Vector]
WIDTH, NUM_ITEMS, HISTORY = 6, 9, 5
CATEGORIES = torch.tensor([0, 1, 2, 1, 2, 1, 2, 0, 1, 2])


def made(attention: Literal["dot", "mlp"], heads: int = 1, recency: bool = True) -> Din:
    torch.manual_seed(3)
    config = DinConfig(
        width=WIDTH, attention=attention, heads=heads, attention_hidden=5, hidden=(7, 4), recency=recency
    )
    din = Din(config, CATEGORIES, 3, (3, 2), HISTORY)
    with torch.no_grad():
        for key, parameter in din.named_parameters():
            if not key.startswith("front"):
                parameter += 0.4 * torch.randn(parameter.shape)
    return din.eval()


CODES = Codes(
    history=torch.tensor([[3, 1, 7, 2], [5, 6, 0, 0], [0, 0, 0, 0]]),
    age=torch.tensor(
        [[[2, 1, 0, 0], [4, 3, 2, 1]], [[1, 0, 0, 0], [2, 1, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]]
    ),
    candidates=torch.tensor([[[1, 9, 4], [5, 2, 8]], [[7, 6, 3], [1, 1, 2]], [[4, 5, 6], [9, 8, 7]]]),
    profile=torch.tensor([[0, 1], [2, 0], [1, 1]]),
)


def item_row(state: State, item: int) -> Vector:
    """Own embedding plus the category's; padding is zero."""
    row: Vector = state["front.items.weight"][item] + state["front.category_rows.weight"][CATEGORIES[item]]
    return row


def linear(state: State, name: str, x: Vector) -> Vector:
    y: Vector = state[f"{name}.weight"] @ x
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def dot_pooled(state: State, heads: int, c: Vector, events: list[tuple[int, Vector]]) -> Vector:
    """softmax over events of q.k / sqrt(d) + bias(age), head by head."""
    size, pooled = WIDTH // heads, np.zeros(WIDTH)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        query = linear(state, "attention.query", c)[part]
        scores = [
            query @ linear(state, "attention.key", h)[part] / math.sqrt(size) + age_bias(state, age, head)
            for age, h in events
        ]
        total = sum(math.exp(score) for score in scores)
        for score, (_, h) in zip(scores, events, strict=True):
            pooled[part] += math.exp(score) / total * linear(state, "attention.value", h)[part]
    return pooled


def mlp_pooled(state: State, c: Vector, events: list[tuple[int, Vector]]) -> Vector:
    """One hidden layer on [h, c, h - c, h * c] whose weights are tied to three: see `MlpAttention`."""
    pooled = np.zeros(WIDTH)
    w_h, w_c = state["attention.from_history.weight"], state["attention.from_target.weight"]
    w_p = state["attention.from_product"]
    # Any split of the difference's weight gives the same numbers: here W_d = 0.3.
    w_d = np.full_like(w_h, 0.3)
    full = np.concatenate([w_h - w_d, w_c + w_d, w_d, w_p], axis=1)
    for age, h in events:
        x = full @ np.concatenate([h, c, h - c, h * c]) + state["attention.from_history.bias"]
        x = np.array([value if value > 0 else float(state["attention.slope"]) * value for value in x])
        score = float(linear(state, "attention.out", x)[0]) + age_bias(state, age, 0)
        weight = 1 / (1 + math.exp(-score)) / math.sqrt(len(events))
        pooled += weight * linear(state, "attention.value", h)
    return pooled


def age_bias(state: State, age: int, head: int) -> float:
    return float(state["age_bias"][age, head]) if "age_bias" in state else 0.0


def by_hand(din: Din, attention: str, heads: int, row: int, query: int, place: int) -> float:
    state = {key: value.numpy().astype(np.float64) for key, value in din.state_dict().items()}
    c = np.tanh(linear(state, "target_map", item_row(state, int(CODES.candidates[row, query, place]))))
    events = [
        (int(age), np.tanh(linear(state, "history_map", item_row(state, int(item)))))
        for age, item in zip(CODES.age[row, query], CODES.history[row], strict=True)
        if age > 0
    ]
    if not events:
        interest = np.zeros(WIDTH)
    else:
        interest = dot_pooled(state, heads, c, events) if attention == "dot" else mlp_pooled(state, c, events)
    fields = [
        state["front.profiles.weight"][start + int(code)]
        for start, code in zip((0, 3), CODES.profile[row], strict=True)
    ]
    x = np.concatenate([c, interest, c * interest, *fields])
    x = np.tanh(linear(state, "hidden2", np.tanh(linear(state, "hidden1", x))))
    return float(linear(state, "out", x)[0])


@pytest.mark.parametrize("recency", [True, False])
@pytest.mark.parametrize(("attention", "heads"), [("dot", 1), ("dot", 3), ("mlp", 1)])
def test_logits_are_those_of_the_formulas(
    attention: Literal["dot", "mlp"], heads: int, recency: bool
) -> None:
    din = made(attention, heads, recency)
    with torch.no_grad():
        logits = din(din.look_up(CODES)).numpy()
    expected = [
        [[by_hand(din, attention, heads, row, query, place) for place in range(3)] for query in range(2)]
        for row in range(3)
    ]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_the_item_table_is_what_a_device_is_served() -> None:
    din = made("dot")
    table = din.front.table().detach().numpy()
    state = {key: value.numpy().astype(np.float64) for key, value in din.state_dict().items()}
    expected = np.stack([item_row(state, item) for item in range(NUM_ITEMS + 1)])
    np.testing.assert_allclose(table, expected, rtol=1e-6, atol=1e-7)
    assert not table[0].any()


def test_training_leaves_the_padding_row_at_zero() -> None:
    din = made("mlp").train()
    optimiser = torch.optim.AdamW(din.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        din(din.look_up(CODES)).square().sum().backward()
        optimiser.step()
    assert not din.front.table()[0].any()


def test_recency_is_what_tells_the_order_of_the_history() -> None:
    swapped = CODES._replace(history=CODES.history[:, [1, 0, 2, 3]])
    for recency in (True, False):
        din = made("dot", recency=recency)
        with torch.no_grad():
            one, other = din(din.look_up(CODES)), din(din.look_up(swapped))
        assert torch.allclose(one[0, 1], other[0, 1], atol=1e-6) != recency


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"width \(6\).*heads \(4\)"):
        made("dot", heads=4)
