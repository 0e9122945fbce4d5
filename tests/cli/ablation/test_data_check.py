"""An ablation looks at its data before it trains anything, and names what is wrong once."""

import shutil

import pytest

from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, write
from tests.tasks.data.trees import cut_in_half, pack_cifar, write_tree
from vitcli.ablation.planning.checks.rehearsal import rehearse
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError

pytestmark = LIGHTNING


@pytest.fixture
def plan(tmp_path):
    """Return a function that plans an ablation on a tree of images, which it may change before."""
    root = write_tree(tmp_path / "animals")
    model = {**PLAIN["model"], "init_args": {"backbone": PLAIN["model"]["init_args"]["backbone"] | {"in_chans": 3}}}
    model["init_args"]["backbone"]["num_classes"] = 3
    data = {"class_path": "vittasks.ImageFolder", "root": str(root), "img_size": 32, "batch_size": 4}
    path = write(tmp_path / "arms.yaml", PLAIN, model=model, data=data, ablation=ABLATION)

    def run(*words):
        return make_plan(parse_arguments(["--config", path, *words]))

    run.root = root
    return run


def test_a_tree_in_order_is_planned(plan):
    assert set(plan().arms) == {"plain", "gelu"}


def test_an_unlabelled_test_folder_is_found_by_the_plan(plan):
    (plan.root / "test").mkdir()
    shutil.copy(plan.root / "val" / "ant" / "0.jpg", plan.root / "test" / "0.jpg")
    with pytest.raises(
        ConfigError, match=rf"ImageFolder: no class folder in {plan.root}/test.*data.test_split: val scores"
    ):
        plan()
    assert plan("--data.test_split", "val")


def test_a_damaged_image_is_found_by_the_plan_and_named_once(plan):
    cut = cut_in_half(plan.root / "train" / "cat" / "1.jpg")
    with pytest.raises(ConfigError) as caught:
        plan()
    assert str(caught.value).count(str(cut)) == 1
    assert "of class cat" in str(caught.value)


def test_the_same_arms_train_on_digits_on_a_folder_and_on_cifar_by_one_more_file(tmp_path):
    write_tree(tmp_path / "animals")
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pack_cifar(tmp_path / "cifar" / name, 20, 10, 0)
    arms = write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    folder = {"class_path": "vittasks.ImageFolder", "root": str(tmp_path / "animals"), "img_size": 32, "batch_size": 4}
    cifar = {"class_path": "vittasks.CIFAR", "root": str(tmp_path / "cifar"), "batch_size": 4}
    plans = {"digits": make_plan(parse_arguments(["--config", arms]))}
    for name, data in (("animals", folder), ("cifar", cifar)):
        head = {"num_classes": 3 if name == "animals" else 10, "in_chans": 3}
        other = write(tmp_path / f"{name}.yaml", {"data": data, "model.backbone": head})
        plans[name] = make_plan(parse_arguments(["--config", arms, "--config", other]))
    macs = {name: plan.arms["plain"].macs for name, plan in plans.items()}
    assert macs["digits"] < macs["animals"] < macs["cifar"]
    for plan in plans.values():
        rehearse(plan, ["gelu"], str)  # a batch of the training, of the validation and of the test
