import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attention_by_loops, linear
from vitcore import GlobalAttention, SeparateAttention


def separate_by_loops(op: SeparateAttention, tokens: torch.Tensor) -> torch.Tensor:
    q, k = linear(op.qk, tokens).chunk(2, -1)
    v, d = linear(op.v, tokens), op.head_dim
    heads = [
        attention_by_loops(*(x[..., start : start + d] for x in (q, k, v)), d**-0.5)
        for start in range(0, tokens.shape[-1], d)
    ]
    return linear(op.projection, torch.cat(heads, -1))


@pytest.mark.parametrize(("h", "w"), [(3, 4), (5, 1), (1, 1)])
def test_it_equals_a_loop_over_all_pairs(h, w):
    op = randomise(SeparateAttention(8, head_dim=4))
    assert_same_function(
        op, lambda grid: separate_by_loops(op, grid.flatten(1, 2)).view(grid.shape), random_grid(h, w, 8)
    )


def test_the_prefix_joins_the_sequence_in_front_of_the_grid():
    op = randomise(SeparateAttention(8, head_dim=4))
    grid, prefix = random_grid(3, 4, 8), random_grid(1, 2, 8, seed=2).squeeze(1)
    joint = separate_by_loops(op, torch.cat((prefix, grid.flatten(1, 2)), 1))
    new_grid, new_prefix = op.forward_prefixed(grid, prefix)
    torch.testing.assert_close(new_grid.flatten(1, 2), joint[:, 2:])
    torch.testing.assert_close(new_prefix, joint[:, :2])


def test_it_is_global_attention_with_the_two_weights_stacked():
    op, joint = randomise(SeparateAttention(8, head_dim=4)), GlobalAttention(8, head_dim=4, bias="projection").double()
    state = op.state_dict()
    state["qkv.weight"] = torch.cat((state.pop("qk.weight"), state.pop("v.weight")))
    joint.load_state_dict(state)
    grid = random_grid(3, 4, 8)
    torch.testing.assert_close(op(grid), joint(grid))


def test_every_token_is_seen():
    op = randomise(SeparateAttention(8, head_dim=4))
    assert seen_tokens(op, 4, 5, 8, query=(1, 2)) == all_tokens(4, 5)


def test_a_head_dim_that_does_not_divide_the_width_is_refused():
    with pytest.raises(ValueError, match=r"SeparateAttention: head_dim must divide width, got width=96, head_dim=28\."):
        SeparateAttention(96, head_dim=28)
