"""Norms on grids: torch's own BatchNorm2d stays what it is inside the ops, so that libraries can convert and replace it."""

import copy
import functools

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from tests.core.checks import randomise
from vitcore import (
    ConvStem,
    GridBatchNorm2d,
    LocalityFeedForward,
    OverlapPatchMerging,
    SeparableProjection,
    SpatialReductionAttention,
)
from vitcore.norm import build_norm, normalise

HOLDERS = {
    "locality": lambda norm: LocalityFeedForward(8, 2, norm=norm),
    "locality_first": lambda norm: LocalityFeedForward(8, 2, placement="first", norm=norm),
    "stem": lambda norm: ConvStem(8, 8, layers=1, norm=norm, last_norm=norm),
    "projection": lambda norm: SeparableProjection(8, norm=norm),
    "merging": lambda norm: OverlapPatchMerging(8, 8, norm=norm),
    "reduction": lambda norm: SpatialReductionAttention(8, 4, reduction=2, norm=norm),
}


def frozen(module):
    """A copy in which each BatchNorm2d is one that libraries for detection put in its place: no subclass, the same names."""
    found = copy.deepcopy(module)
    for above in list(found.modules()):
        for name, norm in list(above.named_children()):
            if type(norm) is nn.BatchNorm2d:
                constant = FrozenBatchNorm2d(norm.num_features, eps=norm.eps)
                constant.load_state_dict(norm.state_dict())
                setattr(above, name, constant)
    return found


def values(module, grid):
    """What the module gives, as one tensor."""
    found = module(grid)
    return torch.cat(found, dim=-1) if isinstance(found, tuple) else found


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("norm", [GridBatchNorm2d, nn.BatchNorm2d, functools.partial(GridBatchNorm2d, eps=0.1)])
def test_a_holder_has_torchs_batch_norm_and_takes_what_stands_in_its_place(holder, norm):
    module = randomise(HOLDERS[holder](norm)).eval()
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms
    assert {type(part) for part in norms} == {nn.BatchNorm2d}
    assert {part.eps for part in norms} == {0.1 if isinstance(norm, functools.partial) else 1e-5}
    grid = torch.randn(2, 8, 6, 8) if holder != "stem" else torch.randn(2, 8, 6, 10)
    grid = grid.to(next(module.parameters()).dtype)
    expected = values(module, grid)
    replaced = frozen(module)
    assert not [part for part in replaced.modules() if isinstance(part, nn.BatchNorm2d)]
    torch.testing.assert_close(values(replaced, grid), expected)
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    assert sum(isinstance(part, nn.SyncBatchNorm) for part in synchronised.modules()) == len(norms)
    torch.testing.assert_close(values(synchronised, grid), expected)


@pytest.mark.parametrize("training", [True, False])
def test_the_norm_of_a_slot_computes_what_it_computes_by_itself(training):
    grid = torch.randn(2, 3, 5, 4)
    alone = GridBatchNorm2d(4).train(training)
    held = build_norm(GridBatchNorm2d, 4).train(training)
    assert normalise(held, grid).equal(alone(grid))
    assert held.state_dict().keys() == alone.state_dict().keys()
    assert all(value.equal(alone.state_dict()[name]) for name, value in held.state_dict().items())


def test_a_norm_of_ones_own_gets_the_grid():
    grid = torch.randn(2, 3, 5, 4)
    layer_norm = build_norm(nn.LayerNorm, 4)
    assert normalise(layer_norm, grid).equal(nn.functional.layer_norm(grid, (4,)))
    assert normalise(GridBatchNorm2d(4).eval(), grid).equal(GridBatchNorm2d(4).eval()(grid))


def test_the_held_norm_is_copied_and_pickled_as_what_it_is(tmp_path):
    held = build_norm(GridBatchNorm2d, 4)
    assert type(copy.deepcopy(held)) is nn.BatchNorm2d
    torch.save(held, tmp_path / "norm.pt")
    assert type(torch.load(tmp_path / "norm.pt", weights_only=False)) is nn.BatchNorm2d
