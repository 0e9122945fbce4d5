import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise
from vitcore import EfficientChannel, SqueezeExcite


def test_squeeze_excite_equals_its_equations():
    op = randomise(SqueezeExcite(12, reduction=4))

    def twin(grid):
        z = sum(grid[:, i, j] for i in range(3) for j in range(5)) / 15
        hidden = torch.clamp(z @ op.squeeze.weight.T + op.squeeze.bias, min=0)
        s = torch.clamp(hidden @ op.excite.weight.T + op.excite.bias + 3, 0, 6) / 6
        return torch.stack([torch.stack([grid[:, i, j] * s for j in range(5)], 1) for i in range(3)], 1)

    # torch's hard sigmoid multiplies its gradient by a float32 sixth, in float64 too: 3e-8.
    assert_same_function(op, twin, random_grid(3, 5, 12), tolerance=1e-7)


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


@pytest.mark.parametrize("reduction", [0, 17])
def test_a_reduction_that_leaves_no_unit_is_refused(reduction):
    with pytest.raises(ValueError, match=f"got width=16, reduction={reduction}"):
        SqueezeExcite(16, reduction=reduction)


@pytest.mark.parametrize(("reduction", "units"), [(192, 4), (96, 8), (48, 16), (4, 192)])
def test_the_reductions_of_the_paper_keep_the_published_number_of_units(reduction, units):
    op = SqueezeExcite(768, reduction=reduction)
    assert op.squeeze.out_features == units
    assert sum(p.numel() for p in op.parameters()) == 2 * 768 * units + units + 768
