"""Whole models against the public implementations: logits, features, gradients, statistics, sizes and costs."""

import re

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

import vitmodels
from tests.golden_records import goldenfill, model_record
from vitmodels.checkpoint import translate

RECORDS = {
    ("localvit_baselines", "deit_tiny_patch16_224"): ("deit_tiny", vitmodels.deit_column.RULES),
    ("localvit", "localvit_tiny_mlp4_act2_hs"): ("localvit_tiny_h_swish", vitmodels.localvit.rules()),
    ("localvit", "localvit_tiny_mlp4_act3_r192"): (
        "localvit_tiny",
        vitmodels.localvit.rules(vitmodels.localvit.SQUEEZE),
    ),
    ("localvit", "localvit_tiny_mlp4_act4_eca"): (
        "localvit_tiny_eca",
        vitmodels.localvit.rules(vitmodels.localvit.EFFICIENT),
    ),
    ("localvit", "localvit_tiny_mlp6_act1"): ("localvit_tiny_ratio6_relu6", vitmodels.localvit.rules()),
}

every_record = pytest.mark.parametrize("key", RECORDS, ids=lambda key: key[1])


class Checked:
    """A record and our model with its weights, float64; ``names`` maps their parameter names to ours."""

    def __init__(self, key):
        name, self.rules = RECORDS[key]
        self.record = model_record(*key)
        self.model = timm.create_model(name).double().eval()
        state = goldenfill.make_state_dict(self.record, torch.float64)
        self.model.load_state_dict(translate(state, self.rules, self.model))
        self.names = {theirs: self.ours(theirs, value) for theirs, value in state.items()}
        self.image = goldenfill.record_input(self.record, torch.float64)

    def ours(self, theirs, value):
        for pattern, replacement in self.rules.renames:
            if match := re.fullmatch(pattern, theirs):
                return match.expand(replacement)
        raise AssertionError(theirs)

    def assert_gradients(self, recorded):
        """The golden README's comparison: 1e-7 of the entry, or 1e-12 of the largest where the true gradient is zero."""
        floor = 1e-12 * max(value for value in recorded.values() if value is not None)
        parameters = dict(self.model.named_parameters())
        wrong = {}
        for theirs, value in recorded.items():
            norm = parameters[self.names[theirs]].grad.norm().item()
            if value is None or abs(norm - value) > 1e-7 * abs(value) + floor:
                wrong[theirs] = (norm, value)
        assert not wrong
        assert len(recorded) == len(parameters)


@every_record
def test_logits_and_gradients_are_those_of_the_public_code(key):
    checked = Checked(key)
    logits = checked.model(checked.image)
    assert goldenfill.compare(logits, checked.record["logits_fp64"])["max_rel"] < 1e-8
    logits.square().mean().backward()
    checked.assert_gradients({name: pair[1] for name, pair in checked.record["grad_l2"].items()})


@every_record
def test_training_mode_is_that_of_the_public_code(key):
    checked = Checked(key)
    recorded = checked.record.get("train_mode_fp64")
    if recorded is None:
        assert not [m for m in checked.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        return
    logits = checked.model.train()(checked.image)
    assert goldenfill.compare(logits, recorded["logits"])["max_rel"] < 1e-8
    logits.square().mean().backward()
    checked.assert_gradients(recorded["grad_l2"])
    buffers = dict(checked.model.named_buffers())
    for theirs, norm in recorded["running_stats_l2_after"].items():
        assert buffers[checked.names[theirs]].norm().item() == pytest.approx(norm, rel=1e-9)


@every_record
def test_parameters_and_cost_are_those_of_the_public_code(key):
    checked = Checked(key)
    assert sum(p.numel() for p in checked.model.parameters()) == checked.record["parameters"]
    with FlopCounterMode(display=False) as counter:
        checked.model(checked.image[:1])
    assert counter.get_total_flops() / 2e9 == pytest.approx(checked.record["gmacs"], rel=5e-3)


@every_record
def test_float32_stays_near_the_record(key):
    checked = Checked(key)
    logits = checked.model.float()(checked.image.float())
    assert goldenfill.compare(logits, checked.record["logits"])["max_rel"] < 1e-4
