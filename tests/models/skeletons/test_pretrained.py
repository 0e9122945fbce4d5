"""A model starts from the weights of a file: what is new is named, and nothing else stays random."""

import logging
import warnings
from pathlib import Path

import pytest
import timm
import torch

import vitmodels
from tests.models.every_model import every_model
from vitmodels.presets.deit import every_stage

COLUMN = {"depth": 1, "width": 64, "img_size": 32, "num_classes": 9}
LOCALITY = {"op": "vitcore.LocalityFeedForward", "norm": "torch.nn.Identity", "drop_path_scale": 0.0}


@pytest.fixture(scope="module")
def deit(tmp_path_factory):
    """The state dict of a DeiT-Tiny and its file."""
    return saved("deit_tiny", tmp_path_factory.mktemp("deit"))


@pytest.fixture(scope="module")
def swin(tmp_path_factory):
    """The state dict of a Swin-T with windows of 6, and its file."""
    return saved("swin_tiny", tmp_path_factory.mktemp("swin"), img_size=192, **windows(6))


def saved(name, folder, **arguments):
    state = timm.create_model(name, **arguments).state_dict()
    torch.save(state, folder / f"{name}.pth")
    return state, folder / f"{name}.pth"


def windows(side):
    return {f"stage{i}": {"mixer": {"op": {"init_args": {"window": side}}}} for i in range(1, 5)}


def differing(model, state):
    """The names of a model whose weights are not those of a state dict."""
    own = model.state_dict()
    return {name for name in own if name not in state or not own[name].equal(state[name])}


@every_model
@pytest.mark.parametrize("num_classes", [1000, 10])
def test_a_file_of_one_unknown_tensor_is_refused(name, num_classes, tmp_path):
    torch.save({"totally.wrong.weight": torch.zeros(3)}, tmp_path / "junk.pth")
    with pytest.raises(
        vitmodels.MisfitError, match=rf"junk\.pth does not fit {name}:\n  totally\.wrong\.weight, shape"
    ) as caught:
        timm.create_model(
            name,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(tmp_path / "junk.pth")},
            num_classes=num_classes,
            device="meta",
        )
    assert len(str(caught.value).split("\n")) <= 10


@every_model
def test_our_own_file_starts_a_model_with_another_head(name, tmp_path, caplog):
    state, path = saved(name, tmp_path)
    model = getattr(vitmodels, name)(pretrained=str(path), num_classes=3)
    assert {key.partition(".")[0] for key in differing(model, state)} <= {"head", "distillation_head"}
    assert caplog.messages == [f"{name}: weights from {path}; the head is new (3 classes; the file has 1000)."]


def test_the_head_is_kept_where_it_fits(deit, caplog):
    state, path = deit
    with caplog.at_level(logging.INFO, logger="vitmodels"):
        assert not differing(vitmodels.load_checkpoint("deit_tiny", path), state)
    assert caplog.messages == [f"deit_tiny: all weights from {path}."]


@pytest.mark.parametrize("num_classes", [1000, 5])
def test_a_file_without_a_head_loads(num_classes, deit, tmp_path, caplog):
    state = {name: value for name, value in deit[0].items() if not name.startswith("head.")}
    torch.save(state, tmp_path / "headless.pth")
    model = vitmodels.load_checkpoint("deit_tiny", tmp_path / "headless.pth", num_classes=num_classes)
    assert differing(model, state) == {"head.weight", "head.bias"}
    assert f"the head is new ({num_classes} classes; the file has no such head)" in caplog.text


@pytest.fixture(scope="module")
def column():
    """The state dict of a column of one block, under our names."""
    return timm.create_model("deit_tiny", **COLUMN).state_dict()


def below(module, state):
    return {f"{module}.{name}": value for name, value in state.items()}


BESIDE = {
    "a loss": (
        lambda state: below("model", state) | {"criterion.weight": torch.ones(9)},
        "model is taken; criterion.weight, left",
    ),
    "a further head": (
        lambda state: below("0", state) | below("1", {"weight": torch.ones(9, 4)}),
        "0 is taken; 1.weight, left out",
    ),
    "a student": (lambda state: below("student", state) | below("teacher", state), "teacher is taken; student."),
    "the head": (lambda state: below("backbone", headless(state)) | head(state), "backbone is taken."),
}


def headless(state):
    return {name: value for name, value in state.items() if not name.startswith("head.")}


def head(state):
    return {name: value for name, value in state.items() if name.startswith("head.")}


@pytest.mark.parametrize("what", BESIDE)
def test_what_a_training_keeps_beside_its_network_is_left_out_and_named(what, column, caplog):
    wrap, message = BESIDE[what]
    overlay = {"state_dict": {"model": wrap(column)}}
    model = timm.create_model("deit_tiny", pretrained=True, pretrained_cfg_overlay=overlay, **COLUMN)
    assert not differing(model, column)
    assert message in caplog.text


def test_two_networks_that_fit_are_not_guessed(column):
    overlay = {"state_dict": below("base_encoder", column) | below("momentum_encoder", column)}
    with pytest.raises(ValueError, match=r"several networks that fit deit_tiny \(base_encoder, momentum_encoder\)"):
        timm.create_model("deit_tiny", pretrained=True, pretrained_cfg_overlay=overlay, **COLUMN)


def test_a_file_of_shapes_alone_is_refused(column):
    overlay = {"state_dict": {name: value.to("meta") for name, value in column.items()}}
    with pytest.raises(ValueError, match="the state dict has values that cannot be copied"):
        timm.create_model("deit_tiny", pretrained=True, pretrained_cfg_overlay=overlay, **COLUMN)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda value: value * float("nan"), "NaN or infinite"),
        (lambda value: value.half() * float("inf"), "NaN or infinite"),
        (lambda value: value.to(torch.int8), "torch.int8, expected torch.float32"),
    ],
    ids=["NaN", "infinite", "whole numbers"],
)
def test_values_that_no_training_can_start_from_are_refused_and_named(damage, fault, column, tmp_path):
    name = "blocks.0.mixer.op.qkv.weight"
    torch.save({**column, name: damage(column[name])}, tmp_path / "weights.pth")
    message = rf"weights\.pth has values that no training can start from:\n  {name}, {fault}$"
    with pytest.raises(vitmodels.MisfitError, match=message):
        timm.create_model("deit_tiny", pretrained=str(tmp_path / "weights.pth"), **COLUMN)


@pytest.mark.parametrize("wrap", [*(wrap for wrap, _ in BESIDE.values()), dict], ids=[*BESIDE, "nothing"])
def test_a_diverged_network_is_recognised_beside_whatever_a_training_keeps(wrap, column, tmp_path):
    torch.save(wrap({name: value * float("nan") for name, value in column.items()}), tmp_path / "weights.pth")
    with pytest.raises(vitmodels.MisfitError, match="NaN or infinite") as refusal:
        timm.create_model("deit_tiny", pretrained=str(tmp_path / "weights.pth"), **COLUMN)
    assert len(str(refusal.value).splitlines()) <= 10


def test_half_precision_and_float8_weights_are_taken(column, tmp_path):
    for dtype in (torch.bfloat16, torch.float8_e4m3fn):
        state = {name: value.to(dtype) for name, value in column.items()}
        torch.save(state, tmp_path / "weights.pth")
        model = timm.create_model("deit_tiny", pretrained=str(tmp_path / "weights.pth"), **COLUMN)
        assert all(value.equal(state[name].float()) for name, value in model.state_dict().items())


def test_a_file_that_timm_reads_itself_is_unwrapped_and_what_is_new_is_named(column, tmp_path, caplog):
    torch.save({"model": below("module", column)}, tmp_path / "weights.pth")
    overlay = {"url": (tmp_path / "weights.pth").as_uri()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(tmp_path / "cache"))
        model = timm.create_model(
            "deit_tiny", pretrained=True, pretrained_cfg_overlay=overlay, **{**COLUMN, "num_classes": 5}
        )
    assert differing(model, column) == {"head.weight", "head.bias"}
    assert "weights from the checkpoint; the head is new (5 classes; the file has 9)" in caplog.text


@pytest.mark.parametrize("side", [32, 64])
def test_a_class_token_that_the_model_lacks_is_left_out_with_its_place(side, column, caplog):
    without = {**COLUMN, "img_size": side, "prefix_tokens": 0, "global_pool": "avg"}
    with warnings.catch_warnings(action="ignore"):
        model = vitmodels.load_checkpoint("deit_tiny", column, **without)
    assert differing(model, column) == {"position.table"}
    assert "prefix, the class token, is left out" in caplog.text
    if side == 32:
        assert model.position.table.equal(column["position.table"][:, 1:])


@pytest.mark.parametrize("form", [str, Path, dict, None])
def test_a_file_and_a_state_dict_are_given_alike(form, column, tmp_path):
    torch.save(column, tmp_path / "weights.pth")
    given = column if form is dict else form and form(tmp_path / "weights.pth")
    model = vitmodels.load_checkpoint("deit_tiny", given, **COLUMN)
    assert bool(differing(model, column)) == (form is None)
    if form in (str, Path):
        assert not differing(timm.create_model("deit_tiny", pretrained=given, **COLUMN), column)


def test_half_a_head_is_refused(deit, tmp_path):
    torch.save({name: value for name, value in deit[0].items() if name != "head.bias"}, tmp_path / "half.pth")
    with pytest.raises(vitmodels.MisfitError, match=r"head\.bias, shape \(1000,\), missing in the file"):
        vitmodels.load_checkpoint("deit_tiny", tmp_path / "half.pth")


@pytest.mark.parametrize("arguments", [{"num_classes": 0}, {"features_only": True}], ids=["no head", "features"])
def test_a_backbone_loads_without_the_head(arguments, deit):
    state, path = deit
    model = vitmodels.load_checkpoint("deit_tiny", path, **arguments)
    loaded = {name.removeprefix("model."): value for name, value in model.state_dict().items()}
    assert loaded
    assert all(value.equal(state[name]) for name, value in loaded.items())


@pytest.mark.parametrize(("name", "channels"), [("deit_tiny", 1), ("nat_mini", 5)])
def test_the_first_convolution_is_adapted_to_other_channels(name, channels, tmp_path, caplog):
    state, path = saved(name, tmp_path)
    model = vitmodels.load_checkpoint(name, path, in_chans=channels)
    (changed,) = differing(model, state)
    assert changed.startswith(timm.create_model(name, device="meta").default_cfg["first_conv"])
    assert f"the first convolution is adapted from 3 channels to {channels}" in caplog.text


def test_a_swapped_part_is_new_and_named(deit, caplog):
    state, path = deit
    model = vitmodels.load_checkpoint("deit_tiny", path, stage1={"feed_forward": LOCALITY})
    assert {name.rpartition(".feed_forward.")[0] for name in differing(model, state)} == {
        f"blocks.{i}" for i in range(4)
    }
    assert "blocks.*.feed_forward.op, 4 parts, new" in caplog.text
    assert "blocks.*.feed_forward.norm, 4 parts, left out" in caplog.text


def test_a_file_that_has_the_swapped_part_fills_it(tmp_path, caplog):
    local = {"stage1": {"feed_forward": LOCALITY}}
    state, path = saved("deit_tiny", tmp_path, **local)
    assert not differing(vitmodels.load_checkpoint("deit_tiny", path, **local), state)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"width": 256}, r"blocks\.\*\.mixer\.op\.qkv\.weight, 12 tensors, shape \(576, 192\), expected \(768, 256\)"),
        ({"depth": 13}, r"blocks\.12\.mixer\.norm\.weight, shape \(192,\), missing in the file"),
        ({"depth": 11}, r"blocks\.11\.mixer\.norm\.weight, shape \(192,\), left over"),
        (
            every_stage(feed_forward={"op": {"init_args": {"ratio": 2.0}}}),
            r"blocks\.\*\.feed_forward\.op\.expand\.weight, 12 tensors, shape \(768, 192\), expected \(384, 192\)",
        ),
    ],
    ids=["width", "deeper", "shallower", "ratio"],
)
def test_weights_outside_swapped_parts_must_fit(arguments, line, deit):
    with pytest.raises(vitmodels.MisfitError, match=line):
        vitmodels.load_checkpoint("deit_tiny", deit[1], **arguments)


def test_tables_of_another_window_are_interpolated_with_a_warning(swin):
    state, path = swin
    with pytest.warns(
        UserWarning, match=r"swin_tiny: tables of positions .* stages\.0\..*, shape \(121, 3\), here \(169, 3\)"
    ):
        model = vitmodels.load_checkpoint("swin_tiny", path, img_size=192)
    assert {name.rpartition(".")[2] for name in differing(model, state)} == {"table"}
    assert not differing(vitmodels.load_checkpoint("swin_tiny", path, img_size=192, **windows(6)), state)


def test_a_model_on_the_meta_device_is_checked_and_stays_empty(deit, tmp_path, caplog):
    with torch.device("meta"):
        model = vitmodels.deit_tiny(pretrained=str(deit[1]), num_classes=3)
    assert next(model.parameters()).is_meta
    assert not caplog.messages, "nothing was loaded"


def test_loading_draws_no_random_numbers(deit):
    drawn = []
    for file in (None, str(deit[1])):
        torch.manual_seed(0)
        vitmodels.deit_tiny(pretrained=file, num_classes=3, stage1={"feed_forward": LOCALITY})
        drawn.append(torch.rand(1))
    assert drawn[0].equal(drawn[1])


def test_a_trial_of_this_project_starts_another(deit, tmp_path):
    state = {f"backbone.{name}": value for name, value in deit[0].items()}
    torch.save(
        {"pytorch-lightning_version": "2.5", "state_dict": state, "current_model_state": {}}, tmp_path / "last.ckpt"
    )
    assert not differing(vitmodels.load_checkpoint("deit_tiny", tmp_path), deit[0])


@pytest.mark.parametrize("form", ["state_dict", "local-dir"])
def test_timm_hands_over_a_state_dict_or_a_folder(form, deit, tmp_path):
    state, _ = deit
    if form == "state_dict":
        overlay = {"pretrained_cfg_overlay": {"state_dict": dict(state)}}
        model = timm.create_model("deit_tiny", pretrained=True, num_classes=4, **overlay)
    else:
        timm.models.save_for_hf(timm.create_model("deit_tiny"), tmp_path)
        state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
        model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=4)
    assert differing(model, state) == {"head.weight", "head.bias"}
