"""LocalViT's tables: parameters to the last printed digit, multiply-adds of one 224 x 224 image within half a percent."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitmodels.presets.deit import MLP_BRANCH, every_stage

RELU6 = {"activation": "torch.nn.ReLU6", "channel_attention": "torch.nn.Identity"}
LOW, MID, HIGH = "stage1", "stage2", "stage3"


def feed_forward(**arguments):
    return every_stage(feed_forward={"op": {"init_args": arguments}})


def plain(*stages):
    """The MLP of DeiT instead of the locality feed-forward in these stages."""
    return {stage: {"feed_forward": MLP_BRANCH} for stage in stages}


def megaparameters(name, **parts):
    model = timm.create_model(name, device="meta", **parts)
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.3f}"


def gigamacs(name, **parts):
    model = timm.create_model(name, device="meta", **parts).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    return counter.get_total_flops() / 2e9


MODELS = [
    ("deit_tiny", "5.717", 1.254),
    ("deit_tiny_ratio6", "7.491", 1.602),
    ("deit_small", "22.051", 4.599),
    ("deit_base", "86.568", 17.565),
    ("localvit_tiny", "5.909", 1.266),
    ("localvit_tiny_se4", "9.376", 1.270),
    ("localvit_tiny_se48", "6.130", 1.266),
    ("localvit_tiny_se96", "5.982", 1.266),
    ("localvit_tiny_eca", "5.826", 1.266),
    ("localvit_tiny_eca_hard", "5.826", 1.266),
    ("localvit_tiny_h_swish", "5.826", 1.266),
    ("localvit_tiny_relu6", "5.826", 1.266),
    ("localvit_tiny_ratio6_relu6", "7.655", 1.621),
    ("localvit_small", "22.433", 4.617),
]

TABLES = {
    "table 1: DeiT-T, ratio 6": ("deit_tiny", feed_forward(ratio=6.0), "7.491", 1.602),
    "table 1: 1x1 convolutions alone, ratio 4": (
        "localvit_tiny",
        feed_forward(placement="none", **RELU6),
        "5.724",
        1.250,
    ),
    "table 1: 1x1 convolutions alone, ratio 6": (
        "localvit_tiny",
        feed_forward(placement="none", ratio=6.0, **RELU6),
        "7.503",
        1.597,
    ),
    "table 3: none (DeiT-T with 4 heads)": ("localvit_tiny", plain(LOW, MID, HIGH), "5.717", 1.254),
    "table 3: high": ("localvit_tiny", plain(LOW, MID), "5.781", 1.258),
    "table 3: mid": ("localvit_tiny", plain(LOW, HIGH), "5.781", 1.258),
    "table 3: low": ("localvit_tiny", plain(MID, HIGH), "5.781", 1.258),
    "table 3: low and mid": ("localvit_tiny", plain(HIGH), "5.845", 1.262),
    "table 4: ratio 1": ("localvit_tiny_h_swish", feed_forward(ratio=1.0), "3.082", 0.734),
    "table 4: ratio 2": ("localvit_tiny_h_swish", feed_forward(ratio=2.0), "3.996", 0.911),
    "table 4: ratio 3": ("localvit_tiny_h_swish", feed_forward(ratio=3.0), "4.911", 1.089),
    "table 4: ratio 6": ("localvit_tiny_h_swish", feed_forward(ratio=6.0), "7.655", 1.621),
    "table 4: ratio 1, SE-192": ("localvit_tiny", feed_forward(ratio=1.0), "3.089", 0.734),
    "table 4: ratio 2, SE-192": ("localvit_tiny", feed_forward(ratio=2.0), "4.019", 0.911),
    "table 4: ratio 3, SE-192": ("localvit_tiny", feed_forward(ratio=3.0), "4.959", 1.089),
    "table 4: ratio 6, SE-192": ("localvit_tiny", feed_forward(ratio=6.0), "7.835", 1.621),
}


@pytest.mark.parametrize(("name", "parameters", "macs"), MODELS, ids=[row[0] for row in MODELS])
def test_every_model_has_its_published_size_and_cost(name, parameters, macs):
    assert megaparameters(name) == parameters
    assert gigamacs(name) == pytest.approx(macs, rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parts", "parameters", "macs"), TABLES.values(), ids=TABLES)
def test_every_row_of_the_ablations_has_its_published_size_and_cost(name, parts, parameters, macs):
    assert megaparameters(name, **parts) == parameters
    assert gigamacs(name, **parts) == pytest.approx(macs, rel=5e-3)


@pytest.mark.parametrize(("stage", "layers"), [(LOW, range(4)), (MID, range(4, 8)), (HIGH, range(8, 12))])
def test_locality_sits_in_the_layers_of_its_stage(stage, layers):
    others = [other for other in (LOW, MID, HIGH) if other != stage]
    model = timm.create_model("localvit_tiny", device="meta", **plain(*others))
    with_locality = [
        index
        for index, block in enumerate(model.blocks)
        if type(block.feed_forward.op).__name__ == "LocalityFeedForward"
    ]
    assert with_locality == list(layers)


def test_without_locality_it_is_deit_with_four_heads():
    torch.manual_seed(0)
    host = timm.create_model(
        "deit_tiny", img_size=64, **every_stage(mixer={"op": {"init_args": {"head_dim": 48}}})
    ).eval()
    torch.manual_seed(0)
    bare = timm.create_model("localvit_tiny", img_size=64, **plain(LOW, MID, HIGH)).eval()
    image = torch.randn(2, 3, 64, 64)
    assert bare(image).equal(host(image))


@pytest.mark.parametrize(("name", "units"), [("localvit_tiny", 4), ("localvit_small", 4), ("localvit_tiny_se4", 192)])
def test_the_squeeze_keeps_the_units_that_the_name_promises(name, units):
    model = timm.create_model(name, device="meta")
    assert {block.feed_forward.op.channel_attention.squeeze.out_features for block in model.blocks} == {units}
