"""The command as a shell sees it: help, commands, exit codes."""

import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitcli.main import main
from vitcli.table import COMMANDS

HEAVY = "{'torch', 'lightning', 'jsonargparse', 'timm', 'matplotlib', 'scipy'}"


@pytest.mark.parametrize(
    "words", [["--help"], ["help"], ["fit", "--config", "x.yaml", "-h"], ["show", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(words):
    code = f"import sys; from vitcli.main import main; code = main({words}); print(code, sorted({HEAVY} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith(("usage: vitcli ", "vitcli "))
    assert out.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_helps_with_its_own_options_and_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"usage: vitcli {command} ")
    assert f"Example: vitcli {command} " in output
    assert all(option in output for option, _ in COMMANDS[command].options)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("trainer", ["max_epochs: int or null", "Stop training once this number of epochs is reached"]),
        ("ablation.seeds", ["baseline: int = 5", "It takes part in every comparison"]),
        ("data", ["value  vittasks.DigitScenes", "clutter: int = 6", "Pieces of other digits in a composite."]),
        (
            "model.backbone.every.feed_forward",
            ["What mixes channels.", "drop_path_scale: float", "Here: vitcore.LocalityFeedForward("],
        ),
        ("trainer.logger", ["or bool or null", "Parts that fit:", "lightning.pytorch.loggers.WandbLogger"]),
        ("ablation.arms", ["mapping of str to mapping of str to anything", "value  {eca: {"]),
        ("ablation.arms.h_swish", ["activation: torch.nn.Hardswish"]),
        ("ckpt_path", ["Checkpoint from which a single run continues"]),
        (
            "model.backbone.every.feed_forward.op",
            ["value  vitcore.LocalityFeedForward", "kernel_size: int = 3", "Parts that fit:", "vitcore.Mlp"],
        ),
        ("model.optimizer.lr", ["type   float", "value  0.003"]),
    ],
)
def test_help_says_what_can_stand_at_a_key(key, says, capsys):
    assert main(["fit", "--config", "ablations/localvit_act.yaml", "--help", key]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{key}\n")
    flat = " ".join(output.split())
    assert [text for text in says if " ".join(text.split()) not in flat] == []


def test_help_about_a_key_that_does_not_exist_names_the_nearest(capsys):
    assert main(["fit", "--config", "ablations/localvit_act.yaml", "--help", "model.bakbone"]) == 2
    assert "model.bakbone does not exist; did you mean backbone?" in capsys.readouterr().err


def test_help_about_a_class_that_no_file_names_asks_for_the_file(capsys):
    assert main(["fit", "--help", "model.backbone.depth"]) == 2
    message = capsys.readouterr().err
    assert "model has no class yet, so that nothing is known about model.backbone.depth; name a file" in message
    assert message.count("\n") == 1


def test_the_installed_command_helps_within_a_second():
    started = time.perf_counter()
    vitcli = Path(sys.executable).with_name("vitcli")
    out = subprocess.run([vitcli, "--help"], capture_output=True, text=True, check=True).stdout
    # A generous bound for a busy machine; what it guards against, an import of torch, takes three seconds and more.
    assert time.perf_counter() - started < 1
    assert all(f"  {command} " in out for command in COMMANDS)


def test_every_command_of_the_table_is_found():
    for command in COMMANDS.values():
        assert callable(pkgutil.resolve_name(f"vitcli.commands.{command.function}"))


def test_no_command_shows_the_help_and_is_bad_input(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "meant"),
    [("fitt", "fit"), ("Test", "test"), ("dashbord", "dashboard"), ("reports", "report"), ("train", "valid names are")],
)
def test_an_unknown_command_is_bad_input_and_names_the_nearest(word, meant, capsys):
    assert main([word, "--config", "x.yaml"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"vitcli: command line: there is no command '{word}'")
    assert meant in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_a_run_needs_a_file(command, capsys):
    assert main([command]) == 2
    assert capsys.readouterr().err == f"vitcli: command line: {command} needs --config FILE.\n"


@pytest.mark.parametrize("words", [[], ["a", "b"], ["nothing_here"]])
def test_a_report_needs_one_directory_that_is_there(words, capsys):
    assert main(["report", *words]) == 2
    message = capsys.readouterr().err
    assert message.startswith("vitcli: ")
    assert message.count("\n") == 1
