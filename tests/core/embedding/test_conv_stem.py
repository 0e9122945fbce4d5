import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.core.checks import assert_same_function, random_grid, randomise
from tests.core.textbook import batch_norm, convolution_by_loops
from vitcore import ConvStem


@pytest.mark.parametrize(
    ("layers", "last", "activation"), [(2, "pointwise", nn.Tanh), (1, "none", nn.Tanh), (3, "none", nn.Tanh)]
)
def test_it_equals_its_layers_token_by_token(layers, last, activation):
    op = randomise(ConvStem(3, 8, layers, last, activation=activation))

    def twin(image):
        grid = image.permute(0, 2, 3, 1)
        for conv, norm, _ in op.layers:
            grid = batch_norm(norm, convolution_by_loops(grid, conv.weight, stride=2, padding=1)).tanh()
        return grid if last == "none" else grid @ op.last.weight[:, :, 0, 0].T + op.last.bias

    assert_same_function(op, twin, random_grid(7, 6, 3).detach().permute(0, 3, 1, 2).requires_grad_())


def test_the_channels_double_from_layer_to_layer_up_to_the_width():
    op = ConvStem(3, 64, layers=4)
    convolutions = [m for m in op.layers.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in convolutions] == [(3, 8), (8, 16), (16, 32), (32, 64)]
    assert op.reduction == 16


def test_the_cost_is_that_of_every_layer_on_its_own_map():
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        op = ConvStem(3, 16, layers=3, last="none").eval()
        op(torch.zeros(1, 3, 16, 24))
    assert op.macs(2, 3) == counter.get_total_flops() / 2


def test_a_width_that_cannot_be_halved_often_enough_is_refused():
    with pytest.raises(
        ValueError, match=r"ConvStem: width must be divisible by 2\*\*\(layers - 1\), .* got width=20, layers=4\."
    ):
        ConvStem(3, 20, layers=4)
    with pytest.raises(ValueError, match=r"got width=20, layers=0\."):
        ConvStem(3, 20, layers=0)
