import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from vitcore import GlobalAttention


def attention_by_loops(op: GlobalAttention, tokens: torch.Tensor) -> torch.Tensor:
    """The textbook: for each head and query, a softmax over all keys, written out."""
    t, width = tokens.shape[1:]
    d, narrow = op.head_dim, op.query_width
    joint = tokens @ op.qkv.weight.T + (op.qkv.bias if op.qkv.bias is not None else 0)
    q, k, v = joint[..., :narrow], joint[..., narrow : 2 * narrow], joint[..., 2 * narrow :]
    rows = []
    for query in range(t):
        heads = []
        for head in range(width // d):
            part = slice(head * d, (head + 1) * d)
            own = slice(head * d * narrow // width, (head + 1) * d * narrow // width)
            scores = torch.stack([(q[:, query, own] * k[:, key, own]).sum(-1) * d**-0.5 for key in range(t)])
            weights = scores.exp() / scores.exp().sum(0)
            heads.append(sum(weights[key, :, None] * v[:, key, part] for key in range(t)))
        rows.append(torch.cat(heads, -1))
    return torch.stack(rows, 1) @ op.projection.weight.T + op.projection.bias


@pytest.mark.parametrize(("h", "w"), [(3, 4), (5, 1), (1, 1)])
@pytest.mark.parametrize("bias", ["all", "projection"])
@pytest.mark.parametrize("query_width", [None, 8, 4, 16])
def test_global_attention_equals_a_loop_over_all_pairs(h, w, bias, query_width):
    op = randomise(GlobalAttention(8, head_dim=4, bias=bias, query_width=query_width))
    assert_same_function(
        op, lambda grid: attention_by_loops(op, grid.flatten(1, 2)).view(grid.shape), random_grid(h, w, 8)
    )


def test_the_prefix_joins_the_sequence_in_front_of_the_grid():
    op = randomise(GlobalAttention(8, head_dim=4))
    grid, prefix = random_grid(3, 4, 8), random_grid(1, 2, 8, seed=2).squeeze(1)
    joint = attention_by_loops(op, torch.cat((prefix, grid.flatten(1, 2)), 1))
    new_grid, new_prefix = op.forward_prefixed(grid, prefix)
    torch.testing.assert_close(new_grid.flatten(1, 2), joint[:, 2:])
    torch.testing.assert_close(new_prefix, joint[:, :2])


def test_every_token_is_seen():
    op = randomise(GlobalAttention(8, head_dim=4))
    assert seen_tokens(op, 4, 5, 8, query=(1, 2)) == all_tokens(4, 5)


def test_a_head_dim_that_does_not_divide_the_width_is_refused():
    with pytest.raises(ValueError, match=r"GlobalAttention: head_dim must divide width, got width=96, head_dim=28\."):
        GlobalAttention(96, head_dim=28)


@pytest.mark.parametrize("query_width", [0, 3])
def test_queries_that_the_heads_cannot_share_are_refused(query_width):
    with pytest.raises(
        ValueError, match=f"heads must divide query_width, got query_width={query_width}, width=8, head_dim=4"
    ):
        GlobalAttention(8, head_dim=4, query_width=query_width)
