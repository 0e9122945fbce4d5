import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch import nn

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attend_everywhere, depthwise_at, linear
from tests.golden_records import OpRecord
from vitcore import CrossWindowAttention, DepthwiseConv2d, GlobalAttention, Mlp, stripe_attention
from vitcore.attention.stripes.cross_window_attention import from_stripes, to_stripes


@pytest.mark.parametrize(
    ("name", "stripe"),
    [
        ("cswin_lepe_idx0_split2", (14, 2)),
        ("cswin_lepe_idx0_split7", (14, 7)),
        ("cswin_lepe_idx1_split7", (7, 14)),
        ("cswin_lepe_idxm1_split7", (14, 14)),
    ],
)
def test_a_branch_computes_what_the_public_code_computes(name, stripe):
    record = OpRecord(name)
    lepe = record.load(DepthwiseConv2d(32), lambda key: key.removeprefix("get_v."))

    def run(x):
        q, k, v = x.unflatten(3, (4, 8)).unflatten(2, (14, 14))
        return stripe_attention(q, k, v, stripe, lepe).flatten(3).flatten(1, 2)

    record.assert_matches(run)


def test_cswins_block_around_it_computes_what_the_public_code_computes():
    record = OpRecord("cswin_block_split7")
    parts = {"norm1": nn.LayerNorm(32), "attn": CrossWindowAttention(32, head_dim=8, stripe=7)}
    block = nn.ModuleDict({**parts, "norm2": nn.LayerNorm(32), "mlp": Mlp(32)})
    heads = {
        "qkv.": "attn.qkv.",
        "proj.": "attn.projection.",
        "attns.0.get_v.": "attn.lepe.0.",
        "attns.1.get_v.": "attn.lepe.1.",
        "mlp.fc1.": "mlp.expand.",
        "mlp.fc2.": "mlp.contract.",
    }

    def rename(name):
        old = next((old for old in heads if name.startswith(old)), "")
        return heads.get(old, "") + name.removeprefix(old)

    record.load(block, rename)

    def run(x):
        grid = x.unflatten(1, (14, 14))
        grid = grid + block["attn"](block["norm1"](grid))
        return (grid + block["mlp"](block["norm2"](grid))).flatten(1, 2)

    record.assert_matches(run)


def stripe_of(place: int, length: int, stripe: int) -> range:
    """The rows (or columns) of the stripe that holds ``place``; the last one ends with the map."""
    start = place // stripe * stripe
    return range(start, min(start + stripe, length))


def cross_window_by_loops(op: CrossWindowAttention, grid: torch.Tensor) -> torch.Tensor:
    h, w = grid.shape[1:3]
    q, k, v = linear(op.qkv, grid).chunk(3, -1)
    half = op.width // 2

    def vertical(i, j):
        return range(h), stripe_of(j, w, op.stripe)

    def horizontal(i, j):
        return stripe_of(i, h, op.stripe), range(w)

    halves = []
    for channels, area, lepe in ((slice(half), vertical, op.lepe[0]), (slice(half, None), horizontal, op.lepe[1])):
        part = [x[..., channels] for x in (q, k, v)]

        def seen(i, j, area=area):
            rows, columns = area(i, j)
            return [(y, x) for y in rows for x in columns]

        attended = attend_everywhere(*part, op.head_dim, seen)
        local = [torch.stack([depthwise_at(lepe, part[2], i, j, *area(i, j)) for j in range(w)], 1) for i in range(h)]
        halves.append(attended + torch.stack(local, 1))
    return linear(op.projection, torch.cat(halves, -1))


@pytest.mark.parametrize(("h", "w"), [(6, 4), (7, 5), (2, 7), (1, 1)])
@pytest.mark.parametrize(("stripe", "kernel_size"), [(1, 3), (2, 5), (3, 3)])
def test_cross_window_attention_equals_a_loop_over_queries(h, w, stripe, kernel_size):
    op = randomise(CrossWindowAttention(8, head_dim=2, stripe=stripe, kernel_size=kernel_size))
    assert_same_function(op, lambda grid: cross_window_by_loops(op, grid), random_grid(h, w, 8))


@pytest.mark.parametrize("query", [(0, 0), (4, 3), (6, 4)])
def test_a_token_sees_the_cross_of_its_two_stripes(query):
    op = randomise(CrossWindowAttention(8, head_dim=2, stripe=2))
    rows, columns = stripe_of(query[0], 7, 2), stripe_of(query[1], 5, 2)
    cross = {(i, j) for i, j in all_tokens(7, 5) if i in rows or j in columns}
    assert seen_tokens(op, 7, 5, 8, query) == cross


@pytest.mark.parametrize("stripe", ["map", 6, 100])
def test_a_stripe_that_covers_the_map_is_global_attention_with_a_depthwise_convolution_of_the_values(stripe):
    op, grid = randomise(CrossWindowAttention(8, head_dim=4, stripe=stripe)), random_grid(5, 6, 8)
    plain = GlobalAttention(8, head_dim=4).double()
    plain.load_state_dict({name: value for name, value in op.state_dict().items() if "lepe" not in name})
    values = op.qkv(grid)[..., 16:]
    weight, bias = (torch.cat([getattr(part, name) for part in op.lepe]) for name in ("weight", "bias"))
    local = nn.functional.conv2d(values.permute(0, 3, 1, 2), weight, bias, padding=1, groups=8).permute(0, 2, 3, 1)
    torch.testing.assert_close(op(grid), plain(grid) + local @ op.projection.weight.T)


def test_stripes_of_whole_rows_are_a_view():
    grid = random_grid(6, 5, 4)
    assert to_stripes(grid, (2, 5)).data_ptr() == grid.data_ptr()


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 10), st.integers(1, 10))
def test_putting_stripes_together_undoes_the_cut(h, w, rows, columns):
    grid = torch.arange(2 * h * w * 3).view(2, h, w, 3)
    stripes = to_stripes(grid, (rows, columns))
    assert stripes.shape[1:] == (rows, columns, 3)
    assert torch.equal(from_stripes(stripes, h, w), grid)


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"CrossWindowAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        CrossWindowAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"width must hold an even number of heads.* got width=96, head_dim=32\."):
        CrossWindowAttention(96, head_dim=32)
    with pytest.raises(ValueError, match=r"stripe must be at least 1 or 'map', got stripe=0\."):
        CrossWindowAttention(96, head_dim=16, stripe=0)
    with pytest.raises(
        ValueError, match=r"CrossWindowAttention: kernel_size must be odd and positive, got kernel_size=2\."
    ):
        CrossWindowAttention(96, head_dim=16, kernel_size=2)


def test_a_stripe_longer_than_the_map_ends_with_the_map():
    q, k, v = random_grid(4, 5, 24).unflatten(3, (3, 2, 4)).unbind(3)
    long, whole = stripe_attention(q, k, v, (9, 100)), stripe_attention(q, k, v, (4, 5))
    assert torch.equal(long, whole)


@pytest.mark.parametrize(("h", "w", "top", "left"), [(6, 6, 0, 0), (5, 2, 0, 0), (4, 7, 1, 1)])
def test_padding_that_is_seen_lies_around_the_map_and_is_attended_to(h, w, top, left):
    op = randomise(CrossWindowAttention(8, head_dim=2, stripe=3, padding="seen"))

    def branch(qkv, number, rows, columns, top, left):
        """Attend in stripes of rows x columns of the map with ``top`` rows and ``left`` columns of zeros before it."""
        below, right = -(h + top) % rows, -(w + left) % columns
        padded = nn.functional.pad(qkv, (0, 0, 0, 0, 0, 0, left, right, top, below))
        out = torch.zeros_like(padded[:, :, :, 0])
        for y in range(0, padded.shape[1], rows):
            for x in range(0, padded.shape[2], columns):
                q, k, v = padded[:, y : y + rows, x : x + columns].flatten(1, 2).permute(2, 0, 3, 1, 4)
                mixed = (q @ k.transpose(2, 3) * 2**-0.5).softmax(-1) @ v
                values = v.permute(0, 1, 3, 2).reshape(1, 4, rows, columns)
                lepe = op.lepe[number]
                near = nn.functional.conv2d(values, lepe.weight, lepe.bias, padding=1, groups=4)
                both = mixed.transpose(1, 2).reshape(1, rows, columns, 2, 2)
                both = both + near.permute(0, 2, 3, 1).reshape(both.shape)
                out[:, y : y + rows, x : x + columns] = both
        return out[:, top : top + h, left : left + w]

    def twin(grid):
        qkv = op.qkv(grid).unflatten(3, (3, 2, 2, 2))
        vertical = branch(qkv[:, :, :, :, 0], 0, h, 3, 0, left)
        horizontal = branch(qkv[:, :, :, :, 1], 1, 3, w, top, 0)
        return op.projection(torch.cat((vertical, horizontal), 3).flatten(3))

    assert_same_function(op, twin, random_grid(h, w, 8)[:1])
