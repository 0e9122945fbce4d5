"""What other libraries do with a model: convert, freeze, count, wrap. Their packages are the dependency group ``clients``."""

import copy

import pytest
import timm
import torch
from timm.layers import freeze_batch_norm_2d, unfreeze_batch_norm_2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.models.every_model import every_model
from vitcore import DepthwiseConv2d, GridBatchNorm2d, GridConv2d

WITH_BATCH_NORM = {
    "localvit_tiny": {"depth": 2, "img_size": 32},
    "localvit_pvt_tiny": {"img_size": 32},
    "shuffle_tiny": {},
    "pale_tiny_compat": {},
}
with_batch_norm = pytest.mark.parametrize("name", WITH_BATCH_NORM)


def model_with_statistics(name):
    """A model whose BatchNorms have seen a batch, and an image."""
    torch.manual_seed(3)
    model = timm.create_model(name, num_classes=5, **WITH_BATCH_NORM[name]).train()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        model(image)
    return model.eval(), image


@every_model
def test_norms_and_convolutions_are_torchs_own(name):
    model = timm.create_model(name, device="meta")
    kinds = {type(module) for module in model.modules()}
    assert not kinds & {GridBatchNorm2d, GridConv2d, DepthwiseConv2d}
    assert {kind for kind in kinds if issubclass(kind, _BatchNorm)} <= {nn.BatchNorm2d}


@with_batch_norm
def test_synchronised_batch_norms_compute_the_same_in_evaluation(name):
    model, image = model_with_statistics(name)
    expected = model(image)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
    torch.testing.assert_close(converted(image), expected)


@with_batch_norm
def test_timm_freezes_and_unfreezes_the_batch_norms(name):
    model, image = model_with_statistics(name)
    expected, keys = model(image), set(model.state_dict())
    frozen = freeze_batch_norm_2d(copy.deepcopy(model)).train()
    assert not [module for module in frozen.modules() if isinstance(module, nn.BatchNorm2d)]
    torch.testing.assert_close(frozen(image), expected)
    assert {key for key in keys if "num_batches" not in key} == set(frozen.state_dict())
    torch.testing.assert_close(unfreeze_batch_norm_2d(frozen).eval()(image), expected)
