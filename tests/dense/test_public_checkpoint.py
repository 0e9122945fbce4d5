"""Public checkpoints of whole networks, put together from the records of a backbone and of a head."""

import functools

import pytest
import timm
import torch
from torch import nn

from tests.golden_records import goldenfill
from tests.head_records import HeadRecord
from vitmodels import MisfitError
from vittasks import (
    FCN,
    FCOS,
    Detection,
    MaskRCNN,
    RetinaNet,
    Segmentation,
    SemanticFPN,
    UPerNet,
    load_public_checkpoint,
)

SWIN = {"map_norm": nn.LayerNorm, "head": UPerNet}
WHOLE = {
    "semantic_fpn": ("pvt_tiny", ("backbone__pvt_tiny_64x96", "semantic_fpn__pvt"), {"head": SemanticFPN}),
    "upernet": ("swin_tiny", ("backbone__swin_tiny_64x96", "upernet__swin_tiny"), {**SWIN, "auxiliary": FCN}),
    "upernet_alone": ("swin_tiny", ("backbone__swin_tiny_64x96", "upernet__swin_tiny"), SWIN),
    "retinanet": ("pvt_tiny", ("backbone__pvt_tiny_64x96", "retinanet__pvt"), RetinaNet),
    "mask_rcnn": ("pvt_tiny", ("backbone__pvt_tiny_64x96", "mask_rcnn__pvt"), MaskRCNN),
}


def task(model, records, parts, pretrained=None, **arguments):
    args = HeadRecord(records[1])["args"]
    pyramid = timm.create_model(model, num_classes=0, **arguments)
    if isinstance(parts, dict):
        return Segmentation(pyramid, args["classes"], **parts, pretrained=pretrained)
    detector = functools.partial(parts, channels=args["fpn_channels"])
    return Detection(pyramid, args["classes"], detector, pretrained=pretrained)


def save(path, records):
    """Write what mmsegmentation and mmdetection write."""
    backbone, head = (goldenfill.make_state_dict(HeadRecord(name).content) for name in records)
    state = {f"backbone.{name}": value for name, value in backbone.items()} | head
    torch.save({"meta": {"epoch": 12}, "state_dict": state}, path)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "semantic_fpn" else [pytest.mark.slow]) for name in WHOLE]
)
def test_a_whole_network_loads_and_no_weight_stays_as_it_was(name, tmp_path):
    model, records, parts = WHOLE[name]
    save(tmp_path / "public.pth", records)
    with torch.device("meta"):
        empty = task(model, records, parts)
    load_public_checkpoint(empty, tmp_path / "public.pth")  # a check of names and shapes
    whole = empty.to_empty(device="cpu")
    with torch.no_grad():
        for weight in whole.parameters():
            weight.fill_(7)
    load_public_checkpoint(whole, tmp_path / "public.pth")
    assert not [name for name, weight in whole.named_parameters() if (weight == 7).all()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["semantic_fpn", pytest.param("retinanet", marks=pytest.mark.exhaustive)])
def test_a_task_starts_from_a_public_checkpoint_of_the_whole_network(name, tmp_path):
    model, records, parts = WHOLE[name]
    save(tmp_path / "public.pth", records)
    state = task(model, records, parts, str(tmp_path / "public.pth")).state_dict()
    with torch.device("meta"):
        loaded = task(model, records, parts)
    loaded.to_empty(device="cpu")
    load_public_checkpoint(loaded, tmp_path / "public.pth")
    weights = [key for key, _ in loaded.named_parameters()]
    assert all(torch.equal(state[key], loaded.state_dict()[key]) for key in weights)
    with (
        torch.device("meta"),
        pytest.raises(MisfitError, match="holds a network on pvt_tiny, but this one is on pvt_small"),
    ):
        task("pvt_small", records, parts, str(tmp_path / "public.pth"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "arguments", "name"),
    [
        ("pvt_small", {}, "pvt_small"),
        ("swin_tiny", {}, "swin_tiny"),
        ("pvt_tiny", {"stage1": {"mixer": {"op": {"init_args": {"reduction": 4}}}}}, "a pyramid like pvt_tiny"),
    ],
)
def test_the_wrong_pyramid_is_refused_with_both_names(model, arguments, name, tmp_path):
    _, records, parts = WHOLE["semantic_fpn"]
    save(tmp_path / "public.pth", records)
    with torch.device("meta"):
        other = task(model, records, parts, **arguments)
    message = rf"holds a network on pvt_tiny, but this one is on {name}; it does not fit this Segmentation"
    with pytest.raises(MisfitError, match=message):
        load_public_checkpoint(other, tmp_path / "public.pth")


def test_a_head_without_public_names_is_refused(tmp_path):
    with torch.device("meta"):
        detector = Detection(timm.create_model("pvt_tiny", num_classes=0), 5, FCOS)
    save(tmp_path / "public.pth", WHOLE["retinanet"][1])
    with pytest.raises(ValueError, match=r"no public names are known for FCOS; they are for SemanticFPN, UPerNet"):
        load_public_checkpoint(detector, tmp_path / "public.pth")


NARROW = {"mixer": {"op": {"init_args": {"head_dim": 8}}}}
SMALL = {"img_size": 64, "every": NARROW, **{f"stage{i}": {"width": 16, "depth": 1} for i in range(1, 5)}}


@pytest.mark.parametrize("network", [functools.partial(FCOS, channels=32), SemanticFPN])
def test_a_task_starts_from_a_run_of_the_same_task(network, tmp_path):
    def made(pretrained=None, **arguments):
        pyramid = timm.create_model("pvt_tiny", num_classes=0, **SMALL | arguments)
        kind = Segmentation if network is SemanticFPN else Detection
        return kind(pyramid, 5, network, pretrained=pretrained)

    trained = made().state_dict()
    (tmp_path / "run").mkdir()
    torch.save({"pytorch-lightning_version": "2.6", "state_dict": trained}, tmp_path / "run/last.ckpt")
    (tmp_path / "run/config.yaml").write_text("")
    for path in (tmp_path / "run", tmp_path / "run/last.ckpt"):
        assert all(torch.equal(value, trained[name]) for name, value in made(str(path)).state_dict().items())
    with pytest.raises(
        MisfitError, match=r"holds a network on a pyramid of 1, 1, 1, 1 blocks, .* of 2, 1, 1, 1 blocks"
    ):
        made(str(tmp_path / "run"), stage1={"width": 16, "depth": 2})
    (name,) = (name for name in trained if name.endswith("stages.0.downsample.norm.weight"))
    torch.save({"state_dict": trained | {name: trained[name] * float("nan")}}, tmp_path / "run/last.ckpt")
    with pytest.raises(
        MisfitError, match=r"run has values that no training can start from:\n  .*weight, NaN or infinite$"
    ):
        made(str(tmp_path / "run"))
