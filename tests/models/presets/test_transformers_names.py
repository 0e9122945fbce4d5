"""Weights of the library transformers load, from its files and from its modules, and our models compute what its models compute.

Its models have random weights and ours their one epsilon, see ``vitmodels.presets.key_rules``.
"""

import re

import pytest
import timm
import torch
from torch import nn

import vitmodels

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COLUMN = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 512,
    "image_size": 32,
}
OUR_COLUMN = {"width": 128, "depth": 3, "img_size": 32}
WIDTHS = (32, 64, 128, 256)
OUR_WIDTHS = {f"stage{i}.width": width for i, width in enumerate(WIDTHS, 1)}
OUR_DEPTHS = {f"stage{i}.depth": 2 for i in range(1, 5)}
SWIN = {"embed_dim": 32, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8]}
OUR_WINDOWS = {f"stage{i}.mixer.op.window": 4 for i in range(1, 5)}
OUR_SHIFTS = {f"stage{i}.alternate.mixer.op.shift": 2 for i in range(1, 5)}
OUR_SWIN = OUR_WIDTHS | OUR_DEPTHS | OUR_WINDOWS | OUR_SHIFTS | {"img_size": 128}

MODELS = {
    "vit": (transformers.ViTConfig, COLUMN, transformers.ViTForImageClassification, "deit_tiny", OUR_COLUMN),
    "deit": (
        transformers.DeiTConfig,
        COLUMN,
        transformers.DeiTForImageClassificationWithTeacher,
        "deit_tiny_distilled",
        OUR_COLUMN,
    ),
    "pvt": (
        transformers.PvtConfig,
        {"image_size": 64, "depths": [2, 2, 2, 2]},
        transformers.PvtForImageClassification,
        "pvt_tiny",
        {"img_size": 64},
    ),
    "pvt_v2": (transformers.PvtV2Config, {}, transformers.PvtV2ForImageClassification, "pvtv2_b0", {"img_size": 64}),
    "pvt_v2, linear": (
        transformers.PvtV2Config,
        {"linear_attention": True, "depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 320, 512]},
        transformers.PvtV2ForImageClassification,
        "pvtv2_b2_li",
        {"img_size": 64},
    ),
    "swin": (
        transformers.SwinConfig,
        {"image_size": 128, "window_size": 4, **SWIN},
        transformers.SwinForImageClassification,
        "swin_tiny",
        OUR_SWIN,
    ),
    "swin, positions": (
        transformers.SwinConfig,
        {"image_size": 128, "window_size": 4, "use_absolute_embeddings": True, **SWIN},
        transformers.SwinForImageClassification,
        "swin_tiny",
        OUR_SWIN | {"stage1.absolute_position": "vitcore.AbsolutePosition"},
    ),
    "dinat": (
        transformers.DinatConfig,
        {"kernel_size": 3, "dilations": [[1, 1]] * 4, "layer_scale_init_value": 0.0, **SWIN},
        transformers.DinatForImageClassification,
        "nat_mini",
        OUR_WIDTHS | OUR_DEPTHS | {f"stage{i}.mixer.op.kernel_size": 3 for i in range(1, 5)} | {"img_size": 128},
    ),
}


def pair(kind):
    """A model of transformers in float64 with random weights and three classes, and the builder of ours."""
    config, sizes, cls, name, arguments = MODELS[kind]
    torch.manual_seed(5)
    theirs = cls(config(num_labels=3, **sizes)).double().eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.1)
    return theirs, lambda **more: timm.create_model(name, **({"num_classes": 3} | arguments | more))


def started(name, build, state):
    """A model of ours in float64 with the weights of a state dict."""
    model = build(dtype=torch.float64).eval()
    model.load_state_dict(vitmodels.translate(state, vitmodels.PRESETS[name].rules, model))
    return model


def with_epsilon(model, epsilon):
    """The model with the same epsilon in all its norms."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = epsilon
    return model


def in_natten_order(grid):
    """(b, w, h, n, d), which transformers 5.24 hands over, as (b, n, h, w, d), which natten took and gave back."""
    return grid.permute(0, 3, 2, 1, 4)


def window_of(size, kernel):
    """The kernel's places of each row or column of a map, moved back into it at the borders."""
    middle = torch.arange(size).clamp(kernel // 2, size - 1 - kernel // 2)
    return middle[:, None] - kernel // 2 + torch.arange(kernel)


def scores_of_neighbours(query, key, bias, kernel, dilation):
    """What transformers takes from the package natten, which no longer has it: scores of the neighbours with their biases."""
    assert dilation == 1
    query, key = in_natten_order(query), in_natten_order(key)
    height, width = query.shape[2:4]
    rows, columns = window_of(height, kernel), window_of(width, kernel)
    near = key[:, :, rows][:, :, :, :, columns].transpose(3, 4)  # (b, n, h, w, kernel, kernel, d)
    down = rows - torch.arange(height)[:, None] + kernel - 1
    right = columns - torch.arange(width)[:, None] + kernel - 1
    steps = bias[:, down][:, :, :, right].transpose(2, 3)  # (n, h, w, kernel, kernel)
    return (torch.einsum("bnhwd,bnhwijd->bnhwij", query, near) + steps).flatten(4)


def mixed_neighbours(weights, value, kernel, dilation):
    """The same of the mixed values."""
    assert dilation == 1
    value = in_natten_order(value)
    rows, columns = (window_of(size, kernel) for size in value.shape[2:4])
    near = value[:, :, rows][:, :, :, :, columns].transpose(3, 4)
    return torch.einsum("bnhwij,bnhwijd->bnhwd", weights.unflatten(4, (kernel, kernel)), near)


@pytest.fixture(autouse=True)
def natten(monkeypatch):
    """Neighbourhood attention by its definition, for transformers' DiNAT."""
    from transformers.models.dinat import modeling_dinat

    monkeypatch.setattr(modeling_dinat, "requires_backends", lambda *_: None)
    monkeypatch.setattr(modeling_dinat, "natten2dqkrpb", scores_of_neighbours, raising=False)
    monkeypatch.setattr(modeling_dinat, "natten2dav", mixed_neighbours, raising=False)


@pytest.mark.parametrize("form", ["file", "module"])
@pytest.mark.parametrize("kind", MODELS)
def test_logits_agree(kind, form, tmp_path):
    theirs, build = pair(kind)
    if form == "file":
        theirs.save_pretrained(tmp_path)
        state = vitmodels.read_checkpoint(tmp_path)
    else:
        state = theirs.state_dict()
    epsilons = {module.eps for module in theirs.modules() if isinstance(module, nn.LayerNorm)}
    ours = with_epsilon(started(MODELS[kind][3], build, state), *epsilons)
    side = MODELS[kind][4]["img_size"]
    image = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs(image).logits
        found = ours(image)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["vit", "pvt", "pvt_v2", "swin", "dinat"])
def test_a_folder_of_a_base_model_starts_a_model_with_a_new_head(kind, tmp_path, caplog):
    theirs, build = pair(kind)
    theirs.base_model.save_pretrained(tmp_path)
    ours = build(pretrained=True, num_classes=4, pretrained_cfg_overlay={"file": str(tmp_path)})
    assert "the head is new (4 classes; the file has no such head)." in caplog.text
    whole = started(MODELS[kind][3], build, theirs.state_dict()).state_dict()
    assert all(value.equal(whole[name].float()) for name, value in ours.state_dict().items() if "head." not in name)


def test_layer_scale_is_refused_and_named(tmp_path):
    theirs, build = pair("dinat")
    scaled = theirs.config.to_dict() | {"layer_scale_init_value": 1e-5}
    transformers.DinatForImageClassification(transformers.DinatConfig(**scaled)).save_pretrained(tmp_path)
    with pytest.raises(vitmodels.MisfitError, match=r"layer_scale_parameters, 2 tensors, shape \(2, 32\), left over"):
        build(pretrained=True, pretrained_cfg_overlay={"file": str(tmp_path)})


PUBLIC_NAT = (
    (r"^dinat\.", ""),
    (r"encoder\.", ""),
    (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"embeddings\.norm", "patch_embed.norm"),
    (r"levels\.(\d)\.layers", r"levels.\1.blocks"),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"attention\.self\.rpb", "attn.rpb"),
    (r"attention\.self\.qkv", "attn.qkv"),
    (r"attention\.output\.dense", "attn.proj"),
    (r"intermediate\.dense", "mlp.fc1"),
    (r"output\.dense", "mlp.fc2"),
    (r"^layernorm", "norm"),
    (r"^classifier", "head"),
)


def test_the_names_of_nats_public_code_give_the_same():
    theirs, build = pair("dinat")
    joined = vitmodels.PRESETS["nat_mini"].rules.others[0].joined(theirs.state_dict())
    for pattern, replacement in PUBLIC_NAT:
        joined = {re.sub(pattern, replacement, name): value for name, value in joined.items()}
    found, expected = (started("nat_mini", build, state).state_dict() for state in (joined, theirs.state_dict()))
    assert all(value.equal(expected[name]) for name, value in found.items())
