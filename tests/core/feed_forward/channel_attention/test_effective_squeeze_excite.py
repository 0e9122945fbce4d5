import torch
from torch import nn

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from vitcore import EffectiveSqueezeExcite


def test_it_equals_its_equations():
    op = randomise(EffectiveSqueezeExcite(6))

    def twin(grid):
        z = sum(grid[:, i, j] for i in range(3) for j in range(5)) / 15
        gate = torch.clamp(z @ op.excite.weight.T + op.excite.bias + 3, 0, 6) / 6
        return torch.stack([torch.stack([grid[:, i, j] * gate for j in range(5)], 1) for i in range(3)], 1)

    # torch's hard sigmoid multiplies its gradient by a float32 sixth, in float64 too: 3e-8.
    assert_same_function(op, twin, random_grid(3, 5, 6), tolerance=1e-7)


def test_a_gate_sees_the_whole_map():
    op = randomise(EffectiveSqueezeExcite(4, gate=nn.Sigmoid))
    assert seen_tokens(op, 3, 4, 4, query=(1, 1)) == all_tokens(3, 4)


def test_there_is_no_bottleneck():
    assert EffectiveSqueezeExcite(32).excite.weight.shape == (32, 32)
