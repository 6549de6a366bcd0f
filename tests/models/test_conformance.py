"""What `dccl.models.contract` promises, tried on every backbone. A new backbone joins by lines in `BACKBONES`."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dccl.models.contract import Backbone, Codes, unpatched
from dccl.models.din import Din, DinConfig
from dccl.wire.arrays import load_arrays, save_arrays

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_ITEMS, NUM_CATEGORIES, HISTORY = 12, 4, 6
CATEGORIES = torch.tensor([0, *(1 + i % (NUM_CATEGORIES - 1) for i in range(NUM_ITEMS))])
NO_CATEGORIES = torch.zeros(NUM_ITEMS + 1, dtype=torch.int64)
PROFILES = (3, 2)

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "din, dot": lambda: Din(
        DinConfig(width=8, attention="dot"), CATEGORIES, NUM_CATEGORIES, PROFILES, HISTORY
    ),
    "din, mlp": lambda: Din(
        DinConfig(width=8, attention="mlp"), CATEGORIES, NUM_CATEGORIES, PROFILES, HISTORY
    ),
    "din, plain": lambda: Din(DinConfig(width=6, heads=1, recency=False), NO_CATEGORIES, 1, (), HISTORY),
    "din, no profiles": lambda: Din(
        DinConfig(width=6, attention="mlp", hidden=(10, 7)), CATEGORIES, NUM_CATEGORIES, (), HISTORY
    ),
}


def made(name: str, seed: int = 0) -> Backbone:
    """A backbone in evaluation mode, with every parameter stirred: what starts at zero would hide faults."""
    torch.manual_seed(seed)
    module = BACKBONES[name]()
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if "front" not in key:
                parameter += 0.3 * torch.randn(parameter.shape)
    module.eval()
    return module  # type: ignore[return-value]


def some_codes(name: str, rows: int = 4, queries: int = 3, candidates: int = 5) -> Codes:
    """Rows with full, partial and empty histories."""
    rng = np.random.default_rng(1)
    lengths = np.array([HISTORY, 3, 0, 1])[:rows]
    places = np.arange(HISTORY)
    history = np.where(places < lengths[:, None], rng.integers(1, NUM_ITEMS + 1, (rows, HISTORY)), 0)
    now = np.maximum(lengths[:, None] - np.arange(queries)[::-1], 0)
    age = np.where(places < now[..., None], now[..., None] - places, 0)
    num_fields = 0 if "plain" in name or "no profiles" in name else len(PROFILES)
    profile = np.stack(
        [rng.integers(0, size, rows) for size in PROFILES[:num_fields]] or [[]] * rows, axis=-1
    )
    return Codes(
        torch.from_numpy(history),
        torch.from_numpy(age),
        torch.from_numpy(rng.integers(1, NUM_ITEMS + 1, (rows, queries, candidates))),
        torch.from_numpy(profile.reshape(rows, num_fields).astype(np.int64)),
    )


def logits_of(backbone: Backbone, codes: Codes) -> Tensor:
    with torch.no_grad():
        return backbone(backbone.look_up(codes))


def stirred(junction: str, x: Tensor) -> Tensor:
    """A patch that does something at every junction."""
    return x + 0.1 * torch.sin(3.0 * x)


each = pytest.mark.parametrize("name", BACKBONES)


@each
def test_logits_have_one_value_per_candidate_and_are_finite_for_an_empty_history(name: str) -> None:
    logits = logits_of(made(name), some_codes(name))
    assert logits.shape == (4, 3, 5)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    assert logits.std() > 1e-3


@each
def test_a_batch_of_one_equals_a_row_of_a_batch(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    together = logits_of(backbone, codes)
    for row in range(4):
        alone = logits_of(backbone, Codes(*(part[row : row + 1] for part in codes)))
        torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-5, atol=1e-6)


@each
def test_a_query_alone_equals_a_query_of_a_sequence(name: str) -> None:
    """Training scores a whole sequence at once, serving one place: they must agree."""
    backbone, codes = made(name), some_codes(name)
    together = logits_of(backbone, codes)
    for query in range(3):
        at = slice(query, query + 1)
        alone = logits_of(backbone, codes._replace(age=codes.age[:, at], candidates=codes.candidates[:, at]))
        torch.testing.assert_close(alone, together[:, at], rtol=1e-5, atol=1e-6)


@each
@pytest.mark.parametrize("side", ["left", "right"])
def test_more_padding_changes_nothing(name: str, side: str) -> None:
    backbone, codes = made(name), some_codes(name)
    widths = (3, 0) if side == "left" else (0, 3)
    wider = codes._replace(
        history=nn.functional.pad(codes.history, widths), age=nn.functional.pad(codes.age, widths)
    )
    torch.testing.assert_close(logits_of(backbone, wider), logits_of(backbone, codes), rtol=1e-5, atol=1e-6)


@each
def test_a_history_that_a_query_must_not_see_has_no_influence(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    hidden = codes.age[0, 0] == 0
    assert hidden.any()
    other = codes.history.clone()
    other[0, hidden] = other[0, hidden] % NUM_ITEMS + 1
    changed = logits_of(backbone, codes._replace(history=other))
    before = logits_of(backbone, codes)
    torch.testing.assert_close(changed[0, 0], before[0, 0], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(changed[0, -1], before[0, -1], atol=1e-4)


@each
def test_a_candidates_logit_does_not_depend_on_the_other_candidates(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    together = logits_of(backbone, codes)
    alone = logits_of(backbone, codes._replace(candidates=codes.candidates[:, :, 2:3]))
    torch.testing.assert_close(alone, together[:, :, 2:3], rtol=1e-5, atol=1e-6)


@each
def test_saved_and_loaded_into_a_fresh_instance_gives_equal_logits(name: str, tmp_path: Path) -> None:
    backbone, codes = made(name), some_codes(name)
    state = backbone.state_dict()  # type: ignore[attr-defined]
    save_arrays(tmp_path / "state", {key: value.numpy() for key, value in state.items()})
    fresh = made(name, seed=9)
    assert not torch.equal(logits_of(fresh, codes), logits_of(backbone, codes))
    arrays, _ = load_arrays(tmp_path / "state")
    fresh.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in arrays.items()})  # type: ignore[attr-defined]
    assert torch.equal(logits_of(fresh, codes), logits_of(backbone, codes))


@each
def test_a_deepcopy_is_independent(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    before = logits_of(backbone, codes)
    twin = copy.deepcopy(backbone)
    assert torch.equal(logits_of(twin, codes), before)
    with torch.no_grad():
        for parameter in twin.parameters():  # type: ignore[attr-defined]
            parameter.zero_()
    assert torch.equal(logits_of(backbone, codes), before)


@each
def test_the_output_depends_on_nothing_but_parameters_and_buffers(name: str) -> None:
    """Two instances from different seeds, given the same parameters and buffers, are the same model."""
    backbone, fresh, codes = made(name), made(name, seed=9), some_codes(name)
    leaves = [*backbone.parameters(), *backbone.buffers()]  # type: ignore[attr-defined]
    others = [*fresh.parameters(), *fresh.buffers()]  # type: ignore[attr-defined]
    with torch.no_grad():
        for mine, theirs in zip(leaves, others, strict=True):
            theirs.copy_(mine)
    assert torch.equal(logits_of(fresh, codes), logits_of(backbone, codes))


@each
def test_every_parameter_has_a_gradient(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    backbone(backbone.look_up(codes)).square().sum().backward()
    still = [
        key
        for key, parameter in backbone.named_parameters()  # type: ignore[attr-defined]
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert still == []


@each
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(name: str) -> None:
    codes = some_codes(name)
    assert torch.equal(logits_of(made(name, 3), codes), logits_of(made(name, 3), codes))
    assert not torch.equal(logits_of(made(name, 3), codes), logits_of(made(name, 4), codes))


@each
def test_every_junction_is_met_once_in_order_with_its_width(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    met: list[tuple[str, int]] = []

    def recording(junction: str, x: Tensor) -> Tensor:
        met.append((junction, x.shape[-1]))
        assert x.shape[0] == 4
        return x

    backbone(backbone.look_up(codes), recording)
    assert met == [(key, junction.width) for key, junction in backbone.junctions.items()]


@each
def test_only_the_junctions_below_the_pooling_are_met_there(name: str) -> None:
    """What `below_pooling` says decides what the device computes once and not once per step."""
    backbone, codes = made(name), some_codes(name)
    parts: dict[str, list[str]] = {"pool": [], "head": []}

    def into(part: str) -> Callable[[str, Tensor], Tensor]:
        return lambda junction, x: (parts[part].append(junction), x)[1]

    features = backbone.pool(backbone.look_up(codes), into("pool"))
    backbone.head(features, into("head"))
    below = [key for key, junction in backbone.junctions.items() if junction.below_pooling]
    assert parts["pool"] == below
    assert parts["pool"] + parts["head"] == list(backbone.junctions)


@each
def test_a_patch_of_a_junction_not_below_the_pooling_acts_on_the_features_alone(name: str) -> None:
    """`head(pool(inputs))` with the patch on the head only must equal the whole forward pass with the patch."""
    backbone, codes = made(name), some_codes(name)
    above = {key for key, junction in backbone.junctions.items() if not junction.below_pooling}

    def patch(junction: str, x: Tensor) -> Tensor:
        return stirred(junction, x) if junction in above else x

    with torch.no_grad():
        inputs = backbone.look_up(codes)
        whole = backbone(inputs, patch)
        split = backbone.head(backbone.pool(inputs), patch)
    torch.testing.assert_close(split, whole)


@each
def test_a_patch_at_each_junction_moves_the_logits_and_the_identity_does_not(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    plain = logits_of(backbone, codes)
    with torch.no_grad():
        inputs = backbone.look_up(codes)
        assert torch.equal(backbone(inputs, unpatched), plain)
        for place in backbone.junctions:
            moved = backbone(inputs, lambda key, x, at=place: stirred(key, x) if key == at else x)
            assert not torch.allclose(moved, plain, atol=1e-5), place


@each
def test_a_forward_pass_changes_nothing(name: str) -> None:
    backbone, codes = made(name), some_codes(name)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}  # type: ignore[attr-defined]
    backbone.train()  # type: ignore[attr-defined]
    backbone(backbone.look_up(codes))
    after = backbone.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(before[key], after[key]) for key in before)
