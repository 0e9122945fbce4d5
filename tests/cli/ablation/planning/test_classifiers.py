"""The ``pretraining`` section: which classifiers a plan asks for, what counts as the same one, and what is refused."""

import copy
import json

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, DATA, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.main import main

pytestmark = LIGHTNING

RECIPE = {
    "model": "vittasks.Classification",
    "backbone": {"num_classes": 10, "img_size": 16},
    "data": {**DATA, "canvas": 16, "clutter_side": 4},
    "trainer": {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": 1},
}
ARMS = {
    "plain": {},
    "slower": {"model.optimizer": {"class_path": "torch.optim.AdamW", "lr": 1e-4}},
    "gelu": {ACTIVATION: "torch.nn.GELU"},
    "scratch": {"pretraining": None},
}


PLANS = {}
"""Words of the command line -> the plan of the unchanged file, which several tests ask for."""


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function: the plan of an ablation whose backbones start from a classifier, with changes."""
    monkeypatch.chdir(tmp_path)

    def plan(*words, recipe=RECIPE, arms=ARMS):
        section = {**ABLATION, "arms": arms}
        write(tmp_path / "arms.yaml", PLAIN, ablation=section, pretraining=copy.deepcopy(recipe))
        arguments = parse_arguments(["--config", "arms.yaml", *words])
        if recipe is not RECIPE or arms is not ARMS:
            return make_plan(arguments)
        if words not in PLANS:
            PLANS[words] = make_plan(arguments)
        return PLANS[words]

    return plan


def test_arms_with_one_backbone_share_a_classifier_and_an_arm_may_have_none(planned):
    plan = planned()
    names = {name: arm.classifier for name, arm in plan.arms.items()}
    assert names["plain"] == names["slower"] != names["gelu"]
    assert names["scratch"] == ""
    assert set(plan.classifiers.arms) == {names["plain"], names["gelu"]}
    assert plan.arms["scratch"].difference == {"pretraining": [names["plain"], None]}
    assert plan.arms["slower"].difference.keys() == {"model.optimizer.lr"}


def test_a_trial_starts_from_the_directory_of_its_classifier(planned):
    plan = planned()
    config = plan.trial_config("plain", 1)
    place = plan.classifiers.directory / plan.arms["plain"].classifier
    assert config["model"]["init_args"]["backbone"]["init_args"]["pretrained"] == str(place / "seed0")
    assert "pretraining" not in config
    each = planned("--pretraining.seeds", "each").trial_config("plain", 1)
    assert each["model"]["init_args"]["backbone"]["init_args"]["pretrained"].endswith("/seed1")


def test_the_classifier_is_the_arms_backbone_with_the_changes_of_the_recipe(planned):
    plan = planned()
    (gelu,) = [arm for name, arm in plan.classifiers.arms.items() if name == plan.arms["gelu"].classifier]
    ours = copy.deepcopy(plan.arms["gelu"].config["model"]["init_args"]["backbone"])
    ours["init_args"]["img_size"] = 16
    assert gelu.config["model"]["init_args"]["backbone"] == ours


def test_whatever_changes_the_classifier_changes_the_arms_identity_and_a_path_does_not(planned):
    first = planned()
    longer = planned("--pretraining.trainer.max_epochs", "2")
    changed = {name for name, arm in first.arms.items() if longer.arms[name].id != arm.id}
    assert changed == {"plain", "slower", "gelu"}
    assert not set(first.classifiers.arms) & set(longer.classifiers.arms)
    assert planned("--pretraining.seeds", "each").arms["plain"].id != first.arms["plain"].id
    same = planned("--runs", "elsewhere", "--pretraining.trainer.devices", "1")
    assert {name: arm.id for name, arm in same.arms.items()} == {name: arm.id for name, arm in first.arms.items()}


def test_classifiers_of_arms_that_do_not_run_are_not_asked_for(planned):
    plan = planned("--ablation.only", "gelu,scratch")
    assert set(plan.classifiers.arms) == {plan.arms["gelu"].classifier}
    assert planned("--ablation.only", "scratch").classifiers is None


def test_the_plan_says_what_is_trained_before(planned, capsys):
    name = planned().arms["plain"].classifier
    assert main(["plan", "arms.yaml", "--quick"]) == 0
    line = f"Pretraining: {name}, 1 seed, 0 trained; for plain, slower. Directory: runs/pretrained/{name}"
    assert line in capsys.readouterr().out.splitlines()
    assert main(["plan", "arms.yaml", "--quick", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["needed"], one["trained"]) for one in found["classifiers"]] == [([0], []), ([0], [])]
    assert [arm["classifier"] for arm in found["arms"]][-1] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ...}, "pretraining.model is missing; name its class, for example vittasks.Classification"),
        ({"data": ...}, "pretraining.data is missing"),
        ({"seeds": "some"}, "pretraining.seeds is 'some'"),
        ({"backbone": {"widht": 8}}, "its pretraining: model.backbone.widht has no entry 'widht'"),
        ({"backbone": {"num_classes": 7}}, "num_classes is 7, but DigitScenes has 10 classes"),
        ({"trainer": {"max_epochs": 0}}, "trainer.max_epochs is 0, so that nothing would be trained"),
        (
            {"model": {"class_path": "vittasks.Classification", "backbone": "vitmodels.pvt_tiny"}},
            "pretraining.model.backbone is set, but the classifier has the backbone of the network",
        ),
        (
            {"backbone": {"class_path": "vitmodels.pvt_tiny", "num_classes": 10, "in_chans": 1, "img_size": 32}},
            "the classifier on vitmodels.pvt_tiny does not fit the backbone vitmodels.localvit_tiny:",
        ),
        (
            {"backbone": {"num_classes": 10, "img_size": 16, "width": 32}},
            "the classifier on vitmodels.localvit_tiny does not fit the backbone vitmodels.localvit_tiny:",
        ),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_in_a_sentence(planned, change, message):
    with pytest.raises(ConfigError) as refused:
        planned(recipe={key: value for key, value in {**RECIPE, **change}.items() if value is not ...})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            {"model.backbone.pretrained": "weights.pth"},
            "model.backbone.pretrained is 'weights.pth', and pretraining is set",
        ),
        (
            {"model.backbone": {"class_path": "timm.create_model", "model_name": "resnet10t", "num_classes": 10}},
            "timm.create_model cannot start from a file; choose a model of vitmodels",
        ),
    ],
)
def test_a_backbone_that_cannot_start_from_a_classifier_is_refused(planned, backbone, message):
    with pytest.raises(ConfigError) as refused:
        planned(arms={"plain": {}, "other": backbone})
    assert message in str(refused.value)


def test_without_an_ablation_a_pretraining_is_refused(tmp_path, capsys):
    config = write(tmp_path / "run.yaml", PLAIN, pretraining=RECIPE)
    assert main(["fit", "--config", config]) == 2
    assert "without an ablation section nothing is trained before" in capsys.readouterr().err
