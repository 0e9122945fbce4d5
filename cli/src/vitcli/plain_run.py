"""One training run, or one validation, test or prediction, without an ablation."""

import sys
import warnings
from pathlib import Path

import yaml
from lightning.pytorch.callbacks import TQDMProgressBar

from vitcli.ablation.plan import base_config
from vitcli.arguments import Arguments
from vitcli.cost import checked_cost
from vitcli.json_files import write_json
from vitcli.lightning_cli import resolve
from vitcli.training import fit_and_test, prepare


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
            result = fit_and_test(config, directory, (TQDMProgressBar(),))
        except ArithmeticError as error:
            write_json(directory / "result.json", {"format": 1, "status": "failed", "cause": str(error)})
            print(f"vitcli: {directory}: the training failed: {error}.", file=sys.stderr)
            return 1
        write_json(directory / "result.json", {"format": 1, "status": "done", **result})
        print("\n".join(f"{metric}: {value:.4f}" for metric, value in result["metrics"].items()))
    else:
        cli = prepare(config, directory)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"The '\w+_dataloader' does not have many workers")
            getattr(cli.trainer, subcommand)(cli.model, cli.datamodule, ckpt_path=config["ckpt_path"])
    if directory.exists():
        print(f"Run: {directory}")
    return 0


def _fresh(place: Path) -> Path:
    number = 0
    while (directory := place.with_name(f"{place.name}{number}")).exists():
        number += 1
    return directory
