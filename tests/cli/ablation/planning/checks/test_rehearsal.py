"""What training would refuse is refused by the plan: every arm is tried on one batch of each split of the real data."""

import os
import shutil
from pathlib import Path

import pytest
from lightning.pytorch import Callback
from PIL import Image

from tests.cli.ablation.planning.test_classifiers import RECIPE
from tests.cli.own_task import Blobs
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, TRAINER, write
from vitcli.ablation.planning.checks import rehearsal
from vitcli.ablation.planning.checks.rehearsal import rehearse
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.state import is_begun
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.main import main
from vitcli.records.json_files import write_json
from vittasks import Classification

pytestmark = LIGHTNING

SIZES: list[tuple[str, int]] = []


class Sizes(Callback):
    """Notes how many images each batch has."""

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        SIZES.append(("train", len(batch[0])))

    def on_validation_batch_end(self, trainer, module, outputs, batch, index):
        SIZES.append(("val", len(batch[0])))

    def on_test_batch_end(self, trainer, module, outputs, batch, index):
        SIZES.append(("test", len(batch[0])))


class Leaves(Callback):
    """Ends the process."""

    def on_train_start(self, trainer, module):
        os._exit(3)


class Fails(Callback):
    """Raises an error that is no sentence."""

    def on_train_start(self, trainer, module):
        raise KeyError("x")


class Unscored(Classification):
    """A pretraining that scores itself in another way."""

    def test_step(self, batch, batch_index):
        self.log("test/score", batch[0].mean())


class NoTest(Blobs):
    """Data without anything to test on."""

    def test_dataloader(self):
        return []


def plan_of(folder: Path, words: tuple[str, ...] = (), content: dict | None = None) -> Plan:
    path = write(folder / "arms.yaml", PLAIN, {"ablation": ABLATION}, content or {})
    return make_plan(parse_arguments(["--config", path, "--runs", str(folder / "runs"), *words]))


def check(folder: Path, words: tuple[str, ...] = (), content: dict | None = None) -> None:
    """Do what ``vitcli plan`` does."""
    plan = plan_of(folder, words, content)
    rehearse(plan, plan.spec.chosen, str)


def refused(folder: Path, words: tuple[str, ...] = (), content: dict | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        check(folder, words, content)
    return str(caught.value).replace(str(folder), "FOLDER").replace("FOLDER/arms.yaml", "arms.yaml")


def callback(name: str, **arguments: object) -> str:
    inner = ", ".join(f"{key}: {value}" for key, value in arguments.items())
    return f"{{class_path: {name}, init_args: {{{inner}}}}}"


STOPS = callback("lightning.pytorch.callbacks.EarlyStopping", monitor="val/los")
BEST = callback("lightning.pytorch.callbacks.ModelCheckpoint", monitor="val/acc", dirpath="weights")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.optimizer.lr", "-1", "training failed: model.optimizer: Invalid learning rate: -1.0."),
        (
            "model.optimizer.betas",
            "[1.5, 0.9]",
            "training failed: model.optimizer: Invalid beta parameter at index 0: 1.5.",
        ),
        ("model.schedule.warmup", "3", "training failed: WarmupCosine: warmup is a fraction of the steps in [0, 1)"),
        ("data.batch_size", "2000", "data.batch_size must not exceed the 1297 samples"),
        ("trainer.limit_train_batches", "0.01", "You requested to check 0.01 of the `train_dataloader`"),
        ("trainer.limit_val_batches", "0.01", "trainer.limit_val_batches is 0.01, less than one of 2 batches."),
        ("trainer.limit_test_batches", "0.01", "trainer.limit_test_batches is 0.01, less than one of 2 batches."),
        ("trainer.callbacks", STOPS, "Early stopping conditioned on metric `val/los` which is not available."),
        ("trainer.callbacks", BEST, "ModelCheckpoint monitors 'val/acc', which is not logged; did you mean val/acc"),
        ("trainer.callbacks", f"{__name__}.Fails", "training failed: KeyError: 'x' (test_rehearsal.py, line "),
    ],
)
def test_what_training_would_refuse_is_refused_with_the_arm_s_name(key, value, message, tmp_path):
    answer = refused(tmp_path, (f"--ablation.arms.gelu.{key}", value, "--ablation.only", "gelu"))
    assert answer.startswith("command line, arm gelu: ")
    assert message in answer


def test_a_metric_that_a_test_does_not_log_is_refused_whatever_callbacks_there_are(tmp_path):
    words = ("--trainer.callbacks+", f"{__name__}.Sizes", "--ablation.metric.name", "test/further")
    assert refused(tmp_path, words).startswith(
        "arms.yaml, arm plain: ablation.metric.name is 'test/further', which a test of this arm does not log; valid names"
    )


@pytest.mark.slow
def test_a_pretraining_that_does_not_log_what_it_is_scored_by_is_refused_as_such(tmp_path):
    recipe = {**RECIPE, "model": f"{__name__}.Unscored"}
    plan = plan_of(tmp_path, ("--ablation.only", "plain"), {"pretraining": recipe})
    with pytest.raises(ConfigError) as caught:
        rehearse(plan.classifiers, plan.classifiers.spec.chosen, str)
    assert "arm plain, its pretraining: a pretraining is scored by test/acc1, which a test of its task" in str(
        caught.value
    )
    assert "Unscored does not log; did you mean test/score?" in str(caught.value)


def test_a_data_module_without_a_test_split_is_refused(tmp_path):
    content = {
        "model": "tests.cli.own_task.Segmentation",
        "data": f"{__name__}.NoTest",
        "trainer": TRAINER,
        "ablation": {"baseline": "a", "arms": {"a": {}}, "metric": "test/pixels"},
    }
    assert "arm a: a rehearsal of its test failed: the test split gives no batch." in refused(tmp_path, (), content)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (32, 32), (40 * number, 90, 10)).save(root / split / name / f"{number}.png")
    return root


def unlabelled(root: Path) -> None:
    shutil.move(root / "test" / "cat" / "0.png", root / "test" / "0.png")
    shutil.rmtree(root / "test" / "cat")
    shutil.rmtree(root / "test" / "dog")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root / "val"), "ImageFolder: no folder FOLDER/images/val"),
        (unlabelled, "ImageFolder: no class folder in FOLDER/images/test"),
        (
            lambda root: shutil.rmtree(root / "test" / "dog"),
            "ImageFolder: FOLDER/images/test must hold the",
        ),
        (
            lambda root: (root / "train" / "cat" / "0.png").write_bytes(b"no"),
            "ImageFolder: cannot read FOLDER/images/train/cat/0.png",
        ),
        (lambda root: None, ""),
    ],
)
def test_every_split_of_the_real_data_is_opened(damage, message, images, tmp_path):
    root = tmp_path / "images"
    shutil.copytree(images, root)
    damage(root)
    data = {"class_path": "vittasks.ImageFolder", "root": str(root), "img_size": 32, "batch_size": 4, "workers": 0}
    backbone = PLAIN["model"]["init_args"]["backbone"] | {"num_classes": 2, "in_chans": 3}
    content = {
        "model": {**PLAIN["model"], "init_args": {"backbone": backbone}},
        "data": data,
        "ablation": ABLATION | {"metric": "test/loss"},
    }
    if message:
        assert message in refused(tmp_path, (), content)
    else:
        check(tmp_path, (), content)


def test_a_rehearsal_takes_one_batch_of_each_split_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SIZES.clear()
    saves = callback("lightning.pytorch.callbacks.ModelCheckpoint", dirpath="weights")
    plan = plan_of(tmp_path, ("--trainer.callbacks", f"[{__name__}.Sizes, {saves}]", "--trainer.max_epochs", "7"))
    told: list[str] = []
    rehearse(plan, plan.spec.chosen, told.append)
    assert SIZES == [("train", 64), ("val", 64), ("test", 64)] * 2
    assert [place.partition(", ")[2] for place in told] == ["arm plain", "arm gelu"]
    assert [path.name for path in tmp_path.iterdir()] == ["arms.yaml"]


def test_a_large_model_is_tried_on_fewer_images_and_the_size_of_its_batch_is_checked_too(tmp_path, monkeypatch):
    SIZES.clear()
    words = ("--trainer.callbacks", f"{__name__}.Sizes", "--ablation.only", "plain")
    plan = plan_of(tmp_path, words)
    monkeypatch.setattr(rehearsal, "MOST_MACS", 3 * 7 * plan.arms["plain"].macs)
    rehearse(plan, ["plain"], str)
    assert SIZES == [("train", 6), ("val", 6), ("test", 6)]
    assert "batch_size must not exceed the 1297 samples" in refused(tmp_path, (*words, "--data.batch_size", "2000"))


def test_the_commands_rehearse_unless_they_are_asked_not_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    bad = ["--model.optimizer.lr", "-1"]
    assert main(["plan", "arms.yaml", *bad]) == 2
    message = "vitcli: arms.yaml, arm plain: a rehearsal of its training failed: model.optimizer: Invalid learning rate: -1.0.\n"
    assert capsys.readouterr().err == message
    assert main(["fit", "--config", "arms.yaml", *bad]) == 2
    assert capsys.readouterr().err == message
    assert not (tmp_path / "runs").exists()
    assert main(["plan", "arms.yaml", "--quick", *bad]) == 0
    assert main(["plan", "arms.yaml", "--ablation.arms.gelu.trainer.callbacks", f"{__name__}.Leaves"]) == 2
    assert capsys.readouterr().err == (
        "vitcli: command line, arm gelu: the process ended with exit code 3 in a rehearsal of one batch; --quick plans "
        "without rehearsals.\n"
    )


def test_an_arm_with_a_trial_that_has_begun_needs_no_rehearsal(tmp_path):
    plan = plan_of(tmp_path)
    place = plan.trial_directory("gelu", 1)
    place.mkdir(parents=True)
    write_json(place / "trial.json", {"id": "another"})
    assert not is_begun(plan, "gelu")
    write_json(place / "trial.json", {"id": plan.arms["gelu"].id})
    assert is_begun(plan, "gelu")
    assert not is_begun(plan, "plain")
