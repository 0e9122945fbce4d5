import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise
from vitcore import EfficientChannel


@pytest.mark.parametrize(
    ("gate", "function"), [(nn.Sigmoid, torch.sigmoid), (nn.Hardsigmoid, lambda x: torch.clamp(x + 3, 0, 6) / 6)]
)
def test_efficient_channel_gates_by_neighbouring_channels(gate, function):
    op = randomise(EfficientChannel(16, gate=gate))
    k = op.mix.weight.shape[-1]

    def twin(grid):
        z = grid.flatten(1, 2).mean(1)
        logits = []
        for c in range(16):
            taps = [(c + o - k // 2, o) for o in range(k) if 0 <= c + o - k // 2 < 16]
            logits.append(sum(z[:, source] * op.mix.weight[0, 0, o] for source, o in taps))
        return grid * function(torch.stack(logits, 1))[:, None, None]

    assert_same_function(op, twin, random_grid(3, 5, 16), tolerance=1e-7)


@pytest.mark.parametrize(("width", "kernel"), [(16, 3), (128, 5), (768, 5), (1536, 5), (2048, 7)])
def test_the_kernel_of_efficient_channel_grows_with_the_width_as_published(width, kernel):
    assert EfficientChannel(width).mix.kernel_size == (kernel,)
