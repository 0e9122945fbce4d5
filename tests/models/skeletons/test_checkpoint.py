"""Names of public checkpoints become ours; every name is accounted for on both sides, and a refusal is short."""

import pytest
import torch
from torch import nn

from tests.golden_records import goldenfill, model_record
from vitmodels import KeyRules, localvit_tiny, translate
from vitmodels.skeletons.checkpoint import grouped
from vitmodels.skeletons.timm_interface import PRESETS

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


def refusal(state, rules=RULES):
    with pytest.raises(ValueError) as caught:
        translate(state, rules, Model())
    head, *lines = str(caught.value).split("\n  ")
    assert head == "The checkpoint does not fit Model:"
    return lines


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


@pytest.mark.parametrize("dropped", ["nothing", "num_batches_tracked"])
def test_our_own_names_pass_as_they_are(dropped):
    model = Model()
    state = {name: value for name, value in model.state_dict().items() if not name.endswith(dropped)}
    translated = translate(state, RULES, model)
    assert translated.keys() == model.state_dict().keys()
    assert all(translated[name].equal(value) for name, value in state.items())


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
    assert refusal(state) == [
        "module_fc.weight, shape (3, 2), left over",
        "first.weight, shape (3, 2), missing in the file",
    ]


def test_a_rule_for_a_part_that_the_model_does_not_have_does_no_harm():
    unused = KeyRules((*RULES.renames, (r"head\.(.+)", r"head.\1")))
    assert translate(public_state(), unused, Model()).keys() == Model().state_dict().keys()


def test_the_names_of_another_implementation_are_tried_too():
    other = KeyRules(((r"linear\.(.+)", r"first.\1"), (r"norm\.(.+)", r"second.\1")))
    rules = KeyRules(RULES.renames, others=(other,))
    renamed = {name.replace("fc.", "linear.").replace("bn.", "norm."): value for name, value in public_state().items()}
    assert translate(renamed, rules, Model())["first.weight"].equal(renamed["linear.weight"])
    assert "linear.weight, shape (3, 2), left over" in refusal(renamed)


def test_a_name_of_theirs_that_is_left_over_is_named():
    assert refusal(public_state() | {"extra.weight": torch.zeros(1)}) == ["extra.weight, shape (1,), left over"]


def test_a_name_of_ours_that_stays_empty_is_named():
    state = public_state()
    del state["fc.bias"]
    assert refusal(state) == ["first.bias, shape (3,), missing in the file"]


def test_a_wrong_shape_is_named_with_both_shapes():
    assert refusal(public_state() | {"fc.weight": torch.zeros(3, 5)}) == ["fc.weight, shape (3, 5), expected (3, 2)"]


def test_two_names_that_become_one_are_named():
    both = KeyRules((*RULES.renames, (r"linear\.(.+)", r"first.\1")))
    assert refusal(public_state() | {"linear.bias": torch.zeros(3)}, both) == ["linear.bias, shape (3,), left over"]


def test_alike_names_are_counted():
    kinds = [(f"blocks.{i}.attn.{name}", "too wide") for i in range(12) for name in ("q.weight", "k.weight")]
    assert grouped([*kinds, ("blocks.0.norm1.bias", "too wide"), ("blocks.0.attn.q.weight", "too narrow")]) == [
        "blocks.*.attn.q.weight, 12 tensors, too wide",
        "blocks.*.attn.k.weight, 12 tensors, too wide",
        "blocks.0.norm1.bias, too wide",
        "blocks.0.attn.q.weight, too narrow",
    ]


def test_a_refusal_has_at_most_ten_lines():
    lines = refusal({f"{letter}.weight": torch.zeros(1) for letter in "abcdefghijkl"})
    assert len(lines) == 9
    assert lines[-1] == "and 10 further kinds of tensors."


@pytest.mark.parametrize("missing", ["prefix", "blocks.11.feed_forward.op.contract.1.running_var"])
def test_a_real_checkpoint_with_a_hole_is_refused(missing):
    record = model_record("localvit", "localvit_tiny_mlp4_act3_r192")
    model, rules = localvit_tiny(), PRESETS["localvit_tiny"].rules
    state = goldenfill.make_state_dict(record)
    theirs = {"prefix": "cls_token"}.get(missing, "blocks.11.conv.conv.8.running_var")
    assert translate(state, rules, model).keys() == model.state_dict().keys()
    del state[theirs]
    with pytest.raises(ValueError, match=f"{missing}, shape .*, missing in the file"):
        translate(state, rules, model)
