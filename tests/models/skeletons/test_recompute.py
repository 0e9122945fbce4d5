"""Gradient checkpointing: less memory, the same step."""

import copy

import pytest
import timm
import torch
from torch import nn

from vitcore import GridBatchNorm2d
from vitmodels.skeletons.recompute import frozen_statistics


def test_a_step_saves_the_activations_of_the_block_inputs_alone():
    def saved_by_blocks(model):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()) or tensor, lambda x: x
        ):
            model(torch.randn(2, 3, 64, 64))
        return sum(sizes)

    model = timm.create_model("localvit_tiny", img_size=64).train()
    plain = saved_by_blocks(model)
    model.set_grad_checkpointing()
    assert saved_by_blocks(model) < plain / 4
    model.set_grad_checkpointing(False)
    assert saved_by_blocks(model) == plain


@pytest.mark.parametrize("momentum", [0.1, None])
def test_frozen_statistics_do_not_move(momentum):
    norm = nn.Sequential(GridBatchNorm2d(4, momentum=momentum)).train()
    grid = torch.randn(2, 3, 3, 4)
    norm(grid)
    before = copy.deepcopy(norm.state_dict())
    with frozen_statistics(norm):
        again = norm(3 * grid + 1)
    assert all(value.equal(before[name]) for name, value in norm.state_dict().items())
    assert norm.state_dict().keys() == before.keys()
    torch.testing.assert_close(again, norm(3 * grid + 1))
    assert norm[0].num_batches_tracked.item() == 2
    assert not norm[0].running_mean.equal(before["0.running_mean"])


def test_the_statistics_move_again_after_an_error():
    norm = GridBatchNorm2d(4).train()
    with pytest.raises(RuntimeError), frozen_statistics(norm):
        norm(torch.zeros(1, 2, 2, 5))
    assert norm.momentum == 0.1
    assert norm.num_batches_tracked.item() == 0


@pytest.mark.slow
def test_a_compiled_step_counts_its_batch_once():
    image = torch.randn(4, 3, 64, 64)
    model = timm.create_model("localvit_tiny", img_size=64, depth=1).train()
    model.set_grad_checkpointing()
    torch.compile(model, backend="aot_eager", fullgraph=True)(image).square().mean().backward()
    counters = {value.item() for name, value in model.named_buffers() if name.endswith("num_batches_tracked")}
    assert counters == {1}
