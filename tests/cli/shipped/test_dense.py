"""The ablation files of dense prediction: each arm builds and takes a training step that reaches what its head reads."""

import pytest
import torch

from tests.cli.shipped.test_ablations import DENSE, FOLDER, small
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.config.lightning_cli import VitCLI
from vitcli.config.yaml_files import read_yaml

pytestmark = LIGHTNING
ARMS = [(name, arm) for name in DENSE for arm in read_yaml(FOLDER / f"{name}.yaml")["ablation"]["arms"]]


@pytest.mark.parametrize("name", DENSE)
def test_a_file_says_its_question_source_and_command_and_scores_its_task(name):
    plan = small(name)
    assert plan.question.endswith("?")
    assert plan.spec.source
    assert plan.spec.metric.name == "test/mIoU"
    assert f"# Run       vitcli fit --config ablations/{name}.yaml\n" in (FOLDER / f"{name}.yaml").read_text()
    assert len({arm.id for arm in plan.arms.values()}) == len(plan.arms)


@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_an_arm_builds_and_takes_a_training_step_that_reaches_every_parameter(name, arm):
    task = VitCLI(small(name).trial_config(arm, 0)).model.train()
    task.log = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    image, label = torch.randn(2, 1, 64, 64), torch.randint(0, 11, (2, 64, 64))
    optimizer = task.optimizer(task.parameters())
    before = task.training_step((image, label), 0)
    before.backward()
    assert not [key for key, weight in task.named_parameters() if weight.grad is None]
    optimizer.step()
    after = task.training_step((image, label), 0)
    assert torch.isfinite(after)
    assert after != before
