import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import convolution_by_loops, layer_norm, linear
from vitcore import DeformableAttention
from vitcore.attention.content.deformable_attention import deform_points, reference_points


def read(table, y, x):
    """The paper's bilinear kernel: sum over all entries of max(0, 1 - |dy|) max(0, 1 - |dx|); table (b, h, w, c), y, x (b)."""
    total = 0
    for i in range(table.shape[1]):
        for j in range(table.shape[2]):
            weight = torch.clamp(1 - (y - i).abs(), min=0) * torch.clamp(1 - (x - j).abs(), min=0)
            total = total + weight[:, None] * table[:, i, j]
    return total


def spread(i, n):
    return -1 + 2 * i / (n - 1) if n > 1 else 0.0


def deformable_by_loops(op: DeformableAttention, grid: torch.Tensor) -> torch.Tensor:
    """Group by group, point by point, query by query."""
    b, h, w, width = grid.shape
    part, d = width // op.groups, op.head_dim
    heads_in_group = part // d
    rows, columns = -(-h // op.reduction), -(-w // op.reduction)
    query = linear(op.query, grid)
    kernel = op.neighbours
    th, tw = op.table.shape[1:]
    groups = []
    for g in range(op.groups):
        mine = slice(g * part, (g + 1) * part)
        near = convolution_by_loops(
            query[..., mine], kernel.weight, kernel.bias, op.reduction, kernel.weight.shape[-1] // 2
        )
        near = layer_norm(op.offset[0], near)
        offsets = linear(op.offset[2], near * 0.5 * (1 + torch.erf(near / 2**0.5)))
        points, samples = [], []
        for i in range(rows):
            for j in range(columns):
                dy, dx = offsets[:, i, j, 0], offsets[:, i, j, 1]
                if math.isinf(op.offset_range):
                    y, x = torch.clamp(spread(i, rows) + dy, -1, 1), torch.clamp(spread(j, columns) + dx, -1, 1)
                else:
                    y = spread(i, rows) + op.offset_range * dy.tanh() / max(rows - 1, 1)
                    x = spread(j, columns) + op.offset_range * dx.tanh() / max(columns - 1, 1)
                points.append((y, x))
                samples.append(read(grid[..., mine], (y + 1) / 2 * (h - 1), (x + 1) / 2 * (w - 1)))
        groups.append((points, samples))
    keys = [
        linear(op.key_value, torch.cat([groups[g][1][n] for g in range(op.groups)], -1)) for n in range(rows * columns)
    ]
    outputs = []
    for i in range(h):
        for j in range(w):
            heads = []
            for head in range(width // d):
                channels, points = slice(head * d, (head + 1) * d), groups[head // heads_in_group][0]
                scores = []
                for key, (y, x) in zip(keys, points, strict=True):
                    product = (query[:, i, j, channels] * key[:, :width][:, channels]).sum(-1) * d**-0.5
                    down, right = (spread(i, h) - y) / 2, (spread(j, w) - x) / 2
                    entries = op.table[head][None, :, :, None].expand(b, th, tw, 1)
                    bias = read(entries, (down + 1) / 2 * (th - 1), (right + 1) / 2 * (tw - 1))
                    scores.append(product + bias[:, 0])
                weights = torch.softmax(torch.stack(scores), 0)
                heads.append(
                    sum(a[:, None] * key[:, width:][:, channels] for a, key in zip(weights, keys, strict=True))
                )
            outputs.append(torch.cat(heads, -1))
    return linear(op.projection, torch.stack(outputs, 1)).view(grid.shape)


@pytest.mark.parametrize(
    ("h", "w", "arguments"),
    [
        (3, 3, {"groups": 2, "kernel_size": 3}),
        (5, 3, {"groups": 1, "reduction": 2, "kernel_size": 3, "offset_range": math.inf}),
        (4, 5, {"groups": 2, "reduction": 3, "offset_range": 4.0}),
        (1, 4, {"reduction": 4, "kernel_size": 3}),
        (1, 1, {"groups": 2}),
    ],
)
def test_it_equals_the_paper_point_by_point(h, w, arguments):
    op = randomise(DeformableAttention(4, head_dim=2, grid_size=(3, 2), **arguments))
    op.offset[2].weight.data *= 3  # farther than a token, so that points leave the map too
    assert_same_function(op, lambda grid: deformable_by_loops(op, grid), random_grid(h, w, 4))


def without_offsets(**arguments) -> DeformableAttention:
    op = randomise(DeformableAttention(4, head_dim=2, **arguments))
    op.offset[2].weight.data.zero_()
    return op


def test_without_offsets_and_reduction_it_is_global_attention_with_a_table_of_relative_positions():
    h, w = 3, 4
    op = without_offsets(groups=2, grid_size=(h, w))
    grid = random_grid(h, w, 4)

    places = [(i, j) for i in range(h) for j in range(w)]
    tokens = grid.flatten(1, 2)
    query, key_value = linear(op.query, tokens), linear(op.key_value, tokens)
    rows = []
    for q, (i, j) in enumerate(places):
        heads = []
        for head in range(2):
            c = slice(2 * head, 2 * head + 2)
            bias = torch.stack([op.table[head, i - y + h - 1, j - x + w - 1] for y, x in places])
            scores = (query[:, q, None, c] * key_value[:, :, :4][..., c]).sum(-1) * 2**-0.5 + bias
            heads.append((scores.softmax(-1)[..., None] * key_value[:, :, 4:][..., c]).sum(1))
        rows.append(torch.cat(heads, -1))
    wanted = linear(op.projection, torch.stack(rows, 1)).view(grid.shape)
    torch.testing.assert_close(op(grid), wanted, rtol=1e-9, atol=1e-9)
    assert seen_tokens(op, h, w, 4, query=(1, 2)) == all_tokens(h, w)


def test_without_offsets_a_query_sees_itself_and_the_reference_points():
    op = without_offsets(reduction=4)
    points = {(i, j) for i in (0, 4, 8) for j in (0, 4)}
    assert seen_tokens(op, 9, 5, 4, query=(2, 3)) == points | {(2, 3)}


def test_between_tokens_the_four_around_a_point_are_seen():
    op = without_offsets(reduction=3)
    assert seen_tokens(op, 2, 4, 4, query=(1, 3)) == {(i, j) for i in (0, 1) for j in (0, 3)}


def test_groups_move_their_points_apart():
    op = randomise(DeformableAttention(8, head_dim=2, groups=4, reduction=2))
    offsets = op._offsets(op.query(random_grid(6, 6, 8)))
    assert offsets.shape == (2, 3, 3, 4, 2)
    assert all((offsets[..., a, :] - offsets[..., b, :]).abs().min() > 0 for a in range(4) for b in range(a))


@settings(max_examples=40, deadline=None)
@given(
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    offset_range=st.sampled_from([0.5, 2.0, math.inf]),
    seed=st.integers(0, 99),
)
def test_no_point_moves_farther_than_the_range(h, w, offset_range, seed):
    generator = torch.Generator().manual_seed(seed)
    offsets = 5 * torch.randn(1, h, w, 2, 2, dtype=torch.float64, generator=generator)
    points = deform_points(offsets, offset_range)
    if math.isinf(offset_range):
        assert points.abs().max() <= 1
        return
    moved = (points - reference_points(h, w, offsets)[:, :, None]).abs()
    spacing = torch.tensor([2 / max(h - 1, 1), 2 / max(w - 1, 1)], dtype=torch.float64)
    assert (moved <= offset_range * spacing / 2 + 1e-12).all()


def test_the_table_is_initialised_small_and_can_be_initialised_again():
    op = DeformableAttention(8, head_dim=4)
    first = op.table.detach().clone()
    op.reset_parameters()
    assert not torch.equal(op.table, first)
    assert 0 < op.table.abs().max() < 0.1


def test_a_half_precision_module_keeps_its_dtype():
    op = randomise(DeformableAttention(8, head_dim=4, reduction=2)).bfloat16()
    y = op(random_grid(5, 6, 8).bfloat16())
    assert y.dtype == torch.bfloat16
    assert y.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head_dim": 7}, r"head_dim must divide width, got width=16, head_dim=7\."),
        ({"head_dim": 4, "groups": 3}, r"groups must divide the number of heads, got heads=4, groups=3\."),
        ({"head_dim": 4, "kernel_size": 4}, r"kernel_size must be odd and positive, got kernel_size=4\."),
        (
            {"head_dim": 4, "reduction": 0},
            r"must be positive, got reduction=0, offset_range=2\.0, grid_size=\(14, 14\)\.",
        ),
        ({"head_dim": 4, "offset_range": -1.0}, r"must be positive, got reduction=1, offset_range=-1\.0"),
        ({"head_dim": 4, "grid_size": (0, 3)}, r"must be positive, .* grid_size=\(0, 3\)\."),
    ],
)
def test_bad_arguments_are_refused_with_their_values(arguments, message):
    with pytest.raises(ValueError, match=f"DeformableAttention: .*{message}"):
        DeformableAttention(16, **arguments)
