import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from vitcore import Mlp


def test_mlp_equals_two_linear_maps_token_by_token():
    op = randomise(Mlp(6, ratio=2.5, activation=nn.Tanh))

    def twin(grid):
        return torch.tanh(grid @ op.expand.weight.T + op.expand.bias) @ op.contract.weight.T + op.contract.bias

    assert_same_function(op, twin, random_grid(3, 4, 6))
    assert op.expand.out_features == 15


def test_a_token_sees_itself_only():
    assert seen_tokens(randomise(Mlp(6)), 4, 5, 6, query=(2, 3)) == {(2, 3)}


def test_a_ratio_without_hidden_channels_is_refused():
    with pytest.raises(
        ValueError, match=r"Mlp: ratio must give at least one hidden channel, got width=4, ratio=0\.2\."
    ):
        Mlp(4, ratio=0.2)
