"""Whole models against the public implementations: logits, features, gradients, statistics, sizes and costs."""

import copy

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.golden_records import goldenfill, model_record
from vitcore import SlideAttention
from vitmodels.presets import swin
from vitmodels.skeletons.checkpoint import translate
from vitmodels.skeletons.timm_interface import PRESETS

RECORDS = {
    ("localvit_baselines", "deit_tiny_patch16_224"): "deit_tiny",
    ("localvit_baselines", "T2t_vit_7"): "t2t_vit_7",
    ("localvit_baselines", "T2t_vit_t_14"): "t2t_vit_t_14",
    ("localvit_baselines", "tnt_t_patch16_224"): "tnt_tiny",
    ("localvit", "localvit_tiny_mlp4_act2_hs"): "localvit_tiny_h_swish",
    ("localvit", "localvit_tiny_mlp4_act3_r192"): "localvit_tiny",
    ("localvit", "localvit_tiny_mlp4_act4_eca"): "localvit_tiny_eca",
    ("localvit", "localvit_tiny_mlp6_act1"): "localvit_tiny_ratio6_relu6",
    ("localvit", "localvit_pvt_tiny"): "localvit_pvt_tiny",
    ("localvit", "localvit_swin_tiny_patch4_window7_224"): "localvit_swin_tiny",
    ("localvit", "localvit_T2t_conv7"): "localvit_t2t_compat",
    ("localvit", "localvit_tnt_t_patch16_224"): "localvit_tnt_tiny",
    ("pvt", "pvt_tiny"): "pvt_tiny",
    ("pvt", "pvt_tiny__img224_in256x160"): "pvt_tiny",
    ("pvt_v2", "pvt_v2_b0"): "pvtv2_b0",
    ("pvt_v2", "pvt_v2_b2_li"): "pvtv2_b2_li",
    ("swin", "swin_tiny_patch4_window7_224"): "swin_tiny",
    ("cswin", "CSWin_64_12211_tiny_224"): "cswin_tiny",
    ("pale", "pale_tiny"): "pale_tiny_compat",
    ("slide", "slide_swin_tiny"): "slide_swin_tiny_compat",
    ("slide", "slide_swin_tiny_window7_stages1"): "slide_swin_tiny",
    ("boat_swin", "boat_swin_tiny_patch4_window7_224"): "boat_swin_tiny",
    ("boat_cswin", "BOAT_CSWin_64_12211_tiny_224"): "boat_cswin_tiny_compat",
}
ARGUMENTS = {"slide_swin_tiny_window7_stages1": {"stage2": swin.swin_stages(96, swin.TINY)["stage2"]}}


FURTHER = (
    *(
        "T2t_vit_t_14",
        "localvit_tiny_mlp4_act3_r192",
        "localvit_tiny_mlp4_act4_eca",
        "localvit_tiny_mlp6_act1",
        "localvit_pvt_tiny",
    ),
    *("localvit_swin_tiny_patch4_window7_224", "localvit_T2t_conv7", "pvt_v2_b2_li", "slide_swin_tiny_window7_stages1"),
)
"""Records of a family that has another one; the slow tests check these."""


def listed(keys):
    return [pytest.param(key, id=key[1], marks=pytest.mark.slow if key[1] in FURTHER else ()) for key in keys]


@pytest.fixture(scope="module", params=listed(RECORDS))
def first(request):
    """A record and our model with its weights, made once for all tests of the record."""
    return Checked(request.param)


@pytest.fixture
def checked(first):
    """The record and a model of one's own."""
    return copy.copy(first).renewed()


class Checked:
    """A record and our model with its weights, float64; ``names`` maps their parameter names to ours."""

    def __init__(self, key):
        name = RECORDS[key]
        rules = PRESETS[name].rules
        self.family, self.record = key[0], model_record(*key)
        self.model = timm.create_model(name, **ARGUMENTS.get(key[1], {})).double().eval()
        state = goldenfill.make_state_dict(self.record, torch.float64)
        self.model.load_state_dict(translate(state, rules, self.model))
        own = self.model.state_dict()
        renamed = {theirs: rules.rename(theirs, own) for theirs in state}
        self.names = {theirs: pair[0] for theirs, pair in renamed.items() if pair is not None}
        self.image = goldenfill.record_input(self.record, torch.float64)

    def renewed(self):
        self.model = copy.deepcopy(self.model)
        return self

    def assert_gradients(self, recorded):
        """The golden README's comparison: 1e-7 of the entry, or 1e-12 of the largest where the true gradient is zero."""
        floor = 1e-12 * max(value for value in recorded.values() if value is not None)
        parameters = dict(self.model.named_parameters())
        compared = {theirs: value for theirs, value in recorded.items() if self.names.get(theirs) in parameters}
        wrong = {}
        for theirs, value in compared.items():
            gradient = parameters[self.names[theirs]].grad
            if (gradient is None) != (value is None):
                wrong[theirs] = (gradient, value)
            elif value is not None and abs(gradient.norm().item() - value) > 1e-7 * abs(value) + floor:
                wrong[theirs] = (gradient.norm().item(), value)
        assert not wrong
        frozen = {theirs for theirs, value in recorded.items() if value is None and theirs not in compared}
        assert set(recorded) == set(compared) | frozen, "only what the public code freezes has no parameter here"
        assert len(compared) == len(parameters)


def test_logits_and_gradients_are_those_of_the_public_code(checked):
    logits = checked.model(checked.image)
    assert goldenfill.compare(logits, checked.record["logits_fp64"])["max_rel"] < 1e-8
    logits.square().mean().backward()
    checked.assert_gradients({name: pair[1] for name, pair in checked.record["grad_l2"].items()})


def test_training_mode_is_that_of_the_public_code(checked):
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


def test_parameters_and_cost_are_those_of_the_public_code(checked):
    assert sum(p.numel() for p in checked.model.parameters()) == checked.record["parameters_trainable"]
    images, _, height, width = checked.image.shape
    model, image = checked.model.to("meta"), checked.image.to("meta")
    maps = slide_maps(model, image)
    with FlopCounterMode(display=False) as counter:
        model(image)
    counted = counter.get_total_flops() / (2 * images)
    stated = sum(op.macs(h, w) - public_slide_macs(op, h, w) for op, h, w in maps)
    assert (counted - stated) / 1e9 == pytest.approx(checked.record["gmacs"], rel=5e-3)
    # The compatibility preset of BOAT-CSWin takes keys from the neighbouring image, no cost that an op states for one image.
    if checked.family != "boat_cswin":
        assert model.macs(height, width) == counted


def slide_maps(model, image):
    """The slide attentions of a model with the size of their maps."""
    found = []
    ops = [op for op in model.modules() if isinstance(op, SlideAttention)]
    handles = [op.register_forward_hook(lambda op, args, _: found.append((op, *args[0].shape[1:3]))) for op in ops]
    model(image[:1])
    for handle in handles:
        handle.remove()
    return found


def public_slide_macs(op, h, w):
    """What a counter sees of the public form: projections, and two k x k convolutions to k * k maps, of keys and of values."""
    return 4 * h * w * op.width**2 + 4 * op.kernel_size**4 * h * w * op.width


@pytest.mark.parametrize("first", listed(key for key in RECORDS if not key[0].startswith("boat")), indirect=True)
def test_float32_stays_near_the_record(checked):
    """All but BOAT: its clustering sorts near-ties, and what float32 makes of them differs from float64 by up to 3 %."""
    logits = checked.model.float()(checked.image.float())
    assert goldenfill.compare(logits, checked.record["logits"])["max_rel"] < 1e-4
