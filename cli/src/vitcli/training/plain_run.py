"""One training run, or one validation, test or prediction, without an ablation."""

import sys
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import TQDMProgressBar

from vitcli.ablation.plan import base_config
from vitcli.config.command_line import Arguments
from vitcli.config.lightning_cli import resolve
from vitcli.measure.cost import checked_cost
from vitcli.records.json_files import FORMAT, write_json
from vitcli.records.trial import RESULT, done_result, failed_result
from vitcli.training.run import expected_warnings, fit_and_test, prepare


def run(subcommand: str, arguments: Arguments) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; return the exit code.

    Raises:
        ConfigError: The input is bad; nothing has been written.
    """
    config = resolve(base_config(arguments), arguments.place)
    if "print_config" in arguments.show:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0
    checked_cost(config, arguments.place)
    name = Path(arguments.files[0]).stem if arguments.files else "run"
    directory = _fresh(Path(config["runs"]) / name / subcommand)
    if subcommand == "fit":
        try:
            result = fit_and_test(config, directory, _progress_bar(config["trainer"]))
        except ArithmeticError as error:
            write_json(directory / RESULT, {"format": FORMAT, **failed_result(str(error))})
            print(f"vitcli: {directory}: the training failed: {error}.", file=sys.stderr)
            return 1
        write_json(directory / RESULT, {"format": FORMAT, **done_result(**result)})
        print("\n".join(f"{metric}: {value:.4f}" for metric, value in result["metrics"].items()))
    else:
        if subcommand == "predict":
            config["trainer"]["logger"] = False
        cli = prepare(config, directory)
        with expected_warnings():
            getattr(cli.trainer, subcommand)(cli.model, cli.datamodule, ckpt_path=config["ckpt_path"])
    if directory.exists():
        print(f"Run: {directory}")
    return 0


def _progress_bar(trainer: dict[str, Any]) -> tuple[Callback, ...]:
    """Return a progress bar unless it is turned off or there is one already."""
    given = trainer["callbacks"] or []
    named = [one["class_path"] for one in (given if isinstance(given, list) else [given])]
    wanted = trainer["enable_progress_bar"] is not False and not any(name.endswith("ProgressBar") for name in named)
    return (TQDMProgressBar(),) if wanted else ()


def _fresh(place: Path) -> Path:
    number = 0
    while (directory := place.with_name(f"{place.name}{number}")).exists():
        number += 1
    return directory
