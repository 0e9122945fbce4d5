import functools

import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attend_one, linear
from vitcore import GlobalAttention, LinearProjection, ProjectedAttention, SeparableProjection

CVT = functools.partial(SeparableProjection, reduction=2, bias="pointwise")


def attention_by_loops(op, q, k, v, scale=None):
    rows = [attend_one(query, k.unbind(1), v.unbind(1), op.head_dim, scale) for query in q.unbind(1)]
    return linear(op.projection, torch.stack(rows, 1))


@pytest.mark.parametrize(("h", "w"), [(4, 5), (3, 1), (1, 1)])
@pytest.mark.parametrize(("projection", "scale"), [(CVT, None), (CVT, 8**-0.5), (LinearProjection, 1.0)])
def test_it_equals_a_loop_over_all_keys_of_the_projection(h, w, projection, scale):
    op = randomise(ProjectedAttention(8, head_dim=4, projection=projection, scale=scale))

    def twin(grid):
        q, k, v = (part.flatten(1, 2) for part in op.qkv(grid))
        return attention_by_loops(op, q, k, v, scale).view(grid.shape)

    assert_same_function(op, twin, random_grid(h, w, 8))


def test_the_prefix_joins_queries_and_keys_through_the_linear_maps_only():
    op = randomise(ProjectedAttention(8, head_dim=4, projection=CVT))
    grid, prefix = random_grid(3, 4, 8), random_grid(1, 2, 8, seed=2).squeeze(1)
    front = [linear(part.pointwise, prefix) for part in (op.qkv.q, op.qkv.k, op.qkv.v)]
    parts = (torch.cat((a, b.flatten(1, 2)), 1) for a, b in zip(front, op.qkv(grid), strict=True))
    joint = attention_by_loops(op, *parts)
    new_grid, new_prefix = op.forward_prefixed(grid, prefix)
    torch.testing.assert_close(new_grid.flatten(1, 2), joint[:, 2:])
    torch.testing.assert_close(new_prefix, joint[:, :2])


def test_with_a_linear_projection_it_is_global_attention():
    op, plain = randomise(ProjectedAttention(8, head_dim=4, projection=LinearProjection)), GlobalAttention(8, 4)
    plain.double().load_state_dict({name.replace("qkv.joint", "qkv"): x for name, x in op.state_dict().items()})
    grid = random_grid(4, 5, 8)
    torch.testing.assert_close(op(grid), plain(grid))


def test_every_token_is_seen_with_half_of_the_keys_per_side_too():
    op = randomise(ProjectedAttention(8, head_dim=4, projection=CVT))
    assert seen_tokens(op, 5, 4, 8, query=(4, 0)) == all_tokens(5, 4)


def test_a_head_dim_that_does_not_divide_the_width_is_refused():
    with pytest.raises(
        ValueError, match=r"ProjectedAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        ProjectedAttention(96, head_dim=28)
