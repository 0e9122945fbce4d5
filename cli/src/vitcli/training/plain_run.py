"""``fit``, ``validate``, ``test`` and ``predict`` for a single run, without an ablation."""

import sys
import time
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import base_config, resolve, without_start
from vitcli.config.names import run_name
from vitcli.config.pretraining import PRETRAINING
from vitcli.measure.cost import build_anywhere, checked_cost
from vitcli.records.json_files import FORMAT, write_json
from vitcli.records.trial import RESULT, done_result, failed_result
from vitcli.training.checkpoints import Saved
from vitcli.training.continuation import clear, interrupted, whole_checkpoint
from vitcli.training.ranks import common_directory, forget_allocation, is_first_rank, refuse_lonely_process
from vitcli.training.run import fit_and_test, hide_expected_warnings, prepare
from vitcli.training.signals import tell_scheduler
from vitcli.training.user_errors import check_checkpoint, tell_user_errors

SECONDS_TO_FAIL = 10.0
"""Time that the first of several processes has to say that its memory ran out, before another one says it."""

NEWEST = "last"
"""Value of ``ckpt_path`` that continues the newest run of a name if it was interrupted, and otherwise starts a new one."""

CONFIG, BEGUN = "config.yaml", "trial.json"
"""What a run writes: its configuration; and, in an ablation, how often it started."""


def run(command: str, arguments: Arguments) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict`` and return the exit code: 0 done, 1 if the training failed.

    Raises:
        ConfigError: The input is bad. Nothing has been written, unless the fault could only be found in the training.
        SystemExit: SIGTERM or SIGUSR1 ended it, with 143 or 138.
    """
    forget_allocation()
    base = base_config(arguments)
    goes_on = command == "fit" and base.get("ckpt_path") == NEWEST
    config = resolve({**base, "ckpt_path": None} if goes_on else base, arguments.place)
    if "print_config" in arguments.show:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0
    if PRETRAINING in config:
        raise ConfigError(
            f"{arguments.place}: pretraining is set, but without an ablation section nothing is trained before; train the "
            "classifier by a file of its own, and start from it: model.backbone.pretrained: runs/NAME/fit0."
        )
    if config["trainer"]["barebones"]:
        raise ConfigError(f"{arguments.place}: trainer.barebones is True, with which no metric is recorded; remove it.")
    refuse_lonely_process(config["trainer"]["num_nodes"], arguments.place)
    name = results_name(arguments.files[0]) if arguments.files else "run"
    if command != "fit" and config["ckpt_path"]:
        config = without_start(config)
    cost = checked_cost(config, arguments.place)
    if command == "fit" and config["ckpt_path"]:
        config["ckpt_path"] = whole_checkpoint(config["ckpt_path"])
    if config["ckpt_path"]:
        _refuse_pieces(config["ckpt_path"], config["trainer"]["strategy"], arguments.place)
        backbone = (config["model"].get("init_args", {}).get("backbone") or {}).get("class_path", "")
        check_checkpoint(config["ckpt_path"], build_anywhere(config)[0], arguments.place, backbone)
    stem = Path(config["runs"]) / name / command
    choose = _newest_directory if goes_on else _unused_directory
    directory = common_directory(lambda: choose(stem), stem.parent)
    past = _go_on(config, directory, arguments.place) if goes_on else None
    code = 0
    with tell_user_errors(arguments.place), tell_scheduler():
        if command == "fit":
            _summarise(config["trainer"], cost)
            code = _fit(config, directory, past)
        else:
            _evaluate(command, config, directory)
    if code == 0 and directory.exists() and is_first_rank():
        print(f"Run: {directory}")
    return code


def _refuse_pieces(checkpoint: str, strategy: Any, place: str) -> None:
    """Refuse a checkpoint with a piece of each process for a strategy that keeps the whole network in each."""
    if Path(checkpoint).is_dir() and str(strategy).startswith(("auto", "ddp")):
        raise ConfigError(
            f"{place}: ckpt_path {checkpoint} is in pieces, one of each process, but trainer.strategy is {strategy!r}; set the "
            "strategy that wrote it, such as vittasks.FullySharded."
        )


def _go_on(config: dict[str, Any], directory: Path, place: str) -> Saved | None:
    """Return the checkpoint of an interrupted run in this directory; without one, the run starts again from the beginning."""
    if not directory.exists():
        return None
    past = interrupted(directory)
    if past is not None:
        check_checkpoint(str(past.path), build_anywhere(config)[0], place)
    elif is_first_rank():
        clear(directory)
    return past


def results_name(file: str) -> str:
    """Return the name of the folder of the results: that of the file; for a ``config.yaml`` that a run wrote, the run's."""
    folder = Path(file).absolute().parent
    if Path(file).name == CONFIG and (folder / BEGUN).is_file():
        return "-".join(folder.parts[-3:])  # localvit_act-h_swish-seed0, beside the ablation and not in it
    if Path(file).name == CONFIG and (folder / RESULT).is_file():
        return folder.parent.name
    return run_name(file)


def _summarise(trainer: dict[str, Any], cost: dict[str, int]) -> None:
    """Print the size of the model in place of Lightning's table, which counts no multiply-adds of a model without an example."""
    if trainer["enable_model_summary"] is None:
        trainer["enable_model_summary"] = False
        if is_first_rank():
            macs = f"{cost['macs'] / 1e6:,.4g} million multiply-adds for one image"
            print(f"Model: {cost['parameters']:,} parameters, {macs}")


def _fit(config: dict[str, Any], directory: Path, past: Saved | None) -> int:
    try:
        result = fit_and_test(config, directory, _progress_bar(config["trainer"]), past)
    except (ArithmeticError, MemoryError) as error:
        if isinstance(error, ZeroDivisionError | OverflowError):  # a fault in the code, not a loss
            raise
        if not is_first_rank():
            return _fail_later(error, directory)
        write_json(directory / RESULT, {"format": FORMAT, **failed_result(str(error))})
        print(f"vitcli: {directory}: the training failed: {error}.", file=sys.stderr)
        return 1
    if not is_first_rank():
        return 0
    write_json(directory / RESULT, {"format": FORMAT, **done_result(**result)})
    print("\n".join(f"{metric}: {value:.4f}" for metric, value in result["metrics"].items()))
    return 0


def _fail_later(error: Exception, directory: Path) -> int:
    """Return the exit code of another process than the first, whose failure the first one knows of, or does not.

    Lightning kills the first process as soon as another one ends with a code that is not 0.
    """
    if not isinstance(error, MemoryError):  # all processes end with a loss that is not finite
        return 0
    time.sleep(SECONDS_TO_FAIL)  # if the memory of the first ran out too, it says so and ends the others
    print(f"vitcli: {directory}: the training failed: {error}.", file=sys.stderr)
    return 1


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
    return (RunProgressBar(),) if wanted else ()


class RunProgressBar(TQDMProgressBar):
    """Lightning's progress bar with the loss of the last step, the images per second, and the scores of the last validation."""

    def __init__(self) -> None:
        super().__init__()
        self.loss: Any = None
        self.started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Start the clock of the epoch."""
        super().on_train_epoch_start(trainer)
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *rest: Any) -> None:
        """Keep the loss, which becomes a number when the bar is drawn."""
        self.loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        super().on_train_batch_end(trainer, pl_module, outputs, *rest)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return what stands behind the bar."""
        shown = {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
        seconds = time.perf_counter() - self.started
        images = (self.train_progress_bar.n or 0) * getattr(trainer.datamodule, "batch_size", 0)  # type: ignore[attr-defined]
        if self.loss is not None:
            shown["loss"] = f"{float(self.loss):.3f}"
        if images and seconds > 0:
            shown["images/s"] = f"{images / seconds:.0f}"
        logged = trainer.callback_metrics.items()
        return {**shown, **{name: f"{float(value):.3f}" for name, value in logged if name.startswith("val/")}}


def _newest_directory(stem: Path) -> Path:
    """Return the newest directory if its run was interrupted, so that it has no result yet, else an unused one."""
    unused = _unused_directory(stem)
    number = int(unused.name.removeprefix(stem.name)) - 1
    newest = stem.with_name(f"{stem.name}{number}")
    return newest if number >= 0 and not (newest / RESULT).exists() else unused


def _unused_directory(stem: Path) -> Path:
    """Return the first of ``stem0``, ``stem1``, ... that does not exist."""
    number = 0
    while (directory := stem.with_name(f"{stem.name}{number}")).exists():
        number += 1
    return directory
