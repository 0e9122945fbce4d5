import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.core.checks import random_grid, randomise
from tests.core.textbook import attention_by_loops, layer_norm, linear
from tests.golden_records import OpRecord, goldenfill
from vitcore import (
    LocalityFeedForward,
    Mlp,
    NestedTransformer,
    SeparateAttention,
    SqueezeExcite,
    grids_to_pixels,
    pixels_to_grids,
)

FEED_FORWARD = [
    "expand.0",
    "expand.1",
    None,
    "middle.0",
    "middle.1",
    None,
    "channel_attention",
    "contract.0",
    "contract.1",
]
NAMES = {
    "norm_in": "inner.mixer_norm",
    "attn_in.qk": "inner.mixer.qk",
    "attn_in.v": "inner.mixer.v",
    "attn_in.proj": "inner.mixer.projection",
    "norm_mlp_in": "inner.feed_forward_norm",
    "mlp_in.fc1": "inner.feed_forward.expand",
    "mlp_in.fc2": "inner.feed_forward.contract",
    "norm1_proj": "inner.summary_norm",
    "proj": "inner.summary",
    "norm_out": "norm",
    "attn_out.qk": "attention.qk",
    "attn_out.v": "attention.v",
    "attn_out.proj": "attention.projection",
    "conv.conv.6.fc.0": "feed_forward.channel_attention.squeeze",
    "conv.conv.6.fc.2": "feed_forward.channel_attention.excite",
}


def rename(name: str) -> str:
    layer, kind = name.rsplit(".", 1)
    if layer not in NAMES:
        return f"feed_forward.{FEED_FORWARD[int(layer.removeprefix('conv.conv.'))]}.{kind}"
    return f"{NAMES[layer]}.{kind}"


class Layer(nn.Module):
    """LocalViT-TNT's block from the package's parts: the nested transformer, then ordinary ops with a class token."""

    def __init__(self):
        super().__init__()
        self.inner = NestedTransformer(48, 12, mixer=functools.partial(SeparateAttention, head_dim=4))
        self.norm = nn.LayerNorm(48)
        self.attention = SeparateAttention(48, head_dim=16)
        self.feed_forward = LocalityFeedForward(48, channel_attention=functools.partial(SqueezeExcite, reduction=48))

    def forward(self, pixels, grid, prefix):
        pixels, grid = self.inner(pixels, grid)
        update, prefix_update = self.attention.forward_prefixed(self.norm(grid), self.norm(prefix))
        grid, prefix = grid + update, prefix + prefix_update
        return pixels, grid + self.feed_forward(grid), prefix


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_it_computes_what_the_public_code_computes(mode):
    record = OpRecord("localvit_tnt_block")
    layer = record.load(Layer(), rename).train(mode == "train")
    pixels = goldenfill.golden_input((98, 16, 12), 7).double().view(2, 7, 7, 16, 12)
    x = record.x.requires_grad_()
    pixels, grid, prefix = layer(pixels, x[:, 1:].unflatten(1, (7, 7)), x[:, :1])
    y0, y1 = pixels.flatten(0, 2), torch.cat((prefix, grid.flatten(1, 2)), 1)
    (gx,) = torch.autograd.grad(y0.square().mean() + y1.square().mean(), x)
    suffix, bar = ("fp64", 1e-6) if mode == "eval" else ("train", 1e-4)
    for ours, key in ((y0, "y0"), (y1, "y1"), (gx, "gx")):
        wanted = record.tensor(f"{key}_{suffix}")
        assert (ours - wanted).abs().max() < bar * wanted.abs().max(), key


def test_it_equals_a_loop_over_patches():
    op = randomise(NestedTransformer(6, 4, functools.partial(SeparateAttention, head_dim=2), pixels=9))
    pixels = random_grid(2 * 3, 9, 4).detach().unflatten(1, (2, 3)).requires_grad_()
    grid = random_grid(2, 3, 6, seed=3)

    def twin(pixels, grid):
        patches, tokens = [], []
        for i in range(2):
            for j in range(3):
                inner = pixels[:, i, j]
                normed = layer_norm(op.mixer_norm, inner)
                q, k = linear(op.mixer.qk, normed).chunk(2, -1)
                v = linear(op.mixer.v, normed)
                heads = [attention_by_loops(*(x[..., s : s + 2] for x in (q, k, v)), 2**-0.5) for s in (0, 2)]
                inner = inner + linear(op.mixer.projection, torch.cat(heads, -1))
                hidden = linear(op.feed_forward.expand, layer_norm(op.feed_forward_norm, inner))
                hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
                inner = inner + linear(op.feed_forward.contract, hidden)
                summary = torch.cat([layer_norm(op.summary_norm, inner[:, p]) for p in range(9)], -1)
                patches.append(inner)
                tokens.append(grid[:, i, j] + linear(op.summary, summary))
        return torch.stack(patches, 1).view(pixels.shape), torch.stack(tokens, 1).view(grid.shape)

    leaves = [pixels, grid, *op.parameters()]
    gradients = []
    for function in (op, twin):
        new_pixels, new_grid = function(pixels, grid)
        loss = (new_pixels.sin() * 2).sum() + new_grid.square().sum()
        gradients.append([new_pixels, new_grid, *torch.autograd.grad(loss, leaves)])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_patch_sees_its_own_pixels_and_a_pixel_sees_no_patch():
    op = randomise(NestedTransformer(6, 4, functools.partial(SeparateAttention, head_dim=2), pixels=4))
    pixels = random_grid(2 * 3, 4, 4, b=1).detach().unflatten(1, (2, 3)).requires_grad_()
    grid = random_grid(2, 3, 6, b=1)
    new_pixels, new_grid = op(pixels, grid)
    (by_pixels,) = torch.autograd.grad(new_grid[0, 1, 2].square().sum(), pixels, retain_graph=True)
    assert {tuple(place) for place in by_pixels[0].abs().amax((-1, -2)).nonzero().tolist()} == {(1, 2)}
    assert (by_pixels[0, 1, 2].abs().amax(-1) > 0).all()
    (by_grid,) = torch.autograd.grad(new_pixels.square().sum(), grid, allow_unused=True)
    assert by_grid is None


@settings(max_examples=20, deadline=None)
@given(h=st.integers(1, 5), w=st.integers(1, 5), side=st.integers(1, 4))
def test_the_pixels_of_a_patch_become_a_map_and_back_without_a_copy(h, w, side):
    pixels = torch.randn(2, h, w, side**2, 3)
    grids = pixels_to_grids(pixels)
    assert torch.equal(grids[-1, side - 1, 0], pixels[-1, -1, -1, (side - 1) * side])
    back = grids_to_pixels(grids, h, w)
    assert torch.equal(back, pixels)
    assert back.data_ptr() == pixels.data_ptr()


def test_stochastic_depth_has_its_place_in_both_inner_branches_and_not_in_the_summary():
    class Drop(nn.Module):
        def forward(self, x):
            return 0 * x

    op = randomise(NestedTransformer(6, 4, functools.partial(SeparateAttention, head_dim=2), pixels=4, drop_path=Drop))
    pixels, grid = random_grid(2 * 3, 4, 4).unflatten(1, (2, 3)), random_grid(2, 3, 6)
    new_pixels, new_grid = op(pixels, grid)
    assert torch.equal(new_pixels, pixels)
    assert (new_grid - grid).abs().min() > 0


def test_any_op_fits_inside_a_patch():
    inner = functools.partial(LocalityFeedForward, ratio=2.0)
    op = randomise(NestedTransformer(6, 4, functools.partial(SeparateAttention, head_dim=2), feed_forward=inner))
    pixels, grid = random_grid(2 * 3, 16, 4).unflatten(1, (2, 3)), random_grid(2, 3, 6)
    assert op(pixels, grid)[0].shape == pixels.shape
    assert op.macs(2, 3) == 6 * (op.mixer.macs(4, 4) + op.feed_forward.macs(4, 4) + 16 * 4 * 6)


def test_a_number_of_pixels_that_forms_no_square_is_refused():
    with pytest.raises(
        ValueError, match=r"NestedTransformer: the pixel tokens of a patch must form a square, got pixels=12\."
    ):
        NestedTransformer(6, 4, mixer=Mlp, pixels=12)
    with pytest.raises(ValueError, match=r"pixels_to_grids: the pixel tokens .* got pixels=12\."):
        pixels_to_grids(torch.zeros(1, 2, 2, 12, 4))
