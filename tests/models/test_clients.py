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


def trains_and_answers(network, *inputs):
    """The output in evaluation, after a step in training that gives every trained parameter a finite gradient."""
    network.train()
    sum(tensor.float().square().mean() for tensor in flat(network(*inputs))).backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    return network.eval()(*inputs)


def flat(output):
    """The tensors in an output."""
    inner = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else ()
    return [output] if isinstance(output, torch.Tensor) else [tensor for one in inner for tensor in flat(one)]


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["Unet", "FPN", "UPerNet"])
def test_segmentation_models_decode_a_pyramid(decoder):
    smp = pytest.importorskip("segmentation_models_pytorch")
    network = getattr(smp, decoder)("tu-pvtv2_b0", encoder_weights=None, classes=2)
    assert trains_and_answers(network, torch.randn(2, 3, 64, 64)).shape == (2, 2, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "readout"),
    [("pvt_tiny", "cat"), ("deit_tiny", "cat"), ("localvit_tiny", "add"), ("shuffle_tiny", "ignore")],
)
def test_segmentation_models_read_out_prefix_tokens(name, readout):
    smp = pytest.importorskip("segmentation_models_pytorch")
    network = smp.DPT(f"tu-{name}", encoder_weights=None, classes=2, decoder_readout=readout)
    assert trains_and_answers(network, torch.randn(2, 3, 64, 64)).shape == (2, 2, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RetinaNet", "FCOS"])
def test_torchvision_detects_with_a_pyramid(kind):
    from torchvision.models import detection
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork

    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = timm.create_model("shuffle_tiny", features_only=True, out_indices=(1, 2, 3))
            self.out_channels = 32
            self.pyramid = FeaturePyramidNetwork(self.body.feature_info.channels(), 32)

        def forward(self, image):
            return self.pyramid({str(level): one for level, one in enumerate(self.body(image))})

    sizes, ratios = ((32,), (64,), (128,)), ((1.0,),) * 3
    network = getattr(detection, kind)(
        Maps(), num_classes=2, anchor_generator=AnchorGenerator(sizes, ratios), min_size=64, max_size=64
    ).train()
    image = [torch.rand(3, 64, 64)]
    losses = network(image, [{"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}])
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert next(network.backbone.body.parameters()).grad.any()
    assert {"boxes", "scores", "labels"} <= set(network.eval()(image)[0])


SMALL_DETR = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "num_queries": 4,
    "num_labels": 2,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["localvit_tiny", "localvit_pvt_tiny", "shuffle_tiny"])
def test_transformers_detr_replaces_the_batch_norms(name):
    transformers = pytest.importorskip("transformers")
    backbone = transformers.TimmBackboneConfig(backbone=name, use_pretrained_backbone=False, out_indices=[3])
    network = transformers.DetrForObjectDetection(transformers.DetrConfig(backbone_config=backbone, **SMALL_DETR))
    assert not [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert network.eval()(torch.randn(1, 3, 64, 64)).logits.shape == (1, 4, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "widths"), [("localvit_pvt_tiny", [128, 320, 512]), ("shuffle_tiny", [192, 384, 768])]
)
def test_transformers_rt_detr_replaces_the_batch_norms(name, widths):
    transformers = pytest.importorskip("transformers")
    backbone = transformers.TimmBackboneConfig(backbone=name, use_pretrained_backbone=False, out_indices=[1, 2, 3])
    inside = {"encoder_hidden_dim": 16, "encoder_in_channels": widths, "decoder_in_channels": [16] * 3}
    config = transformers.RTDetrConfig(backbone_config=backbone, num_denoising=0, **inside, **SMALL_DETR)
    network = transformers.RTDetrForObjectDetection(config).eval()
    assert not [module for module in network.model.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert network(torch.randn(1, 3, 64, 64)).logits.shape == (1, 4, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@with_batch_norm
def test_peft_adds_low_rank_adapters_to_linear_maps_and_convolutions(name):
    peft = pytest.importorskip("peft")
    model, image = model_with_statistics(name)
    expected = model(image)
    dense = [
        key
        for key, module in model.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    ]
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=dense)).eval()
    torch.testing.assert_close(adapted(image), expected)
    with torch.no_grad():
        for key, parameter in adapted.named_parameters():
            if "lora_B" in key:
                parameter.normal_(std=0.01)
    changed = adapted(image)
    assert not torch.allclose(changed, expected)
    torch.testing.assert_close(adapted.merge_and_unload()(image), changed, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_torchinfo_sees_the_shapes_of_the_convolutions():
    torchinfo = pytest.importorskip("torchinfo")
    model = timm.create_model("localvit_tiny", num_classes=3, depth=1)
    found = torchinfo.summary(model, input_size=(1, 3, 224, 224), verbose=0).summary_list
    (stem,) = [layer for layer in found if layer.var_name == "projection" and layer.class_name == "Conv2d"]
    assert stem.output_size == [1, 192, 14, 14]
    assert stem.macs == model.stem.macs(14, 14) + 192 * 14 * 14, "torchinfo counts the biases"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_grad_cam_reads_a_convolution():
    grad_cam = pytest.importorskip("pytorch_grad_cam")
    model, image = model_with_statistics("shuffle_tiny")
    with grad_cam.GradCAM(model=model, target_layers=[model.stages[3].downsample.projection]) as camera:
        seen = camera(input_tensor=image[:1], targets=None)
    assert seen.shape == (1, 64, 64)
