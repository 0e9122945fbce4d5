import pytest
import torch
from torch import nn

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attend_one, layer_norm, linear
from tests.golden_records import OpRecord
from vitcore import GlobalAttention, GridBatchNorm2d, Mlp, PooledReductionAttention, SpatialReductionAttention

NAMES = {"proj": "projection", "sr": "reduce"}


def rename(name: str) -> str:
    layer, rest = name.split(".", 1)
    return f"{NAMES.get(layer, layer)}.{rest}"


@pytest.mark.parametrize(
    ("name", "side", "op"),
    [
        ("pvt_sra_sr1", 16, SpatialReductionAttention(32, head_dim=8, reduction=1)),
        ("pvt_sra_sr2", 16, SpatialReductionAttention(32, head_dim=8, reduction=2)),
        ("pvt_sra_sr8", 16, SpatialReductionAttention(32, head_dim=8, reduction=8)),
        ("pvt_v2_sra_sr2", 14, SpatialReductionAttention(32, head_dim=8, reduction=2)),
        ("pvt_v2_linear_sra_14x14", 14, PooledReductionAttention(32, head_dim=8)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_computes_what_the_public_code_computes(name, side, op):
    record = OpRecord(name)
    record.load(op, rename)
    record.assert_matches(lambda x: op(x.unflatten(1, (side, side))).flatten(1, 2))


def test_pvts_block_around_it_computes_what_the_public_code_computes():
    record = OpRecord("pvt_block_sr2")
    parts = {"norm1": nn.LayerNorm(32), "attn": SpatialReductionAttention(32, head_dim=8, reduction=2)}
    block = nn.ModuleDict({**parts, "norm2": nn.LayerNorm(32), "mlp": Mlp(32)})
    inside = {"fc1": "expand", "fc2": "contract"} | NAMES
    record.load(block, lambda name: ".".join(inside.get(word, word) for word in name.split(".")))

    def run(x):
        grid = x.unflatten(1, (14, 14))
        grid = grid + block["attn"](block["norm1"](grid))
        return (grid + block["mlp"](block["norm2"](grid))).flatten(1, 2)

    record.assert_matches(run)


def patches_by_loops(op: SpatialReductionAttention, grid: torch.Tensor) -> list[torch.Tensor]:
    """Each full patch through the convolution, tap by tap; a map smaller than a patch is one incomplete patch."""
    r, (h, w) = op.reduction, grid.shape[1:3]
    if r == 1:
        return [grid[:, i, j] for i in range(h) for j in range(w)]
    patches = []
    for i in range(max(1, h // r)):
        for j in range(max(1, w // r)):
            patch = op.reduce.bias
            for y in range(i * r, min(i * r + r, h)):
                for x in range(j * r, min(j * r + r, w)):
                    patch = patch + grid[:, y, x] @ op.reduce.weight[:, :, y - i * r, x - j * r].T
            patches.append(patch)
    return patches


def pools_by_loops(op: PooledReductionAttention, grid: torch.Tensor) -> list[torch.Tensor]:
    def piece(index: int, length: int) -> range:
        return range(index * length // op.pool_size, -(-(index + 1) * length // op.pool_size))

    h, w = grid.shape[1:3]
    pools = []
    for i in range(op.pool_size):
        for j in range(op.pool_size):
            tokens = [grid[:, y, x] for y in piece(i, h) for x in piece(j, w)]
            pools.append(sum(tokens) / len(tokens))
    return pools


def finished(op, pieces: torch.Tensor) -> torch.Tensor:
    if isinstance(op, SpatialReductionAttention):
        return pieces if op.reduction == 1 else layer_norm(op.norm, pieces)
    if op.after_pooling == "nothing":
        return pieces
    y = layer_norm(op.norm, pieces @ op.reduce.weight[:, :, 0, 0].T + op.reduce.bias)
    return y * 0.5 * (1 + torch.erf(y / 2**0.5))


def attention_by_loops(op, queries: torch.Tensor, pieces: list[torch.Tensor], extra: torch.Tensor | None = None):
    pieces = [*([] if extra is None else extra.unbind(1)), *pieces]
    kv = linear(op.kv, finished(op, torch.stack(pieces, 1)))
    keys, values = kv[..., : op.width].unbind(1), kv[..., op.width :].unbind(1)
    rows = [attend_one(q, keys, values, op.head_dim) for q in linear(op.q, queries).unbind(1)]
    return linear(op.projection, torch.stack(rows, 1))


@pytest.mark.parametrize(("h", "w"), [(4, 6), (7, 5), (2, 5), (1, 1)])
@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_spatial_reduction_equals_a_loop_over_patches(h, w, reduction):
    op = randomise(SpatialReductionAttention(8, head_dim=4, reduction=reduction))

    def twin(grid):
        return attention_by_loops(op, grid.flatten(1, 2), patches_by_loops(op, grid)).view(grid.shape)

    assert_same_function(op, twin, random_grid(h, w, 8))


@pytest.mark.parametrize(("h", "w"), [(6, 6), (7, 5), (2, 4), (1, 1)])
@pytest.mark.parametrize("after_pooling", ["convolution", "nothing"])
def test_pooled_reduction_equals_a_loop_over_pieces(h, w, after_pooling):
    op = randomise(PooledReductionAttention(8, head_dim=4, pool_size=3, after_pooling=after_pooling))

    def twin(grid):
        return attention_by_loops(op, grid.flatten(1, 2), pools_by_loops(op, grid)).view(grid.shape)

    assert_same_function(op, twin, random_grid(h, w, 8))


@pytest.mark.parametrize(
    ("op", "pieces"),
    [
        (SpatialReductionAttention(8, head_dim=4, reduction=1), patches_by_loops),
        (SpatialReductionAttention(8, head_dim=4, reduction=2), patches_by_loops),
        (PooledReductionAttention(8, head_dim=4, pool_size=2), pools_by_loops),
    ],
    ids=["reduction_1", "reduction_2", "pooled"],
)
def test_the_prefix_joins_queries_and_keys_and_skips_the_reduction(op, pieces):
    op, grid, prefix = randomise(op), random_grid(4, 5, 8), random_grid(1, 2, 8, seed=2).squeeze(1)
    joint = attention_by_loops(op, torch.cat((prefix, grid.flatten(1, 2)), 1), pieces(op, grid), extra=prefix)
    new_grid, new_prefix = op.forward_prefixed(grid, prefix)
    torch.testing.assert_close(new_prefix, joint[:, :2])
    torch.testing.assert_close(new_grid.flatten(1, 2), joint[:, 2:])


def test_a_token_sees_all_full_patches_and_itself():
    op = randomise(SpatialReductionAttention(8, head_dim=4, reduction=3))
    patches = {(i, j) for i in range(6) for j in range(3)}
    assert seen_tokens(op, 7, 5, 8, query=(6, 4)) == patches | {(6, 4)}


def test_on_a_map_smaller_than_a_patch_a_token_sees_the_map():
    op = randomise(SpatialReductionAttention(8, head_dim=4, reduction=8, norm=nn.Identity))
    assert seen_tokens(op, 3, 5, 8, query=(0, 4)) == all_tokens(3, 5)


def test_a_token_sees_the_whole_map_through_the_pools():
    op = randomise(PooledReductionAttention(8, head_dim=4, pool_size=3))
    assert seen_tokens(op, 7, 5, 8, query=(6, 4)) == all_tokens(7, 5)


def as_global(op) -> GlobalAttention:
    same = GlobalAttention(op.width, op.head_dim).double()
    same.qkv.weight.data = torch.cat((op.q.weight, op.kv.weight)).detach()
    same.qkv.bias.data = torch.cat((op.q.bias, op.kv.bias)).detach()
    same.projection.load_state_dict(op.projection.state_dict())
    return same


@pytest.mark.parametrize(
    "op",
    [
        SpatialReductionAttention(8, head_dim=4, reduction=1),
        PooledReductionAttention(8, head_dim=4, pool_size=5, after_pooling="nothing"),
    ],
    ids=["reduction_1", "pool_as_large_as_the_map"],
)
def test_without_reduction_it_is_global_attention(op):
    op, grid = randomise(op), random_grid(5, 5, 8)
    torch.testing.assert_close(op(grid), as_global(op)(grid))


def test_reduction_1_has_neither_convolution_nor_norm():
    names = {name for name, _ in SpatialReductionAttention(8, head_dim=4, reduction=1).named_parameters()}
    assert not [name for name in names if name.startswith(("reduce", "norm"))]


@pytest.mark.parametrize("op", [SpatialReductionAttention, PooledReductionAttention])
def test_a_norm_for_grids_fits(op):
    op = randomise(op(8, head_dim=4, norm=GridBatchNorm2d))
    assert op(random_grid(8, 8, 8)).isfinite().all()


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"SpatialReductionAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        SpatialReductionAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"SpatialReductionAttention: reduction must be at least 1, got reduction=0\."):
        SpatialReductionAttention(96, reduction=0, head_dim=32)
    with pytest.raises(
        ValueError, match=r"PooledReductionAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        PooledReductionAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"PooledReductionAttention: pool_size must be at least 1, got pool_size=0\."):
        PooledReductionAttention(96, pool_size=0, head_dim=32)
