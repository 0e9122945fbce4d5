"""Public checkpoints: every name accounted for on both sides, wrappers taken off, pickles with code in them refused."""

import argparse

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.golden_records import goldenfill, model_record
from vitmodels import KeyRules, localvit_tiny, read_checkpoint, translate
from vitmodels.presets.localvit import SQUEEZE, rules

RULES = KeyRules(renames=((r"fc\.(.+)", r"first.\1"), (r"bn\.(.+)", r"second.\1")), structural=("*.mask", "index"))


class Model(nn.Module):
    """A linear map and a BatchNorm: weights, statistics and a counter."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.BatchNorm1d(3)


def public_state():
    """The weights of such a model under other names, without the counter."""
    return {
        "fc.weight": torch.randn(3, 2),
        "fc.bias": torch.randn(3),
        "bn.weight": torch.randn(3),
        "bn.bias": torch.randn(3),
        "bn.running_mean": torch.randn(3),
        "bn.running_var": torch.rand(3),
    }


def refusal(state, rules=RULES, **arguments):
    with pytest.raises(ValueError) as caught:
        translate(state, rules, Model(), **arguments)
    return str(caught.value)


def test_every_weight_gets_its_name():
    state, model = public_state(), Model()
    model.load_state_dict(translate(state, RULES, model))
    assert model.first.weight.equal(state["fc.weight"])
    assert model.second.running_var.equal(state["bn.running_var"])
    assert model.second.num_batches_tracked.item() == 0


def test_the_counter_is_taken_where_it_is_there():
    state = public_state() | {"bn.num_batches_tracked": torch.tensor(7)}
    model = Model()
    model.load_state_dict(translate(state, RULES, model))
    assert model.second.num_batches_tracked.item() == 7


def test_structural_entries_are_dropped_where_they_are_there():
    plain = public_state()
    with_them = plain | {"blocks.0.mask": torch.ones(2), "index": torch.arange(3)}
    one, two = (translate(state, RULES, Model()) for state in (plain, with_them))
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)


def test_our_own_names_pass_as_they_are():
    model = Model()
    state = model.state_dict()
    assert translate(state, RULES, model) == dict(state)
    without_counter = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert translate(without_counter, RULES, model) == without_counter


def test_the_transform_sees_our_names_and_changes_the_values():
    seen = []

    def double_weights(name, value, model):
        seen.append(name)
        return 2 * value if name == "first.weight" else value

    state = public_state()
    translated = translate(state, KeyRules(RULES.renames, transform=double_weights), Model())
    assert translated["first.weight"].equal(2 * state["fc.weight"])
    assert translated["first.bias"].equal(state["fc.bias"])
    assert sorted(seen) == sorted(name for name in Model().state_dict() if not name.endswith("tracked"))


def test_the_first_rule_that_matches_counts():
    ordered = KeyRules(((r"fc\.weight", "first.weight"), (r"fc\.(.+)", r"first.\1"), *RULES.renames[1:]))
    assert translate(public_state(), ordered, Model()).keys() == Model().state_dict().keys()


def test_a_rule_must_match_the_whole_name():
    state = public_state()
    state["module_fc.weight"] = state.pop("fc.weight")
    assert "no rule for module_fc.weight" in refusal(state)


def test_a_rule_that_was_never_used_is_named():
    unused = KeyRules((*RULES.renames, (r"head\.(.+)", r"head.\1")))
    assert refusal(public_state(), unused) == (r"The checkpoint does not fit Model: rule never used: head\.(.+).")


def test_a_name_of_theirs_that_is_left_over_is_named():
    assert refusal(public_state() | {"extra.weight": torch.zeros(1)}) == (
        "The checkpoint does not fit Model: no rule for extra.weight."
    )


def test_a_name_of_ours_that_stays_empty_is_named():
    state = public_state()
    del state["fc.bias"]
    assert refusal(state) == "The checkpoint does not fit Model: nothing becomes first.bias."


def test_a_wrong_shape_is_named_with_both_shapes():
    assert refusal(public_state() | {"fc.weight": torch.zeros(3, 5)}) == (
        "The checkpoint does not fit Model: first.weight has shape (3, 5), ours (3, 2)."
    )


def test_a_name_that_becomes_none_of_ours_is_named():
    assert refusal(public_state() | {"fc.scale": torch.zeros(1)}) == (
        "The checkpoint does not fit Model: first.scale is no name of ours."
    )


def test_two_names_that_become_one_are_named():
    both = KeyRules((*RULES.renames, (r"linear\.(.+)", r"first.\1")))
    assert refusal(public_state() | {"linear.bias": torch.zeros(3)}, both) == (
        "The checkpoint does not fit Model: linear.bias and another become first.bias."
    )


def test_all_problems_are_listed_at_once():
    state = public_state() | {"extra": torch.zeros(1), "fc.weight": torch.zeros(1)}
    del state["bn.bias"]
    message = refusal(state)
    for problem in ("no rule for extra", "nothing becomes second.bias", "first.weight has shape (1,), ours (3, 2)"):
        assert problem in message


def test_what_the_caller_adapts_may_differ_in_shape_or_be_missing_from_the_model():
    state = public_state() | {"fc.weight": torch.zeros(5, 2), "fc.scale": torch.zeros(1)}
    translated = translate(state, RULES, Model(), adapted=("first.*",))
    assert translated["first.weight"].shape == (5, 2)
    assert "first.scale" in translated
    assert refusal(state | {"bn.bias": torch.zeros(9)}, adapted=("first.*",)) == (
        "The checkpoint does not fit Model: second.bias has shape (9,), ours (3,)."
    )


@pytest.mark.parametrize("missing", ["prefix", "blocks.11.feed_forward.op.contract.1.running_var"])
def test_a_real_checkpoint_with_a_hole_is_refused(missing):
    record = model_record("localvit", "localvit_tiny_mlp4_act3_r192")
    model = localvit_tiny()
    state = goldenfill.make_state_dict(record)
    theirs = {"prefix": "cls_token"}.get(missing, "blocks.11.conv.conv.8.running_var")
    assert translate(state, rules(SQUEEZE), model).keys() == model.state_dict().keys()
    del state[theirs]
    with pytest.raises(ValueError, match=f"nothing becomes {missing}"):
        translate(state, rules(SQUEEZE), model)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {"x": torch.zeros(1)}, "model_ema": state},
        lambda state: {"state_dict": {"x": torch.zeros(1)}, "state_dict_ema": state},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
    ],
    ids=["bare", "state_dict", "model", "model_ema", "state_dict_ema", "module."],
)
def test_the_usual_wrappers_come_off_and_averaged_weights_come_first(wrap, tmp_path):
    state = public_state()
    torch.save(wrap(state), tmp_path / "weights.pth")
    read = read_checkpoint(tmp_path / "weights.pth")
    assert read.keys() == state.keys()
    assert all(read[name].equal(state[name]) for name in state)


def test_safetensors_are_read_too(tmp_path):
    state = public_state()
    save_file(state, tmp_path / "weights.safetensors")
    read = read_checkpoint(str(tmp_path / "weights.safetensors"))
    assert all(read[name].equal(state[name]) for name in state)


@pytest.mark.parametrize(
    "content", [{"epoch": 3}, [torch.zeros(1)], torch.zeros(1)], ids=["no tensors", "list", "tensor"]
)
def test_a_file_without_a_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"weights\.pth holds no state dict: expected names and tensors"):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    torch.save({"model": public_state(), "args": argparse.Namespace(lr=0.1)}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"weights\.pth holds more than tensors and plain values"):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        read_checkpoint(tmp_path / "nowhere.pth")
