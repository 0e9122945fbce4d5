"""The ablation files: each arm builds, trains, and costs what the papers and the closed forms say, at both scales."""

import functools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

from tests.cli.tiny_ablation import LIGHTNING
from tests.closed_forms import parameters
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.planning.plan import Plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import VitCLI
from vitcli.measure.cost import build_on_meta
from vitcore import SqueezeExcite
from vitmodels.skeletons.column import third

pytestmark = LIGHTNING

FOLDER = Path(__file__).parents[3] / "ablations"
DENSE = tuple(sorted(path.stem for path in FOLDER.glob("dense_*.yaml")))
"""Questions about segmentation and detection, which tests/cli/shipped/test_dense.py checks."""
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem not in DENSE)
QUICK = ("localvit_act", "pvt_reduction", "boat_branches")

# Parameters and multiply-adds in millions and billions, LocalViT's Tables 1 to 4 as its public code gives them.
PUBLISHED: dict[str, dict[str, tuple[float, float | None]]] = {
    "localvit_act": {
        "relu6": (5.826, 1.266),
        "h_swish": (5.826, None),
        "eca": (5.826, None),
        "se_keep4": (5.909, 1.266),
        "se_by4": (9.376, 1.270),
    },
    "localvit_dwconv": {"mlp": (5.717, 1.254), "conv1x1": (5.724, 1.250), "dw3x3": (5.826, 1.266)},
    "localvit_expansion": {
        "ratio1": (3.089, 0.734),
        "ratio2": (4.019, 0.911),
        "ratio3": (4.959, 1.089),
        "ratio4": (5.909, 1.266),
        "ratio6": (7.835, None),
    },
    "localvit_layers": {
        "none": (5.717, 1.254),
        "low": (5.781, 1.258),
        "mid": (5.781, 1.258),
        "high": (5.781, 1.258),
        "low_mid": (5.845, 1.262),
        "all": (5.909, 1.266),
    },
    "localvit_se": {
        "none": (5.826, 1.266),
        "eca": (5.826, None),
        "keep4": (5.909, 1.266),
        "keep8": (5.982, None),
        "keep16": (6.130, None),
        "by4": (9.376, 1.270),
    },
}
# Arms that nobody published: what they add to the baseline in each of 12 blocks of width 192, in parameters.
HIDDEN, WIDTH = 768, 192
UNPUBLISHED = {
    ("localvit_se", "eca_hard"): 12 * 5,  # a kernel of 5 over the channels
    # From the MLP's biases and LayerNorm to the convolutions' three BatchNorms and a 5 x 5 filter a hidden channel.
    ("localvit_dwconv", "dw5x5"): 12 * (HIDDEN * 25 + 2 * (2 * HIDDEN + WIDTH) - (HIDDEN + WIDTH) - 2 * WIDTH),
    # The same with a 3 x 3 filter on each of the narrow channels.
    ("localvit_dwconv", "dw3x3_first"): 12 * (WIDTH * 9 + 2 * (HIDDEN + 2 * WIDTH) - (HIDDEN + WIDTH) - 2 * WIDTH),
}


# Arms that are a registered model at the paper's size; tests/models holds these against the public code.
MODELS = {
    "attention_zoo": {"shifted": "swin_tiny"},
    "boat_branches": {"window": "swin_tiny", "both": "boat_swin_tiny"},
    "boat_clusters": {},  # without the overlap that the published model has
    "boat_overlap": {"full": "boat_swin_tiny"},
    "families": {
        "localvit": "localvit_small",
        "t2t": "t2t_vit_14",
        "tnt": "tnt_small",
        "pvt": "pvt_small",
        "pvtv2": "pvtv2_b2",
        "swin": "swin_tiny",
        "shuffle": "shuffle_tiny",
        "msg": "msg_tiny",
        "cswin": "cswin_tiny",
        "axial": "axial_tiny",
        "nat": "nat_tiny",
        "dat": "dat_tiny",
        "slide": "slide_swin_tiny",
        "boat": "boat_swin_tiny",
        "pale": "pale_tiny",
    },
    "localvit_hosts": {
        "deit": "deit_tiny",
        "localvit_deit": "localvit_tiny",
        "pvt": "pvt_tiny",
        "localvit_pvt": "localvit_pvt_tiny",
        "swin": "swin_tiny",
        "localvit_swin": "localvit_swin_tiny",
        "t2t": "t2t_vit_7",
        "localvit_t2t": "localvit_t2t",
        "tnt": "tnt_tiny",
        "localvit_tnt": "localvit_tnt_tiny",
    },
    "pale_attention": {},  # with linear projections
    "pale_position": {"conditional": "pale_tiny"},
    "pale_size": {"full": "pale_tiny"},
    "pvt_deeper_vs_wider": {"base": "pvt_small", "deeper": "pvt_medium"},
    "pvt_linear": {"strided": "pvtv2_b2", "pooled_convolution": "pvtv2_b2_li"},
    "pvt_pyramid_vs_column": {"pyramid": "pvt_small", "column_fine": "deit_small"},
    "pvt_reduction": {"full": "pvt_small"},
    "slide_kernel": {"k3": "slide_swin_tiny"},
    "slide_shift": {"both": "slide_swin_tiny"},
    "slide_stages": {"none": "swin_tiny", "first_two": "slide_swin_tiny"},
    "slide_vs_local": {"window": "swin_tiny", "slide": "slide_swin_tiny"},
}


# Arms that tests/closed_forms.py does not count: stems and streams of their own, held to the registered models instead.
NOT_BY_HAND = {("localvit_hosts", arm) for arm in ("t2t", "localvit_t2t", "tnt", "localvit_tnt")}

# Arms that are models of timm: torch's counter alone counts their multiply-adds.
OF_TIMM = {("families", "vit"), ("families", "resnet")}


@functools.cache
def small(name: str) -> Plan:
    return make_plan(parse_arguments(["--config", str(FOLDER / f"{name}.yaml")]))


@pytest.fixture(scope="module")
def image_folders(tmp_path_factory):
    """Folders of a thousand classes of one image each: the same file under all names."""
    root = tmp_path_factory.mktemp("images")
    image = root / "image.jpg"
    Image.new("RGB", (8, 8)).save(image)
    for number in range(1000):
        for split in ("train", "val"):
            (root / split / f"n{number:08d}").mkdir(parents=True)
            (root / split / f"n{number:08d}" / "0.jpg").hardlink_to(image)
    return root


@functools.cache
def _at_paper_size(name: str, root: Path) -> Plan:
    files = ["--config", str(FOLDER / f"{name}.yaml"), "--config", str(FOLDER / "imagenet1k" / f"{name}.yaml")]
    # Planning wants the devices that it plans for; the costs do not depend on them.
    here = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.precision", "32"]
    return make_plan(parse_arguments([*files, "--data.root", str(root), *here]))


def arms(names: list[str]) -> list[Any]:
    """Return (file, arm) of every arm, read without building anything; see ``quickly``."""
    from vitcli.config.yaml_files import read_yaml

    return quickly((name, arm) for name in names for arm in read_yaml(FOLDER / f"{name}.yaml")["ablation"]["arms"])


def quickly(cases: Iterable[Any]) -> list[Any]:
    """Leave the cases of all files but one of each system to the slow tests."""
    listed = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=() if case[0] in QUICK else pytest.mark.slow) for case in listed]


def test_every_ablation_has_its_paper_size():
    assert (
        sorted(path.stem for path in (FOLDER / "imagenet1k").glob("*.yaml")) == NAMES == sorted((*PUBLISHED, *MODELS))
    )


@pytest.mark.parametrize("name", quickly(NAMES))
def test_a_file_says_its_question_source_and_command(name):
    plan = small(name)
    assert plan.question.endswith("?")
    assert plan.spec.source
    text = (FOLDER / f"{name}.yaml").read_text()
    assert f"# Run       vitcli fit --config ablations/{name}.yaml\n" in text
    assert f"--config ablations/{name}.yaml --config ablations/imagenet1k/{name}.yaml --data.root DIR\n" in text


@pytest.mark.parametrize("name", quickly(NAMES))
def test_every_arm_but_the_baseline_differs_from_it_and_from_all_others(name):
    plan = small(name)
    assert plan.arms[plan.spec.baseline].difference == {}
    assert all(arm.difference for key, arm in plan.arms.items() if key != plan.spec.baseline)
    assert len({arm.id for arm in plan.arms.values()}) == len(plan.arms)
    assert {key.split(".stage")[0].split(".every")[0] for arm in plan.arms.values() for key in arm.difference} == {
        "model.backbone"
    }


@pytest.mark.parametrize(("name", "arm"), arms(sorted(PUBLISHED)))
def test_parameters_at_the_paper_s_size_are_the_published_ones(name, arm, image_folders):
    plan = _at_paper_size(name, image_folders)
    parameters = plan.arms[arm].parameters
    if arm in PUBLISHED[name]:
        assert round(parameters / 1e6, 3) == PUBLISHED[name][arm][0]
    else:
        assert parameters - plan.arms[plan.spec.baseline].parameters == UNPUBLISHED[name, arm]


@pytest.mark.parametrize(
    ("name", "arm"),
    quickly((name, arm) for name in PUBLISHED for arm, (_, macs) in PUBLISHED[name].items() if macs is not None),
)
def test_multiply_adds_at_the_paper_s_size_are_the_published_ones(name, arm, image_folders):
    assert round(_at_paper_size(name, image_folders).arms[arm].macs / 1e9, 3) == PUBLISHED[name][arm][1]


@pytest.mark.parametrize(
    ("name", "arm", "model"),
    quickly((name, arm, model) for name, models in MODELS.items() for arm, model in models.items()),
)
def test_an_arm_that_was_published_is_that_model_at_the_paper_s_size(name, arm, model, image_folders):
    planned = _at_paper_size(name, image_folders).arms[arm]
    with torch.device("meta"):
        registered = timm.create_model(model)
    assert planned.parameters == sum(parameter.numel() for parameter in registered.parameters())
    assert planned.macs == registered.macs(224, 224)


def test_the_wider_pvt_has_the_published_parameters(image_folders):
    plan = _at_paper_size("pvt_deeper_vs_wider", image_folders)
    assert round(plan.arms["wider"].parameters / 1e6, 1) == 46.8


def test_the_deeper_and_the_wider_pvt_have_as_many_parameters_at_the_small_scale():
    plan = small("pvt_deeper_vs_wider")
    assert plan.arms["deeper"].parameters == pytest.approx(plan.arms["wider"].parameters, rel=0.02)


@pytest.mark.parametrize("name", quickly(sorted(MODELS.keys() - {"families"})))
def test_parameters_are_those_counted_by_hand_at_both_scales(name, image_folders):
    for plan in (small(name), _at_paper_size(name, image_folders)):
        counted = {arm: planned for arm, planned in plan.arms.items() if (name, arm) not in NOT_BY_HAND}
        assert counted
        for arm, planned in counted.items():
            assert (arm, parameters(planned.config["model"]["init_args"]["backbone"])) == (arm, planned.parameters)


@pytest.mark.parametrize("name", quickly(sorted(MODELS)))
def test_multiply_adds_are_those_of_the_ops_closed_forms_at_the_small_scale(name):
    ours = {arm: planned for arm, planned in small(name).arms.items() if (name, arm) not in OF_TIMM}
    for arm, planned in ours.items():
        task, data = build_on_meta(planned.config)
        assert (arm, task.backbone.macs(*data.image_shape[1:])) == (arm, planned.macs)


@pytest.mark.slow
def test_all_families_spend_the_same_multiply_adds_within_five_percent():
    plan = small("families")
    costs = {arm: planned.macs / plan.arms["vit"].macs for arm, planned in plan.arms.items()}
    assert {arm: cost for arm, cost in costs.items() if not 0.95 <= cost <= 1.05} == {}


@pytest.mark.parametrize("name", quickly(NAMES))
def test_the_paper_s_size_asks_the_same_question_in_a_place_of_its_own(name, image_folders):
    paper, digits = _at_paper_size(name, image_folders), small(name)
    assert (list(paper.arms), paper.spec.baseline, paper.question) == (
        list(digits.arms),
        digits.spec.baseline,
        digits.question,
    )
    assert paper.directory != digits.directory
    for arm in digits.arms:
        assert paper.arms[arm].difference.keys() == digits.arms[arm].difference.keys()


Cost = tuple[int, int]


class Sizes:
    """The sizes of a small plan: width d, hidden channels h, tokens n, prefix tokens p, layers in a third."""

    def __init__(self, plan: Plan) -> None:
        backbone = plan.arms[plan.spec.baseline].config["model"]["init_args"]["backbone"]["init_args"]
        side = backbone["img_size"] // backbone["stem"]["init_args"]["patch_size"]
        self.d, self.n, self.p = backbone["width"], side * side, backbone["prefix_tokens"]
        self.h = 4 * self.d
        self.depth, self.third = backbone["depth"], backbone["depth"] // 3

    def se(self, units: int) -> Cost:
        """Two matrices and two biases; two small products."""
        return 2 * self.h * units + units + self.h, 2 * self.h * units

    def eca(self) -> Cost:
        """One odd kernel over the channels."""
        t = int(abs((math.log2(self.h) + 1) / 2))
        kernel = t if t % 2 else t + 1
        return kernel, kernel * self.h

    def mlp(self) -> Cost:
        """Two matrices, two biases and a LayerNorm; every token and the prefix pass through."""
        return 2 * self.d * self.h + self.h + self.d + 2 * self.d, 2 * (self.n + self.p) * self.d * self.h

    def conv(self, hidden: int, filters: int, kernel: int) -> Cost:
        """Two 1x1 convolutions with their BatchNorms and ``filters`` depth-wise filters with theirs; the prefix stays away."""
        parameters = 2 * self.d * hidden + 2 * hidden + 2 * self.d + filters * (kernel**2 + 2)
        return parameters, self.n * (2 * self.d * hidden + filters * kernel**2)


def minus(one: Cost, other: Cost) -> Cost:
    return one[0] - other[0], one[1] - other[1]


def plus(one: Cost, other: Cost) -> Cost:
    return one[0] + other[0], one[1] + other[1]


def times(number: int, cost: Cost) -> Cost:
    return number * cost[0], number * cost[1]


def act(s: Sizes) -> dict[str, Cost]:
    gates = {"relu6": (0, 0), "h_swish": (0, 0), "eca": s.eca(), "se_keep4": s.se(4), "se_by4": s.se(s.h // 4)}
    return {arm: times(s.depth, gate) for arm, gate in gates.items()}


def se(s: Sizes) -> dict[str, Cost]:
    gates = {"none": (0, 0), "eca": s.eca(), "eca_hard": s.eca()}
    gates |= {"keep4": s.se(4), "keep8": s.se(8), "keep16": s.se(16), "by4": s.se(s.h // 4)}
    return {arm: times(s.depth, gate) for arm, gate in gates.items()}


def layers(s: Sizes) -> dict[str, Cost]:
    local = minus(plus(s.conv(s.h, s.h, 3), s.se(4)), s.mlp())
    thirds = {"none": 0, "low": 1, "mid": 1, "high": 1, "low_mid": 2, "all": 3}
    return {arm: times(s.third * number, local) for arm, number in thirds.items()}


def expansion(s: Sizes) -> dict[str, Cost]:
    costs = {}
    for ratio in (1, 2, 3, 4, 6):
        wide = Sizes.__new__(Sizes)
        wide.__dict__ |= s.__dict__ | {"h": ratio * s.d}
        costs[f"ratio{ratio}"] = plus(wide.conv(wide.h, wide.h, 3), wide.se(ratio))  # reduced by the width
    return {arm: times(s.depth, minus(cost, costs["ratio4"])) for arm, cost in costs.items()}


def dwconv(s: Sizes) -> dict[str, Cost]:
    costs = {
        "mlp": s.mlp(),
        "conv1x1": s.conv(s.h, 0, 0),
        "dw3x3": s.conv(s.h, s.h, 3),
        "dw5x5": s.conv(s.h, s.h, 5),
        "dw3x3_first": s.conv(s.h, s.d, 3),
    }
    return {arm: times(s.depth, minus(cost, costs["mlp"])) for arm, cost in costs.items()}


CLOSED_FORMS = {
    "localvit_act": act,
    "localvit_se": se,
    "localvit_layers": layers,
    "localvit_expansion": expansion,
    "localvit_dwconv": dwconv,
}


@pytest.mark.parametrize("name", quickly(sorted(CLOSED_FORMS)))
def test_parameters_and_multiply_adds_differ_from_the_baseline_s_by_the_closed_form(name):
    plan = small(name)
    base = plan.arms[plan.spec.baseline]
    found = {arm: (one.parameters - base.parameters, one.macs - base.macs) for arm, one in plan.arms.items()}
    assert found == CLOSED_FORMS[name](Sizes(plan))


@functools.cache
def one_batch(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    plan = small(name)
    image, label = next(iter(VitCLI(plan.arms[plan.spec.baseline].config).datamodule.train_dataloader()))
    return image, label


def silent_gates(backbone: torch.nn.Module) -> set[torch.nn.Parameter]:
    """Return, once the model has run, the weights of gates whose few units were all below zero on the whole batch."""
    silent: set[torch.nn.Parameter] = set()

    def look(gate: SqueezeExcite, logits: torch.Tensor) -> None:
        if (logits <= 0).all():
            silent.update((gate.squeeze.weight, gate.squeeze.bias, gate.excite.weight))

    for gate in (module for module in backbone.modules() if isinstance(module, SqueezeExcite)):
        gate.squeeze.register_forward_hook(lambda squeeze, given, logits, gate=gate: look(gate, logits))
    return silent


def stages_of(blocks: torch.nn.ModuleList) -> dict[torch.nn.Module, str]:
    return {block: f"stage{third(i, len(blocks)) + 1}" for i, block in enumerate(blocks)}


@pytest.mark.parametrize(("name", "arm"), arms(sorted(CLOSED_FORMS)))
def test_an_arm_of_localvit_builds_and_takes_a_training_step_that_reaches_the_swapped_part(name, arm):
    config = small(name).trial_config(arm, 0)
    task = VitCLI(config).model.train()
    image, label = one_batch(name)
    optimizer = task.optimizer(task.parameters())
    silent = silent_gates(task.backbone)
    before = cross_entropy(task(image), label)
    before.backward()
    stages = stages_of(task.backbone.blocks)
    for feed_forward in (block.feed_forward for block in stages):
        still = {weight for weight in feed_forward.parameters() if not weight.grad.abs().sum() > 0}
        assert not still - silent
    changed = {key.split(".")[2] for key in small(name).arms[arm].difference}
    assert not changed - {"every"} or changed & set(stages.values())
    optimizer.step()
    after = cross_entropy(task(image), label)
    assert torch.isfinite(after)
    assert after != before


def idle(name: str, arm: str, backbone: torch.nn.Module) -> set[torch.nn.Parameter]:
    """Return the weights without a gradient in the first step.

    They are the feed-forwards that the class token passes by on its way to the head, the positions of a map of one token, and
    what lies behind timm's last BatchNorms, which start at zero.
    """
    if name == "localvit_hosts" and arm in ("localvit_deit", "localvit_t2t", "localvit_tnt"):
        return set(backbone.blocks[-1].feed_forward.parameters())
    if (name, arm) == ("localvit_hosts", "localvit_pvt"):
        return set(backbone.stages[-1].blocks[-1].feed_forward.parameters())
    if name == "families" and arm in ("shuffle", "nat"):
        named = backbone.stages[-1].blocks[0].mixer.op.named_parameters()
        return {weight for key, weight in named if key.startswith("position")}
    if (name, arm) == ("families", "resnet"):
        return {
            weight for key, weight in backbone.named_parameters() if key.startswith("layer") and "downsample" not in key
        }
    return set()


@pytest.mark.parametrize(("name", "arm"), arms(sorted(MODELS)))
def test_an_arm_builds_and_takes_a_training_step_that_reaches_every_op(name, arm):
    task = VitCLI(small(name).trial_config(arm, 0)).model.train()
    image, label = one_batch(name)
    optimizer = task.optimizer(task.parameters())
    silent = silent_gates(task.backbone)
    before = cross_entropy(task(image), label)
    before.backward()
    still = {key for key, weight in task.backbone.named_parameters() if weight.grad is None or not weight.grad.any()}
    passed_by = silent | idle(name, arm, task.backbone)
    assert not still - {key for key, weight in task.backbone.named_parameters() if weight in passed_by}
    optimizer.step()
    after = cross_entropy(task(image), label)
    assert torch.isfinite(after)
    assert after != before
