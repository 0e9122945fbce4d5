"""``fit``, ``validate``, ``test`` and ``predict`` for a single run, without an ablation."""

import sys
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import TQDMProgressBar

from vitcli.config.command_line import Arguments
from vitcli.config.lightning_cli import base_config, resolve, without_start
from vitcli.config.names import run_name
from vitcli.measure.cost import build_anywhere, checked_cost
from vitcli.records.json_files import FORMAT, write_json
from vitcli.records.trial import RESULT, done_result, failed_result
from vitcli.training.ranks import common_directory, is_first_rank
from vitcli.training.run import fit_and_test, hide_expected_warnings, prepare
from vitcli.training.user_errors import check_checkpoint, tell_user_errors


def run(command: str, arguments: Arguments) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict`` and return the exit code: 0 done, 1 if the training failed.

    Raises:
        ConfigError: The input is bad. Nothing has been written, unless the fault could only be found in the training.
    """
    config = resolve(base_config(arguments), arguments.place)
    if "print_config" in arguments.show:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0
    name = run_name(arguments.files[0]) if arguments.files else "run"
    if command != "fit" and config["ckpt_path"]:
        config = without_start(config)
    checked_cost(config, arguments.place)
    if config["ckpt_path"]:
        check_checkpoint(config["ckpt_path"], build_anywhere(config)[0], arguments.place)
    stem = Path(config["runs"]) / name / command
    directory = common_directory(lambda: _unused_directory(stem), stem.parent)
    code = 0
    with tell_user_errors(arguments.place):
        if command == "fit":
            code = _fit(config, directory)
        else:
            _evaluate(command, config, directory)
    if code == 0 and directory.exists() and is_first_rank():
        print(f"Run: {directory}")
    return code


def _fit(config: dict[str, Any], directory: Path) -> int:
    try:
        result = fit_and_test(config, directory, _progress_bar(config["trainer"]))
    except ArithmeticError as error:
        if not is_first_rank():
            return 1
        write_json(directory / RESULT, {"format": FORMAT, **failed_result(str(error))})
        print(f"vitcli: {directory}: the training failed: {error}.", file=sys.stderr)
        return 1
    if not is_first_rank():
        return 0
    write_json(directory / RESULT, {"format": FORMAT, **done_result(**result)})
    print("\n".join(f"{metric}: {value:.4f}" for metric, value in result["metrics"].items()))
    return 0


def _evaluate(command: str, config: dict[str, Any], directory: Path) -> None:
    if command == "predict":
        config["trainer"]["logger"] = False
    cli = prepare(config, directory)
    with hide_expected_warnings():
        run_split = getattr(cli.trainer, command)
        run_split(cli.model, cli.datamodule, ckpt_path=config["ckpt_path"], weights_only=True)


def _progress_bar(trainer: dict[str, Any]) -> tuple[Callback, ...]:
    """Return a progress bar, unless the configuration turns it off or has one of its own."""
    given = trainer["callbacks"] or []
    names = [one["class_path"] for one in (given if isinstance(given, list) else [given])]
    wanted = trainer["enable_progress_bar"] is not False and not any(name.endswith("ProgressBar") for name in names)
    return (TQDMProgressBar(),) if wanted else ()


def _unused_directory(stem: Path) -> Path:
    """Return the first of ``stem0``, ``stem1``, ... that does not exist."""
    number = 0
    while (directory := stem.with_name(f"{stem.name}{number}")).exists():
        number += 1
    return directory
