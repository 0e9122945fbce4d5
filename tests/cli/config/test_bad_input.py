"""Bad input ends with exit code 2 and one sentence that names place, key, value and the nearest valid name."""

from pathlib import Path

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, DATA, GATE, MODEL, PLAIN, TRAINER, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.main import main

LINE = "command line: "


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
    """Return what ``vitcli fit`` says to words that it must refuse, having left nothing behind."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert main(["fit", *words]) == 2
        out, message = capsys.readouterr()
        assert sorted(tmp_path.rglob("*")) == before
        assert out == ""
        assert message.startswith("vitcli: ")
        assert message.count("\n") == 1
        assert message.endswith((".\n", "?\n"))
        return message.removeprefix("vitcli: ").rstrip("\n")

    return run


@pytest.fixture
def plain(tmp_path):
    return write(tmp_path / "plain.yaml", PLAIN)


def without(key: str) -> dict:
    return {name: value for name, value in PLAIN.items() if name != key}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--trainr.max_epochs 3", "trainr.max_epochs has no entry 'trainr'; did you mean trainer?"),
        ("--trainer.max_epoch 3", "trainer.max_epoch has no entry 'max_epoch' in trainer; did you mean max_epochs?"),
        ("--model.bakcbone.width 3", "model.bakcbone.width has no entry 'bakcbone' in model; did you mean backbone?"),
        (
            "--model.backbone.every.feed_forward.op.ratoi 3",
            "has no entry 'ratoi' in model.backbone.stage1.feed_forward.op; did you mean ratio?",
        ),
        ("--model.backbone.stage4.mixer.op.bias all", "has no entry 'stage4' in model.backbone; did you mean stage3?"),
        (f"--{ACTIVATION}.inplaec true", "has no entry 'inplaec' in model.backbone.stage1.feed_forward.op.activation"),
        (
            "--model.every.width 3",
            "model.every.width has no entry 'every' in model; valid names are activations, backbone, ",
        ),
        ("--model.optimizer.params 3", "model.optimizer.params has no entry 'params' in model.optimizer"),
        ("--model.mixing.mixupp 1", "model.mixing.mixupp has no entry 'mixupp' in model.mixing; did you mean mixup?"),
        ("--data.canvass 3", "data.canvass has no entry 'canvass' in data; did you mean canvas?"),
        ("--trainer.max_epochs+ 3", "trainer.max_epochs+ appends to trainer.max_epochs, which is not a list"),
        ("--threads.x 3", "threads.x goes through threads, which is 1 and has no entries."),
    ],
)
def test_a_misspelt_key_names_the_nearest(words, message, plain, refused):
    assert message in refused("--config", plain, *words.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model.backbone.every.feed_forward.op.ratio abc", "op.ratio is 'abc'; expected float."),
        ("--model.backbone.every.feed_forward.op.placement midle", "is 'midle'; expected 'none', 'first', 'middle'."),
        ("--trainer.max_epochs many", "trainer.max_epochs is 'many'; expected int or null."),
        ("--data.batch_size 1.5", "data.batch_size is 1.5; expected int."),
        ("--data.batch_size true", "data.batch_size is True; expected int."),
        ("--data.digit_scale 3", "data.digit_scale is 3; expected a list of 2 values (float, float)."),
        ("--model.optimizer.lr high", "model.optimizer.lr is 'high'; expected float."),
        ("--trainer 3", "trainer is 3; expected keys and values, such as trainer.accelerator."),
        ("--trainer null", "trainer is None; expected keys and values, such as trainer.accelerator."),
        ("--model.mixing 3", "model.mixing is 3; expected keys and values, such as model.mixing.mixup."),
        ("--model.backbone.stage1 3", "model.backbone.stage1 is 3; expected keys and values"),
        ("--seed_everything x", "seed_everything is 'x'; expected int."),
        ("--model [1]", "model is [1]; expected the import path of a class of lightning.LightningModule."),
        ("--model null", "model is null; expected a class."),
    ],
)
def test_a_value_of_the_wrong_type_names_the_right_one(words, message, plain, refused):
    assert refused("--config", plain, *words.split()).startswith(LINE)
    assert message in refused("--config", plain, *words.split())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("torch.relu", "is 'torch.relu', which makes no torch.nn.Module; did you mean torch.nn.ReLU?"),
        ("torch.nn.functional.gelu", "which makes no torch.nn.Module; did you mean torch.nn.GELU?"),
        ("3", "is 3; expected the import path of a class of torch.nn.Module."),
        ("null", "is null; expected a class."),
        ("torch.nn.GELUX", "is 'torch.nn.GELUX', which cannot be imported; did you mean torch.nn.GELU?"),
        ("nopackage.X", "is 'nopackage.X', which cannot be imported (No module named 'nopackage')."),
        ("GELU", "is 'GELU', which cannot be imported; did you mean torch.nn.GELU?"),
        ("..GELU", "is '..GELU', which cannot be imported; did you mean torch.nn.GELU?"),
        ("Nonesuch", "which cannot be imported (a class is named by its import path, such as torch.nn.GELU)."),
        ("{class_path: 3}", "has class_path 3; expected an import path such as torch.nn.GELU."),
        ("{class_path: torch.nn.GELU, init_args: 3}", "has init_args 3; expected keys and values."),
        ("{class_path: torch.nn.GELU, aproximate: tanh}", "has no entry 'aproximate'"),
    ],
)
def test_an_activation_that_is_none_is_refused(value, message, plain, refused):
    answer = refused("--config", plain, f"--{ACTIVATION}", value)
    assert answer.startswith(f"{LINE}{ACTIVATION}")
    assert message in answer


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "model.backbone.every.feed_forward.op",
            "torch.nn.Linear",
            "which makes no vitcore.FeatureOp; valid names are",
        ),
        ("model", "vittasks.DigitScenes", "makes no lightning.LightningModule; did you mean vittasks.Detection?"),
        (
            "data",
            "vittasks.Classification",
            "makes no lightning.LightningDataModule; did you mean vittasks.DigitDetection?",
        ),
        ("model.backbone", "localvit_tiny", "cannot be imported; did you mean vitmodels.localvit_tiny?"),
        ("model.optimizer", "torch.nn.GELU", "makes no torch.optim.Optimizer; valid names are torch.optim.ASGD"),
        ("trainer.callbacks", "torch.nn.GELU", "makes no lightning.Callback"),
        ("trainer.callbacks", "3", "is 3; expected the import path of a class of lightning.Callback."),
        ("trainer.callbacks+", "EarlyStoping", "did you mean lightning.pytorch.callbacks.EarlyStopping?"),
        ("trainer.logger", "CsvLogger", "cannot be imported; did you mean lightning.pytorch.loggers.CSVLogger?"),
        (
            "trainer.callbacks+",
            "{class_path: lightning.pytorch.callbacks.EarlyStopping, monitr: x}",
            "did you mean monitor?",
        ),
    ],
)
def test_a_class_of_the_wrong_kind_is_refused(key, value, message, plain, refused):
    answer = refused("--config", plain, f"--{key}", value)
    assert answer.startswith(f"{LINE}{key}")
    assert message in answer


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--model.backbone.every.mixer.op.head_dim 28",
            "GlobalAttention: head_dim must divide width, got width=16, head_dim=28.",
        ),
        (
            "--model.backbone.every.feed_forward.op.kernel_size 4",
            "kernel_size must be odd and positive, got kernel_size=4.",
        ),
        (f"--{GATE}.reduction 10000", "SqueezeExcite: reduction must lie in 1..width"),
        ("--data.val_size 0", "DigitScenes: passes, batch_size, val_size and test_size must be at least 1"),
        (
            "--model.backbone.in_chans 3",
            "model.backbone.in_chans is 3, but the images of DigitScenes have 1 channel, (1, 32, 32): "
            "set model.backbone.in_chans=1, or data.channels=3.",
        ),
        ("--data.batch_size 2000", "data.batch_size must not exceed the 1297 samples that a process draws in an epoch"),
        (
            "--model.backbone.num_classes 7",
            "model.backbone.num_classes is 7, but DigitScenes has 10 classes: set model.backbone.num_classes=10.",
        ),
        ("--data vittasks.ImageFolder", "data.root is missing; vittasks.ImageFolder needs it."),
        ("--data {class_path: vittasks.ImageFolder, root: nowhere}", "ImageFolder: no folder nowhere"),
        (f"--{ACTIVATION} torch.nn.Linear", "activation.in_features is missing; torch.nn.Linear needs it."),
        ("--threads 0", "threads is 0; expected a whole number of at least 1."),
        ("--seed_everything -1", "seed_everything is -1; expected a whole number of at least 0."),
        ("--seed_everything 4294967296", "seed_everything is 4294967296; expected at most 4294967295."),
        (
            "--trainer.accumulate_grad_batches 0",
            "trainer.accumulate_grad_batches is 0; expected a whole number of at least 1.",
        ),
        (
            "--trainer.check_val_every_n_epoch 0",
            "trainer.check_val_every_n_epoch is 0; expected a whole number of at least 1.",
        ),
        ("--ckpt_path nowhere.ckpt", "ckpt_path is 'nowhere.ckpt', but there is no such file."),
        ("--trainer.accelerator tpux", "accelerator='tpux'"),
    ],
)
def test_what_cannot_be_built_says_why(words, message, plain, refused):
    key, value = words.split(" ", 1)
    answer = refused("--config", plain, key, value)
    assert answer.startswith(f"{plain}: ")
    assert message in answer


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--trainer.max_epochs", "command line: --trainer.max_epochs has no value; write --trainer.max_epochs VALUE"),
        ("--trainer.max_epochs --threads 1", "command line: --trainer.max_epochs has no value"),
        ("plain.yaml", "command line: 'plain.yaml' is not an option; write files as --config plain.yaml"),
        ("--=3", "command line: '--=3' is not an option"),
        ("--config", "command line: --config has no value"),
        ("--config=", "command line: --config names no file"),
        ("--config plian.yaml", "plian.yaml: there is no such file; did you mean plain.yaml?"),
        ("--config nowhere/plain.yaml", "nowhere/plain.yaml: there is no such file; check the path."),
        ("--config unrelated.yaml", "unrelated.yaml: there is no such file; check the path."),
        ("--config .", ".: the file cannot be read"),
        ("--ablation.only plain", "command line: ablation is set, but plain.yaml has no ablation section."),
        ("--ablation 3", "command line: ablation is set, but plain.yaml has no ablation section."),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(words, message, plain, refused):
    assert refused("--config", Path(plain).name, *words.split()).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model is missing; name its class, for example model: vittasks.Classification."),
        ("model: [", "this is not valid YAML (while parsing a flow node"),
        ("- a\n- b", "the file holds a list; expected keys and values"),
        (
            "data: vittasks.DigitScenes\nmodel: {backbone: x}\ndata: vittasks.DigitScenes",
            "line 3: 'data' is given twice, first in line 1",
        ),
        ("model:\n  a: 1\n  b:\n    c: 1\n    c: 2", "line 5: 'c' is given twice, first in line 4; keep one of them."),
        ("3: x", "3 has no entry '3'; valid names are"),
        ("model: bad.yaml", "the file includes itself (bad.yaml -> bad.yaml); remove one of these references."),
        ("model: shared/other.yml", "bad.yaml: names shared/other.yml, but there is no such file"),
        ("\x00", "this is not valid YAML"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(text, message, tmp_path, refused):
    (tmp_path / "bad.yaml").write_text(text)
    answer = refused("--config", "bad.yaml")
    assert answer.startswith("bad.yaml")
    assert message in answer


def test_a_file_that_is_not_text_is_named(tmp_path, refused):
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00model: 3")
    assert refused("--config", "bad.yaml").startswith("bad.yaml: ")


def test_two_files_that_include_each_other_are_named(tmp_path, refused):
    (tmp_path / "one.yaml").write_text("model: two.yaml")
    (tmp_path / "two.yaml").write_text("backbone: one.yaml")
    assert "(one.yaml -> two.yaml -> one.yaml)" in refused("--config", "one.yaml")


@pytest.mark.parametrize("key", ["model", "data"])
def test_a_missing_model_or_data_module_is_asked_for(key, tmp_path, refused):
    path = write(tmp_path / "part.yaml", without(key))
    assert refused("--config", path).startswith(
        f"{path}: {key} is missing; name its class, for example {key}: vittasks."
    )


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_file_with_arms_is_not_scored(command, tmp_path, capsys):
    path = write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    assert main([command, "--config", path]) == 2
    assert (
        "this file describes several arms; give the configuration of one trial: --config runs/arms/ARM/seed0/config.yaml."
        in (capsys.readouterr().err)
    )


def plan_error(tmp_path: Path, words: str, **ablation: object) -> str:
    path = write(
        tmp_path / "arms.yaml", {"model": MODEL, "data": DATA, "trainer": TRAINER}, ablation=ABLATION | ablation
    )
    with pytest.raises(ConfigError) as caught:
        make_plan(parse_arguments(["--config", path, *words.split()]))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(path, "arms.yaml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--ablation.only nope", "ablation.only names 'nope', which is not an arm; valid names are gelu, plain."),
        ("--ablation.only gelu,gellu", "ablation.only names 'gellu', which is not an arm; did you mean gelu?"),
        ("--ablation.only 3", "ablation.only is [3]; expected str."),
        ("--ablation.baseline plian", "ablation.baseline names 'plian', which is not an arm; did you mean plain?"),
        ("--ablation.seeds 0", "ablation.seeds is 0; expected a whole number of at least 1."),
        ("--ablation.seeds x", "ablation.seeds is 'x'; expected int, or the numbers of both: {baseline: 10, arms: 5}."),
        ("--ablation.workers -1", "ablation.workers is -1; expected a whole number of at least 0."),
        ("--ablation.arms [a]", "ablation.arms is ['a']; expected arms, each a name and the keys that it changes."),
        ("--ablation.arms.gelu 3", "ablation.arms.gelu is 3; expected keys and the values that the arm gives them."),
        ("--ablation.metric.direction sideways", "ablation.metric.direction is 'sideways'; expected 'max', 'min'."),
        (
            "--ablation.metric.nam x",
            "ablation.metric.nam has no entry 'nam' in ablation.metric; did you mean name?",
        ),
        ("--ablation.sedes 3", "ablation.sedes has no entry 'sedes' in ablation; did you mean seeds?"),
        ("--ablation 3", "ablation is 3; expected a section with baseline and arms."),
    ],
)
def test_an_ablation_set_wrongly_on_the_command_line_is_refused(words, message, tmp_path):
    assert plan_error(tmp_path, words).startswith(LINE + message)


@pytest.mark.parametrize(
    ("ablation", "message"),
    [
        (
            {"seeds": "x"},
            "arms.yaml: ablation.seeds is 'x'; expected int, or the numbers of both: {baseline: 10, arms: 5}.",
        ),
        ({"arms": {}}, "arms.yaml: ablation.arms is {}; expected arms"),
        ({"arms": {"plain": {}, "a/b": {}}}, "arms.yaml: ablation.arms has an arm named 'a/b'; use letters"),
        (
            {"arms": {"plain": {}, "mean": {}}},
            "arms.yaml: ablation.arms has an arm named 'mean'; that is the name of a file or folder",
        ),
        ({"arms": {"plain": {}, 3: {}}}, "arms.yaml: ablation.arms has an arm named 3; use letters"),
        (
            {"arms": {"plain": {}, "x": {"model.bakcbone.width": 8}}},
            "arms.yaml, arm x: model.bakcbone.width has no entry",
        ),
        ({"arms": {"plain": {}, "x": {"data.val_size": "a"}}}, "arms.yaml, arm x: data.val_size is 'a'; expected int."),
        ({"arms": {"plain": {}, "x": {ACTIVATION: "GELU"}}}, f"arms.yaml, arm x: {ACTIVATION} is 'GELU', which cannot"),
        (
            {"arms": {"plain": {}, "x": {"model.backbone.every.mixer.op.head_dim": 28}}},
            "arms.yaml, arm x: GlobalAttention: head_dim must divide width, got width=16, head_dim=28.",
        ),
        (
            {"arms": {"plain": {}, "x": {"model.backbone.num_classes": 7}}},
            "arms.yaml, arm x: model.backbone.num_classes is 7, but DigitScenes has 10 classes",
        ),
    ],
)
def test_a_fault_in_an_arm_is_refused_with_the_arm_s_name(ablation, message, tmp_path):
    assert plan_error(tmp_path, "", **ablation).startswith(message)


def test_the_command_refuses_an_ablation_before_it_writes(tmp_path, refused):
    path = write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    assert "did you mean gelu?" in refused("--config", path, "--ablation.only", "gellu")
    assert "set model.backbone.num_classes=10." in refused("--config", path, "--model.backbone.num_classes", "7")
    (tmp_path / "file").write_text("")
    assert refused("--config", path, "--runs", "file").startswith("file/arms: the directory cannot be created")
