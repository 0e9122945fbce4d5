import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attend_everywhere, linear
from vitcore import GlobalAttention, LinearProjection, VanillaPaleAttention, vanilla_pale_attention
from vitcore.attention.stripes.vanilla_pale_attention import count_pales, pale_members, pale_positions


def pale_of(p: int, n: int, h: int, w: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(h) for j in range(w) if i % n == p or j % n == p]


def vanilla_by_loops(op: VanillaPaleAttention, grid: torch.Tensor, n: int) -> torch.Tensor:
    h, w = grid.shape[1:3]
    q, k, v = linear(op.qkv.joint, grid).chunk(3, -1)
    by_row = attend_everywhere(q, k, v, op.head_dim, lambda i, j: pale_of(i % n, n, h, w), op.scale)
    by_column = attend_everywhere(q, k, v, op.head_dim, lambda i, j: pale_of(j % n, n, h, w), op.scale)
    return linear(op.projection, (by_row + by_column) / 2)


@pytest.mark.parametrize(
    ("h", "w", "pale", "n"),
    [(4, 4, 2, 2), (3, 3, 1, 3), (5, 4, 2, 3), (2, 7, 3, 3), (6, 4, (2, 4), 3), (1, 5, 1, 5), (1, 1, 7, 1)],
)
@pytest.mark.parametrize("scale", [None, 0.7])
def test_vanilla_pale_attention_equals_a_loop_over_queries(h, w, pale, n, scale):
    op = randomise(VanillaPaleAttention(8, head_dim=4, pale=pale, projection=LinearProjection, scale=scale))
    assert_same_function(op, lambda grid: vanilla_by_loops(op, grid, n), random_grid(h, w, 8))


@pytest.mark.parametrize("query", [(0, 0), (1, 1), (4, 2), (6, 4)])
def test_a_token_sees_the_pales_of_its_row_and_of_its_column(query):
    op = randomise(VanillaPaleAttention(8, head_dim=4, pale=3, projection=LinearProjection))
    seen = set(pale_of(query[0] % 3, 3, 7, 5)) | set(pale_of(query[1] % 3, 3, 7, 5))
    assert seen_tokens(op, 7, 5, 8, query) == seen


def test_a_pale_that_divides_the_map_has_as_many_tokens_as_the_paper_says():
    r, c = pale_members(12, 8, count_pales(12, 8, (3, 2)), torch.device("cpu"))
    assert r.shape == c.shape == (4, 3 * 8 + 2 * 12 - 3 * 2)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_each_pale_lists_its_tokens_once_and_each_token_finds_its_two_pales(h, w, size):
    n = count_pales(h, w, (size, size))
    members = pale_members(h, w, n, torch.device("cpu"))
    for p in range(n):
        listed = [tuple(place) for place in members[:, p].T.tolist()]
        assert len(set(listed)) == len(listed)
        assert {place for place in listed if place in all_tokens(h, w)} == set(pale_of(p, n, h, w))
    by_row, by_column = pale_positions(h, w, n, torch.device("cpu")).view(2, h, w)
    flat = members.flatten(1)
    for i, j in all_tokens(h, w):
        for position, p in ((int(by_row[i, j]), i % n), (int(by_column[i, j]), j % n)):
            assert flat[:, position].tolist() == [i, j]
            assert position // members.shape[2] == p


@pytest.mark.parametrize("pale", [(5, 6), 6, 100])
def test_a_pale_that_covers_the_map_is_global_attention(pale):
    op = randomise(VanillaPaleAttention(8, head_dim=4, pale=pale, projection=LinearProjection))
    plain = GlobalAttention(8, head_dim=4).double()
    plain.load_state_dict({name.replace("qkv.joint", "qkv"): value for name, value in op.state_dict().items()})
    grid = random_grid(5, 6, 8)
    torch.testing.assert_close(op(grid), plain(grid))


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"VanillaPaleAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        VanillaPaleAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"VanillaPaleAttention: pale must have at least 1 row .* got pale=0\."):
        VanillaPaleAttention(96, pale=0)
    q = torch.zeros(1, 4, 4, 2, 8)
    with pytest.raises(
        ValueError, match=r"q, k and v must have one shape .* got q \(1, 4, 4, 2, 8\), k \(1, 2, 2, 2, 8\)"
    ):
        vanilla_pale_attention(q, q[:, ::2, ::2], q[:, ::2, ::2])
