"""Maps stay channels-last in memory throughout a model; otherwise an op would copy them in every block."""

import pytest
import timm
import torch

from tests.models.every_model import smallest
from vitmodels.skeletons.block import ResidualBranch


@pytest.mark.parametrize("training", [False, True])
@smallest
def test_every_branch_gets_a_contiguous_map(name, training):
    model = timm.create_model(name).train(training)
    layouts = []
    for module in model.modules():
        if isinstance(module, ResidualBranch):
            module.register_forward_pre_hook(lambda _, inputs: layouts.append(inputs[0].is_contiguous()))
    model(torch.randn(2, 3, 64, 64))
    assert layouts
    assert all(layouts)
