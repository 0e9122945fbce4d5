import pytest
import torch
from torch import nn

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attention_by_loops, linear
from tests.golden_records import OpRecord
from vitcore import LocalityFeedForward, TokenAttention

FEED_FORWARD = ["expand.0", "expand.1", None, "middle.0", "middle.1", None, "contract.0", "contract.1"]
NAMES = {"attn.qkv": "attention.qkv", "attn.proj": "attention.projection"}


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_with_its_norm_and_locality_it_computes_what_the_public_code_computes(mode):
    record = OpRecord("localvit_t2t_token_transformer_local")
    parts = nn.ModuleDict(
        {
            "norm1": nn.LayerNorm(27),
            "attention": TokenAttention(27, 32),
            "feed_forward": LocalityFeedForward(32, ratio=1.0),
        }
    )

    def rename(name):
        layer, kind = name.rsplit(".", 1)
        if layer.startswith("conv.conv."):
            return f"feed_forward.{FEED_FORWARD[int(layer.removeprefix('conv.conv.'))]}.{kind}"
        return f"{NAMES.get(layer, layer)}.{kind}"

    record.load(parts, rename).train(mode == "train")

    def token_transformer(x):
        grid = parts["attention"](parts["norm1"](x.unflatten(1, (14, 14))))
        return (grid + parts["feed_forward"](grid)).flatten(1, 2)

    record.assert_matches(token_transformer, mode=mode)
    if mode == "train":
        for key in (key for key in record.arrays.files if key.startswith("after_train:")):
            buffer = parts.get_buffer(rename(key.removeprefix("after_train:")))
            torch.testing.assert_close(buffer, record.tensor(key), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("h", "w"), [(3, 4), (1, 5), (1, 1)])
@pytest.mark.parametrize("bias", ["all", "projection"])
def test_it_equals_a_loop_over_all_pairs_scaled_by_the_width_of_the_input(h, w, bias):
    op = randomise(TokenAttention(5, 6, bias))

    def twin(grid):
        q, k, v = linear(op.qkv, grid.flatten(1, 2)).chunk(3, -1)
        return (v + linear(op.projection, attention_by_loops(q, k, v, 5**-0.5))).view(-1, h, w, 6)

    assert_same_function(op, twin, random_grid(h, w, 5))


def test_every_token_is_seen():
    op = randomise(TokenAttention(4, 6))
    assert seen_tokens(op, 3, 4, 4, query=(1, 2)) == all_tokens(3, 4)
