"""The ablation files of dense prediction: each arm builds and takes a training step that reaches what its head reads."""

import functools

import pytest
import torch

from tests.cli.shipped.test_ablations import DENSE, FOLDER, small
from tests.cli.shipped.test_identities import words_of
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.ablation.planning.draft import resolve_arms
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import VitCLI, base_config, resolve
from vitcli.config.yaml_files import read_yaml

pytestmark = LIGHTNING

QUICK = {("dense_backbones", "pvt"), ("dense_backbones", "swin"), ("dense_backbones_detection", "pvtv2")}
METRICS = {"vittasks.Segmentation": "test/mIoU", "vittasks.Detection": "test/mAP"}
PAIRS = [(name, arm) for name in DENSE for arm in read_yaml(FOLDER / f"{name}.yaml")["ablation"]["arms"]]
SLOW = [pytest.mark.slow, pytest.mark.exhaustive]
ARMS = [pytest.param(*pair, marks=[] if pair in QUICK else SLOW) for pair in PAIRS]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "dense_padding" else SLOW) for name in DENSE])
def test_a_file_says_its_question_source_and_command_and_scores_its_task(name):
    plan = small(name)
    assert plan.question.endswith("?")
    assert plan.spec.source
    task = plan.arms[plan.spec.baseline].config["model"]["class_path"]
    assert plan.spec.metric.name in (METRICS[task], "test/mask_mAP")
    assert f"# Run       vitcli fit --config ablations/{name}.yaml\n" in (FOLDER / f"{name}.yaml").read_text()
    assert len({arm.id for arm in plan.arms.values()}) == len(plan.arms)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_segmentation_and_detection_share_their_classifiers():
    first, second = small("dense_backbones"), small("dense_backbones_detection")
    assert set(first.classifiers.arms) == set(second.classifiers.arms)
    assert len(first.classifiers.arms) == len(first.arms)


@functools.cache
def drafted(name):
    """The arms of an ablation, resolved; a plan would also count the cost of all of them and of their classifiers."""
    return resolve_arms(parse_arguments(["--config", str(FOLDER / f"{name}.yaml")]))


@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_an_arm_builds_and_takes_a_training_step_that_reaches_every_parameter(name, arm):
    task = VitCLI(drafted(name).configs[arm]).model.train()
    task.log = task.log_dict = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    batch = objects() if hasattr(task, "network") else (torch.randn(2, 1, 64, 64), torch.randint(0, 11, (2, 64, 64)))
    optimizer = task.optimizer(task.parameters())
    before = task.training_step(batch, 0)
    before.backward()
    assert not [key for key, weight in task.named_parameters() if weight.grad is None]
    optimizer.step()
    after = task.training_step(batch, 0)
    assert torch.isfinite(after)
    assert after != before


PAPERS = {
    path.stem: f"{folder}/{path.stem}" for folder in ("ade20k", "coco") for path in (FOLDER / folder).glob("*.yaml")
}


def test_every_question_has_its_paper_s_size():
    assert sorted(PAPERS) == sorted(DENSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_the_paper_s_size_asks_the_same_question_with_the_network_and_the_training_of_a_recipe(name):
    words = words_of(PAPERS[name])
    paper, digits = resolve_arms(parse_arguments(words)), drafted(name)
    assert (list(paper.configs), paper.spec.baseline) == (list(digits.configs), digits.spec.baseline)
    assert paper.directory != digits.directory
    assert words[2] == "--config"
    recipe = resolve({**base_config(parse_arguments(words[2:4])), "trainer": {"accelerator": "cpu"}}, name)
    network = "detector" if "detector" in recipe["model"]["init_args"] else "head"
    for config in paper.configs.values():
        backbone = config["model"]["init_args"]["backbone"]
        assert (backbone["init_args"]["in_chans"], backbone["init_args"]["img_size"]) == (3, 224)
        ours, theirs = (one["model"]["init_args"] for one in (config, recipe))
        same = [key for key in theirs if key not in ("backbone", "optimizer", "map_norm", network)]
        assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
        assert _but_for_the_norm(ours[network]) == _but_for_the_norm(theirs[network])
        assert config["data"]["class_path"] == recipe["data"]["class_path"]


def _but_for_the_norm(part):
    return {**part, "init_args": {**part["init_args"], "map_norm": None}}


def objects():
    """Two images with two objects each, as ``DigitDetection`` gives them."""
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 4:28, 8:28] = masks[1, 32:60, 30:52] = True
    one = {
        "boxes": torch.tensor([[8.0, 4.0, 28.0, 28.0], [30.0, 32.0, 52.0, 60.0]]),
        "labels": torch.tensor([3, 7]),
        "masks": masks,
    }
    return [torch.rand(1, 64, 64), torch.rand(1, 64, 64)], [one, one]
