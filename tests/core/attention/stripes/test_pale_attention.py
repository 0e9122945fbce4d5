import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch import nn

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attend_everywhere, linear
from tests.golden_records import OpRecord
from vitcore import (
    AxialAttention,
    DepthwiseConv2d,
    GlobalAttention,
    LinearProjection,
    Mlp,
    PaleAttention,
    SeparableProjection,
    pale_attention,
)
from vitcore.attention.stripes.pale_attention import interlace, uninterlace

LAYERS = {
    "qkv.0.": "qkv.q.",
    "qkv.1.": "qkv.k.",
    "qkv.2.": "qkv.v.",
    "dw.": "depthwise.",
    "bn.": "norm.",
    "pw.": "pointwise.",
    "proj.": "projection.",
    ".ln.": ".",
    "fc1.": "expand.",
    "fc2.": "contract.",
}


def rename(name: str):
    """Their 1x1 convolutions are linear maps of ours."""
    for old, new in LAYERS.items():
        name = name.replace(old, new)
    is_linear = name.endswith(("pointwise.weight", "projection.weight", "expand.weight", "contract.weight"))
    return (name, lambda value: value.flatten(1)) if is_linear else name


def public_form() -> PaleAttention:
    return PaleAttention(32, head_dim=4, pale=7, scale=8**-0.5)


def assert_same_statistics(record: OpRecord, module: nn.Module) -> None:
    keys = [key for key in record.arrays.files if key.startswith("after_train:")]
    assert keys
    for key in keys:
        buffer = module.get_buffer(rename(key.removeprefix("after_train:")))
        torch.testing.assert_close(buffer, record.tensor(key), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_it_computes_what_the_public_code_computes(mode):
    record = OpRecord("pale_ps_attention")
    op = record.load(public_form(), rename).train(mode == "train")
    record.assert_matches(lambda x: op(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), mode=mode)
    if mode == "train":
        assert_same_statistics(record, op)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_block_around_it_computes_what_the_public_code_computes(mode):
    record = OpRecord("pale_ps_block")
    parts = {"cpe": DepthwiseConv2d(32), "norm1": nn.LayerNorm(32), "attn": public_form()}
    block = nn.ModuleDict({**parts, "norm2": nn.LayerNorm(32), "mlp": Mlp(32)})
    record.load(block, rename).train(mode == "train")

    def run(x):
        grid = x.permute(0, 2, 3, 1)
        grid = grid + block["cpe"](grid)
        grid = grid + block["attn"](block["norm1"](grid))
        return (grid + block["mlp"](block["norm2"](grid))).permute(0, 3, 1, 2)

    record.assert_matches(run, mode=mode)
    if mode == "train":
        assert_same_statistics(record, block)


def groups(length: int, size: int) -> int:
    """The least number of groups that keeps each of them to ``size`` rows."""
    return min(n for n in range(1, length + 1) if size * n >= length)


def pale_by_loops(op: PaleAttention, grid: torch.Tensor) -> torch.Tensor:
    h, w = grid.shape[1:3]
    q, k, v = linear(op.qkv.joint, grid).chunk(3, -1)
    half = op.width // 2
    n_rows, n_columns = groups(h, op.pale[0]), groups(w, op.pale[1])

    def rows(i, j):
        return [(y, x) for y in range(h) for x in range(w) if y % n_rows == i % n_rows]

    def columns(i, j):
        return [(y, x) for y in range(h) for x in range(w) if x % n_columns == j % n_columns]

    by_rows = attend_everywhere(*(x[..., :half] for x in (q, k, v)), op.head_dim, rows, op.scale)
    by_columns = attend_everywhere(*(x[..., half:] for x in (q, k, v)), op.head_dim, columns, op.scale)
    return linear(op.projection, torch.cat((by_rows, by_columns), -1))


@pytest.mark.parametrize(("h", "w"), [(6, 4), (7, 5), (2, 7), (1, 1)])
@pytest.mark.parametrize(("pale", "scale"), [(1, None), (3, None), ((2, 4), 0.7)])
def test_pale_attention_equals_a_loop_over_queries(h, w, pale, scale):
    op = randomise(PaleAttention(8, head_dim=2, pale=pale, projection=LinearProjection, scale=scale))
    assert_same_function(op, lambda grid: pale_by_loops(op, grid), random_grid(h, w, 8))


@pytest.mark.parametrize("query", [(0, 0), (4, 2), (6, 4)])
def test_a_token_sees_its_interlaced_rows_and_columns(query):
    op = randomise(PaleAttention(8, head_dim=2, pale=(3, 2), projection=LinearProjection))
    cross = {(i, j) for i, j in all_tokens(7, 5) if i % 3 == query[0] % 3 or j % 3 == query[1] % 3}
    assert seen_tokens(op, 7, 5, 8, query) == cross


def test_a_pale_of_one_is_parallel_axial_attention():
    op = randomise(PaleAttention(8, head_dim=2, pale=1, projection=LinearProjection))
    axial = AxialAttention(8, head_dim=2, order="parallel").double()
    axial.load_state_dict({name.replace("qkv.joint", "qkv"): value for name, value in op.state_dict().items()})
    grid = random_grid(6, 5, 8)
    torch.testing.assert_close(op(grid), axial(grid))


@pytest.mark.parametrize("pale", [(5, 6), 6, 100])
def test_a_pale_that_covers_the_map_is_global_attention(pale):
    op = randomise(PaleAttention(8, head_dim=2, pale=pale, projection=LinearProjection))
    plain = GlobalAttention(8, head_dim=2).double()
    plain.load_state_dict({name.replace("qkv.joint", "qkv"): value for name, value in op.state_dict().items()})
    grid = random_grid(5, 6, 8)
    torch.testing.assert_close(op(grid), plain(grid))


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 12))
def test_uninterlacing_undoes_interlacing(h, w, n):
    grid = torch.arange(2 * h * w * 3).view(2, h, w, 3)
    dealt = interlace(grid, n)
    assert torch.equal(uninterlace(dealt, n, h), grid)
    for p in range(min(n, h)):
        own = grid[1, p::n]
        assert torch.equal(dealt[n + p, : len(own)], own)


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(ValueError, match=r"PaleAttention: head_dim must divide width, got width=96, head_dim=28\."):
        PaleAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"PaleAttention: width must hold an even number .*width=96, head_dim=32\."):
        PaleAttention(96, head_dim=32)
    with pytest.raises(
        ValueError, match=r"PaleAttention: pale must have at least 1 row and 1 column, got pale=\(7, 0\)"
    ):
        PaleAttention(96, head_dim=16, pale=(7, 0))
    q = torch.zeros(1, 4, 4, 2, 8)
    with pytest.raises(
        ValueError, match=r"q, k and v must have one shape .* got q \(1, 4, 4, 2, 8\), k \(1, 2, 2, 2, 8\)"
    ):
        pale_attention(q, q[:, ::2, ::2], q[:, ::2, ::2])


def test_a_projection_that_thins_out_the_keys_is_refused():
    op = PaleAttention(16, projection=lambda width: SeparableProjection(width, reduction=2), head_dim=8)
    with pytest.raises(ValueError, match="q, k and v must have one shape"):
        op(torch.zeros(1, 4, 4, 16))
