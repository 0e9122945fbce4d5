import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import convolution_by_loops, linear
from tests.golden_records import OpRecord
from vitcore import ConvolutionalFeedForward, Mlp

NAMES = {"fc1": "expand", "dwconv.dwconv": "middle", "fc2": "contract"}


def test_it_computes_what_the_public_code_computes():
    record = OpRecord("pvt_v2_mlp")

    def rename(name):
        layer, kind = name.rsplit(".", 1)
        return f"{NAMES[layer]}.{kind}"

    op = record.load(ConvolutionalFeedForward(32, ratio=4.0), rename)
    record.assert_matches(lambda x: op(x.unflatten(1, (14, 14))).flatten(1, 2))


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


@pytest.mark.parametrize(("h", "w", "kernel_size"), [(4, 3, 3), (1, 5, 3), (1, 1, 3), (3, 4, 5)])
@pytest.mark.parametrize("before", [nn.Identity, nn.ReLU])
def test_it_equals_the_layers_token_by_token(h, w, kernel_size, before):
    op = randomise(ConvolutionalFeedForward(4, 2.0, kernel_size, activation_before=before))

    def twin(grid):
        hidden = linear(op.expand, grid)
        hidden = torch.clamp(hidden, min=0) if before is nn.ReLU else hidden
        hidden = convolution_by_loops(hidden, op.middle.weight, op.middle.bias, padding=kernel_size // 2)
        return linear(op.contract, gelu(hidden))

    assert_same_function(op, twin, random_grid(h, w, 4))


@pytest.mark.parametrize(("kernel_size", "reach"), [(1, 0), (3, 1), (5, 2)])
def test_a_token_sees_its_neighbours_within_the_kernel_and_no_other(kernel_size, reach):
    op = randomise(ConvolutionalFeedForward(4, 2.0, kernel_size))
    square = {
        (i, j) for i in range(3 - reach, 4 + reach) for j in range(1 - reach, 2 + reach) if 0 <= i < 7 and 0 <= j < 6
    }
    assert seen_tokens(op, 7, 6, 4, query=(3, 1)) == square


def test_a_centre_tap_of_one_leaves_the_plain_feed_forward():
    plain, local = randomise(Mlp(8)), randomise(ConvolutionalFeedForward(8))
    local.load_state_dict(plain.state_dict(), strict=False)
    local.middle.weight.data.zero_()
    local.middle.weight.data[:, :, 1, 1] = 1
    local.middle.bias.data.zero_()
    grid = random_grid(5, 4, 8)
    torch.testing.assert_close(local(grid), plain(grid))


def test_a_class_token_is_refused():
    with pytest.raises(TypeError, match="ConvolutionalFeedForward has no rule for prefix tokens, got 1"):
        ConvolutionalFeedForward(8).forward_prefixed(torch.zeros(1, 2, 2, 8), torch.zeros(1, 1, 8))


def test_bad_arguments_are_refused_with_their_values():
    with pytest.raises(ValueError, match=r"ConvolutionalFeedForward: kernel_size must be odd .* got kernel_size=4\."):
        ConvolutionalFeedForward(8, kernel_size=4)
    with pytest.raises(ValueError, match=r"ConvolutionalFeedForward: ratio .* got width=8, ratio=0\.1\."):
        ConvolutionalFeedForward(8, ratio=0.1)
