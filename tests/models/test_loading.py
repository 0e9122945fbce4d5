"""Weights of public files: read whole, fitted to other sizes, or refused with a list of what does not fit."""

import pytest
import timm
import torch
from safetensors.torch import save_file

import vitmodels
from tests.golden_records import goldenfill, model_record
from vitcore.position.absolute_position import resize_table


@pytest.fixture(scope="module")
def pvt_state():
    """The state dict of the public PVT-Tiny, under its own names."""
    return goldenfill.make_state_dict(model_record("pvt", "pvt_tiny"))


@pytest.fixture(scope="module")
def swin_state():
    """The state dict of the public Swin-T, without its masks and index tables."""
    return goldenfill.make_state_dict(model_record("swin", "swin_tiny_patch4_window7_224"))


WRAPPED = {
    "bare": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state},
    "ema first": lambda state: {"model": {name: value + 1 for name, value in state.items()}, "model_ema": state},
    "module.": lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_a_public_file_loads_out_of_its_wrapper(wrapper, pvt_state, tmp_path):
    torch.save(WRAPPED[wrapper](pvt_state), tmp_path / "public.pth")
    model = vitmodels.load_checkpoint("pvt_tiny", tmp_path / "public.pth").eval()
    record = model_record("pvt", "pvt_tiny")
    with torch.no_grad():
        logits = model(goldenfill.record_input(record))
    assert goldenfill.compare(logits, record["logits"])["max_rel"] < 1e-4


def test_safetensors_under_either_names_give_the_same_model(pvt_state, tmp_path):
    save_file(pvt_state, tmp_path / "theirs.safetensors")
    first = vitmodels.load_checkpoint("pvt_tiny", tmp_path / "theirs.safetensors").state_dict()
    save_file(first, tmp_path / "ours.safetensors")
    second = vitmodels.load_checkpoint("pvt_tiny", tmp_path / "ours.safetensors").state_dict()
    assert all(first[name].equal(second[name]) for name in first)


def test_structural_tensors_may_be_there_or_not(swin_state, tmp_path):
    structure = {
        "layers.0.blocks.1.attn_mask": torch.zeros(64, 49, 49),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49, dtype=torch.int64),
    }
    models = []
    for number, state in enumerate((swin_state, swin_state | structure)):
        torch.save(state, tmp_path / f"{number}.pth")
        models.append(vitmodels.load_checkpoint("swin_tiny", tmp_path / f"{number}.pth").state_dict())
    assert all(models[0][name].equal(models[1][name]) for name in models[0])


def test_what_does_not_fit_is_listed(pvt_state, tmp_path):
    state = dict(pvt_state)
    state["extra.weight"] = state.pop("block1.0.attn.q.weight")
    state["norm.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "public.pth")
    with pytest.raises(ValueError, match=r"public\.pth does not fit pvt_tiny:") as caught:
        vitmodels.load_checkpoint("pvt_tiny", tmp_path / "public.pth")
    assert str(caught.value).split("\n  ")[1:] == [
        "norm.bias, shape (7,), expected (512,)",
        "extra.weight, shape (64, 64), left over",
        "stages.0.blocks.0.mixer.op.q.weight, shape (64, 64), missing in the file",
    ]


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match=r"there is no model 'pvt_huge'; vitmodels\.MODELS lists them"):
        vitmodels.load_checkpoint("pvt_huge", "nowhere.pth")


def test_tables_of_absolute_positions_are_interpolated_to_the_size_asked_for(pvt_state, tmp_path):
    torch.save(pvt_state, tmp_path / "public.pth")
    with pytest.warns(UserWarning, match=r"stages\.3\.position\.table, shape \(1, 50, 512\), here \(1, 41, 512\)"):
        model = vitmodels.load_checkpoint("pvt_tiny", tmp_path / "public.pth", img_size=(256, 160)).eval()
    record = model_record("pvt", "pvt_tiny__img224_in256x160")
    assert model.stages[0].position.table.shape == (1, 64 * 40, 64)
    with torch.no_grad():
        logits = model(goldenfill.record_input(record))
    assert goldenfill.compare(logits, record["logits"])["max_rel"] < 1e-4, "as if interpolated at run time"


def test_tables_of_relative_positions_are_interpolated_to_the_window_asked_for(swin_state, tmp_path):
    torch.save(swin_state, tmp_path / "public.pth")
    wider = {f"stage{i}": {"mixer": {"op": {"init_args": {"window": 12}}}} for i in range(1, 5)}
    with pytest.warns(UserWarning, match=r"stages\.2.*, 6 tensors, shape \(169, 12\), here \(529, 12\)"):
        model = vitmodels.load_checkpoint("swin_tiny", tmp_path / "public.pth", **wider)
    table = swin_state["layers.0.blocks.1.attn.relative_position_bias_table"]
    ours = model.stages[0].blocks[1].mixer.op.position.table
    assert ours.shape == (23**2, 3)
    torch.testing.assert_close(ours, resize_table(table.view(1, 13, 13, 3), 23, 23).view(-1, 3))


@pytest.mark.parametrize(("h", "w"), [(256, 160), (1333, 800)])
def test_weights_of_224_pixels_run_at_other_sizes(h, w, swin_state, tmp_path):
    torch.save(swin_state, tmp_path / "public.pth")
    overlay = {"file": str(tmp_path / "public.pth")}
    model = timm.create_model("swin_tiny", pretrained=True, pretrained_cfg_overlay=overlay, features_only=True).eval()
    with torch.no_grad():
        maps = model(torch.randn(1, 3, h, w))
    assert [m.shape[2:] for m in maps] == [(-(-(h // 4) // 2**i), -(-(w // 4) // 2**i)) for i in range(4)], (
        "patches floor, merging pads"
    )
    assert all(m.isfinite().all() for m in maps)
