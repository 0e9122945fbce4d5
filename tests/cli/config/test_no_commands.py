"""A configuration runs no command: what it may name, and that what it must not name is never called, while planning or later."""

import contextlib
import datetime
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from tests.cli.config import own_parts
from tests.cli.tiny_ablation import LIGHTNING, PLAIN, TRAINER, write
from vitcli.config.defaults import as_namespace, complete
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import VitCLI
from vitcli.config.overlay import lay_over
from vitcli.main import main
from vitmodels.skeletons.entries import Entry

pytestmark = LIGHTNING

OWN = "tests.cli.config.own_parts"
TRACES = (
    *("quick", "Launch", "Process", "Tool", "leave_trace", "trace_as_module", "bound", "tool"),
    *("Tool.static", "Tool.of_class", "subprocess.Popen", "subprocess.getoutput", "functools.partial", "nowhere"),
)
"""What the module has that is no module, optimizer or schedule, by the name under which it has it."""


TEXTS = (f"{OWN}.leave_trace", f"{{class_path: {OWN}.Tool}}", f"[{{<<: {{class_path: {OWN}.Tool}}}}]", "written")
"""Text in which a parser may find code; the last one is a file's name."""


class Evil:
    """An object whose pickle creates a file when it is read."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("hacked"),)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def build(value: dict) -> nn.Module:
    """Build a part from what a file says of it, as LightningCLI does with all parts of a configuration."""
    entries = {"part": Entry(nn.Module)}
    config: dict = {}
    lay_over(config, entries, {"part": value}, "file.yaml")
    return made(complete(config, entries, "file.yaml"))


def made(config: dict) -> nn.Module:
    """Build a part from a complete configuration."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--part", type=nn.Module)
    return parser.instantiate(as_namespace(config, {"part": Entry(nn.Module)})).part


@pytest.mark.parametrize("slot", ["call", "typed", "anything", "several", "named"])
@pytest.mark.parametrize("name", TRACES)
def test_an_argument_of_no_stated_type_takes_nothing_that_runs_when_called(name, slot):
    part = {"class_path": f"{OWN}.{name}"}
    value = {"several": [1, [part]], "named": {"a": {"b": part}}}.get(slot, part)
    with pytest.raises(ConfigError, match=rf"file\.yaml: part\.{slot}.* is '{OWN}.{name}'"):
        build({"class_path": f"{OWN}.Open", slot: value})
    assert not Path("hacked").exists()


@pytest.mark.parametrize("slot", ["call", "typed", "anything", "several", "named", "either", "words", "kind"])
@pytest.mark.parametrize(
    "text", [f"{OWN}.leave_trace", f"{{class_path: {OWN}.Tool}}", "[{<<: {class_path: os.system}}]", "written"]
)
def test_text_never_runs_what_it_names(text, slot):
    Path("written").write_text(f"{{class_path: {OWN}.Tool}}")
    value = {"several": [text], "named": {"a": text}}.get(slot, text)
    with contextlib.suppress(Exception):
        build({"class_path": f"{OWN}.Open", slot: value})
    with contextlib.suppress(Exception):
        made({"part": {"class_path": f"{OWN}.Open", "init_args": {slot: value}}})
    assert not Path("hacked").exists()


def test_modules_and_data_go_everywhere():
    given = build(
        {
            "class_path": f"{OWN}.Open",
            "call": {"class_path": "torch.nn.GELU"},
            "typed": "torch.nn.GELU",
            "anything": {"class_path": f"{OWN}.stated"},
            "several": [
                1,
                "text",
                {"class_path": "torch.nn.Linear", "init_args": {"in_features": 3, "out_features": 2}},
            ],
            "named": {"a": 1.5, "b": [None, True]},
        }
    ).given
    assert [type(one) for one in given[:3]] == [nn.GELU, nn.GELU, nn.Identity]
    assert given[3:5] == [1, "text"]
    assert type(given[5]) is nn.Linear
    assert given[6:8] == [1.5, [None, True]]


def test_a_function_that_is_a_class_s_own_default_is_left_to_it():
    assert build({"class_path": f"{OWN}.Open"}).helper is own_parts.leave_trace


def test_a_plain_value_of_the_standard_library_may_be_named():
    hours = {"class_path": "datetime.timedelta", "hours": 2}
    assert build({"class_path": f"{OWN}.Open", "anything": hours}).given[2] == datetime.timedelta(hours=2)


def test_a_recorded_configuration_is_checked_like_a_file():
    shell = {"class_path": "os.system", "init_args": {"command": "touch hacked"}}
    callback = {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"setup": shell}}
    with pytest.raises(ConfigError, match=r"trainer\.callbacks\.0\.setup is 'os.system'"):
        VitCLI({"trainer": {"callbacks": [callback]}})
    assert not Path("hacked").exists()


def test_show_checks_the_arguments_of_an_op(capsys):
    words = ["attention", "ConvStem", "--init.norm", f"{{class_path: {OWN}.trace_as_module}}"]
    assert main(["show", *words]) == 2
    assert "makes no torch.nn.Module" in capsys.readouterr().err
    assert not Path("hacked").exists()


def test_a_checkpoint_that_would_run_code_is_refused_by_every_command(capsys):
    torch.save({"state_dict": {"weight": torch.ones(1)}, "hyper_parameters": Evil()}, "evil.ckpt")
    quiet = {**TRAINER, "enable_progress_bar": False}
    config = write(Path("one.yaml"), PLAIN, trainer=quiet)
    for command in ("fit", "validate", "test", "predict"):
        assert main([command, "--config", config, "--ckpt_path", "evil.ckpt"]) == 2
        assert "evil.ckpt" in capsys.readouterr().err
        assert not Path("hacked").exists()


def test_timm_reads_a_checkpoint_without_running_its_code():
    torch.save(Evil(), "evil.pth")
    with pytest.raises(Exception, match="weights_only"):
        build({"class_path": "timm.create_model", "model_name": "test_vit", "checkpoint_path": "evil.pth"})
    assert not Path("hacked").exists()
