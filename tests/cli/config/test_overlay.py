"""Laying values over a configuration: what is named changes, whatever the depth, and nothing else does."""

import functools
import math
import operator
import sys

import pytest
import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI

from tests.cli.tiny_ablation import ACTIVATION, GATE, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.difference import difference, flat
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import VitCLI, base_config, resolve, schema
from vitcli.config.origin import Origin
from vitcli.config.overlay import checked_value, lay_over
from vitcli.main import main

pytestmark = LIGHTNING

BACKBONE = "model.backbone"
STAGES = ("stage1", "stage2", "stage3")
OP = f"{BACKBONE}.every.feed_forward.op"
STOPPING = "lightning.pytorch.callbacks.EarlyStopping"


def resolved(*layers: dict) -> dict:
    """Return the tiny configuration with further layers over it, every value stated."""
    config: dict = {}
    for layer in (PLAIN, *layers):
        lay_over(config, schema(), layer, "here")
    return resolve(config, "here")


def changed(*layers: dict) -> dict:
    return difference(resolved(), resolved(*layers))


def part(config: dict, key: str) -> dict:
    """Return what stands under a dotted key that runs through classes."""
    for name in key.split("."):
        config = config.get("init_args", config)[name]
    return config


def from_words(path: str, *words: str) -> dict:
    arguments = parse_arguments(["--config", path, *words])
    return resolve(base_config(arguments), path)


@pytest.fixture
def plain(tmp_path):
    return write(tmp_path / "plain.yaml", PLAIN)


def test_a_leaf_changes_in_every_stage_and_nothing_else_does(plain):
    pair = [{"class_path": "torch.nn.Hardswish", "init_args": {"inplace": False}}]
    pair.append({"class_path": "torch.nn.GELU", "init_args": {"approximate": "none"}})
    expected = {f"{BACKBONE}.{stage}.feed_forward.op.activation": pair for stage in STAGES}
    assert changed({ACTIVATION: "torch.nn.GELU"}) == expected
    assert difference(from_words(plain), from_words(plain, f"--{ACTIVATION}=torch.nn.GELU")) == expected


def test_the_part_around_a_changed_leaf_is_stated_whole():
    assert part(resolved({ACTIVATION: "torch.nn.GELU"}), f"{BACKBONE}.stage2.feed_forward") == {
        "op": {
            "class_path": "vitcore.LocalityFeedForward",
            "init_args": {
                "ratio": 4.0,
                "kernel_size": 3,
                "placement": "middle",
                "activation": {"class_path": "torch.nn.GELU", "init_args": {"approximate": "none"}},
                "channel_attention": {
                    "class_path": "vitcore.SqueezeExcite",
                    "init_args": {
                        "reduction": 16,
                        "gate": {"class_path": "torch.nn.Hardsigmoid", "init_args": {"inplace": False}},
                    },
                },
                "norm": {
                    "class_path": "vitcore.GridBatchNorm2d",
                    "init_args": {
                        "eps": 1e-5,
                        "momentum": 0.1,
                        "affine": True,
                        "track_running_stats": True,
                        "device": None,
                        "dtype": None,
                        "bias": True,
                    },
                },
            },
        },
        "norm": {"class_path": "torch.nn.Identity"},
        "drop_path_scale": 0.0,
    }


def test_a_stage_by_its_own_name_changes_alone():
    assert list(changed({f"{BACKBONE}.stage1.feed_forward.op.activation": "torch.nn.GELU"})) == [
        f"{BACKBONE}.stage1.feed_forward.op.activation"
    ]


def test_every_is_the_same_as_naming_all_stages():
    one_by_one = {f"{BACKBONE}.{stage}.feed_forward.op.ratio": 2 for stage in STAGES}
    assert resolved({f"{OP}.ratio": 2}) == resolved(one_by_one)


def test_a_leaf_two_classes_down_changes_alone():
    assert changed({f"{GATE}.reduction": 8}) == {
        f"{BACKBONE}.{stage}.feed_forward.op.channel_attention.reduction": [16, 8] for stage in STAGES
    }


def test_another_class_replaces_a_part_whole():
    op = part(resolved({f"{OP}.ratio": 2.0}, {OP: "vitcore.Mlp"}), f"{BACKBONE}.stage1.feed_forward.op")
    gelu = {"class_path": "torch.nn.GELU", "init_args": {"approximate": "none"}}
    assert op == {"class_path": "vitcore.Mlp", "init_args": {"ratio": 4.0, "activation": gelu}}


@pytest.mark.parametrize(
    ("key", "new", "argument", "own"),
    [
        (GATE, "vitcore.EfficientChannel", "gate", {"class_path": "torch.nn.Sigmoid"}),
        ("model.optimizer", "torch.optim.SGD", "weight_decay", 0.0),
    ],
)
def test_an_argument_that_both_classes_have_is_not_carried_over(key, new, argument, own):
    assert part(resolved({key: new}), key.replace("every", "stage1"))["init_args"][argument] == own


def test_the_same_class_again_keeps_the_part_and_lays_its_arguments_over():
    again = {OP: {"class_path": "vitcore.LocalityFeedForward", "ratio": 2.0}}
    assert resolved(again) == resolved({f"{OP}.ratio": 2.0})


@pytest.mark.parametrize(
    "layer",
    [
        {BACKBONE: {"every": {"feed_forward": {"op": {"activation": "torch.nn.GELU"}}}}},
        {"model": {"backbone.every": {"feed_forward.op": {"activation": {"class_path": "torch.nn.GELU"}}}}},
        {
            "model": {
                "init_args": {
                    "backbone": {"init_args": {"every.feed_forward.op.init_args.activation": "torch.nn.GELU"}}
                }
            }
        },
        {f"{ACTIVATION}.class_path": "torch.nn.GELU"},
        {ACTIVATION: {"class_path": "torch.nn.GELU", "approximate": "none"}},
        {ACTIVATION: {"class_path": "torch.nn.modules.activation.GELU", "init_args": None}},
    ],
)
def test_nested_mappings_dotted_keys_and_init_args_mean_the_same(layer):
    assert resolved(layer) == resolved({ACTIVATION: "torch.nn.GELU"})


def test_a_key_with_a_plus_appends_to_the_list():
    one = {"class_path": STOPPING, "monitor": "val/loss"}
    other = {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}
    config = resolved(
        {"trainer.callbacks": one}, {"trainer": {"callbacks+": [other, "lightning.pytorch.callbacks.Timer"]}}
    )
    assert [callback["class_path"].rpartition(".")[2] for callback in config["trainer"]["callbacks"]] == [
        "EarlyStopping",
        "LearningRateMonitor",
        "Timer",
    ]
    assert config["trainer"]["callbacks"][0]["init_args"]["patience"] == 3


def test_what_is_appended_on_the_command_line_adds_up(plain):
    words = [
        "--trainer.callbacks+",
        "lightning.pytorch.callbacks.Timer",
        "--trainer.callbacks+=lightning.pytorch.callbacks.LearningRateMonitor",
    ]
    assert len(from_words(plain, *words)["trainer"]["callbacks"]) == 2


def test_loggers_and_callbacks_need_no_package_before_their_names(plain):
    words = "--trainer.logger WandbLogger --trainer.logger.project x"
    words += " --trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.patience 2"
    words += " --trainer.callbacks+ LearningRateMonitor"
    trainer = from_words(plain, *words.split())["trainer"]
    assert trainer["logger"]["class_path"] == "lightning.pytorch.loggers.WandbLogger"
    assert trainer["logger"]["init_args"]["project"] == "x"
    stopping, monitor = trainer["callbacks"]
    assert stopping["class_path"] == "lightning.pytorch.callbacks.EarlyStopping"
    assert (stopping["init_args"]["monitor"], stopping["init_args"]["patience"]) == ("val/loss", 2)
    assert monitor["class_path"] == "lightning.pytorch.callbacks.LearningRateMonitor"


def test_a_logger_that_needs_a_directory_has_that_of_the_run(plain):
    logger = from_words(plain, "--trainer.logger", "CSVLogger")["trainer"]["logger"]
    assert logger["class_path"] == "lightning.pytorch.loggers.CSVLogger"
    assert logger["init_args"]["save_dir"] == "."


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", "1.e-3", "+1e-3"])
def test_a_number_in_exponential_form_is_a_number(text, tmp_path, plain):
    assert (
        from_words(plain, f"--model.optimizer.lr={text}")["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 1e-3
    )
    (tmp_path / "lr.yaml").write_text(f"model.optimizer.lr: {text}")
    written = from_words(plain, "--config", str(tmp_path / "lr.yaml"))
    assert written["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 1e-3


def test_a_whole_number_is_written_as_the_float_that_it_stands_for():
    config = resolved({f"{OP}.ratio": 3, "data.digit_scale": [0.4, 0.5], "model.label_smoothing": 0})
    assert repr(part(config, f"{BACKBONE}.stage3.feed_forward.op.ratio")) == "3.0"
    assert repr(part(config, "model.label_smoothing")) == "0.0"
    assert part(config, "data.digit_scale") == [0.4, 0.5]


def test_later_files_win_and_the_command_line_wins_over_all(tmp_path):
    first = write(tmp_path / "first.yaml", PLAIN)
    second = write(tmp_path / "second.yaml", {"data.val_size": 50, "data": {"test_size": 60}})
    config = from_words(first, "--config", second, "--data.test_size", "70")["data"]["init_args"]
    assert (config["val_size"], config["test_size"], config["batch_size"]) == (50, 70, 64)


def test_a_value_that_names_a_yaml_file_is_its_content_relative_to_the_file(tmp_path, monkeypatch):
    (tmp_path / "shared" / "deep").mkdir(parents=True)
    write(tmp_path / "shared" / "data.yaml", {"class_path": "vittasks.DigitScenes", "init_args": "deep/sizes.yaml"})
    write(tmp_path / "shared" / "deep" / "sizes.yaml", {"val_size": 30, "test_size": 40})
    path = write(tmp_path / "file.yaml", PLAIN, data="shared/data.yaml")
    monkeypatch.chdir("/")
    included = from_words(path)["data"]["init_args"]
    assert (included["val_size"], included["test_size"]) == (30, 40)
    monkeypatch.chdir(tmp_path)
    assert (
        from_words("file.yaml", "--data", "shared/data.yaml", "--data.val_size", "31")["data"]["init_args"]["val_size"]
        == 31
    )


def test_yaml_anchors_and_merge_keys_work(tmp_path):
    text = f"{yaml.safe_dump(PLAIN)}\nsizes: &sizes {{val_size: 30, test_size: 40}}\n"
    (tmp_path / "file.yaml").write_text(text.replace("sizes: &sizes", "data: &sizes") + "trainer.callbacks: []\n")
    with pytest.raises(ConfigError, match="'data' is given twice"):
        from_words(str(tmp_path / "file.yaml"))
    (tmp_path / "file.yaml").write_text("one: &one {a: 1, b: 2}\ntwo:\n  <<: *one\n  b: 3\n")
    from vitcli.config.yaml_files import read_yaml

    assert read_yaml(tmp_path / "file.yaml")["two"] == {"a": 1, "b": 3}


def test_a_printed_configuration_resolves_to_itself(plain, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        f"--{ACTIVATION}",
        "torch.nn.GELU",
        "--trainer.callbacks+",
        f"{{class_path: {STOPPING}, monitor: val/loss}}",
    ]
    assert main(["fit", "--config", plain, *words, "--print_config"]) == 0
    once = capsys.readouterr().out
    (tmp_path / "printed.yaml").write_text(once)
    assert main(["fit", "--config", "printed.yaml", "--print_config"]) == 0
    assert capsys.readouterr().out == once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.yaml", "printed.yaml"]
    assert yaml.safe_load(once)["model"]["class_path"] == "vittasks.Classification"


class _Parsing(LightningCLI):
    """LightningCLI's own reading of a configuration."""

    def add_arguments_to_parser(self, parser):
        parser.add_argument("--threads", type=int | None, default=None)
        parser.add_argument("--runs", type=str, default="runs")
        parser.add_argument("--ckpt_path", type=str | None, default=None)

    def instantiate_classes(self):
        self.dumped = yaml.safe_load(self.parser.dump(self.config, skip_unset=False))


def test_a_resolved_configuration_states_all_that_lightningcli_knows_of(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["vitcli"])
    config = resolved({"trainer.callbacks": {"class_path": STOPPING, "monitor": "val/loss"}})
    cli = _Parsing(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        run=False,
        args=config,
    )
    assert flat(cli.dumped) == flat(config)


def test_what_is_built_has_the_types_that_the_classes_ask_for():
    cli = VitCLI(
        resolved({"data.digit_scale": [0.4, 0.5], "model.optimizer.betas": [0.8, 0.9], "model.mixing.mixup": 1})
    )
    assert cli.datamodule.recipe.digit_scale == (0.4, 0.5)
    assert cli.model.mixing.mixup == 1.0
    optimizer = cli.model.optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["betas"] == (0.8, 0.9)
    assert type(cli.model.backbone.blocks[0].feed_forward.op.channel_attention).__name__ == "SqueezeExcite"


def test_a_configuration_is_not_changed_by_building_from_it():
    config = resolved()
    before = repr(config)
    VitCLI(config)
    assert repr(config) == before
    assert not any(isinstance(value, float) and math.isnan(value) for value in flat(config).values())


@pytest.mark.parametrize("order", [(int, float), (float, int), (float, int, str, type(None))])
@pytest.mark.parametrize("value", [2, 2.0, 1, 1.0])
def test_a_number_keeps_its_kind_whatever_the_order_of_the_types(order, value):
    """The trainer reads 1 batch and a share of 1.0; equal unions share the order that was written first anywhere."""
    read = checked_value(functools.reduce(operator.or_, order), value, Origin("here", "key"))
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("annotation", [float, float | None])
def test_a_whole_number_where_only_floats_belong_becomes_one(annotation):
    assert type(checked_value(annotation, 2, Origin("here", "key"))) is float


@pytest.mark.parametrize("text", ["~", "null"])
def test_the_text_for_nothing_is_nothing_where_no_text_belongs(text):
    assert checked_value(int | None, text, Origin("here", "threads")) is None
