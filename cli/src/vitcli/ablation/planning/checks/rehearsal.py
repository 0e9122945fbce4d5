"""A rehearsal of every arm before the first trial: one batch of the training and of each evaluation split, on the real data."""

import json
import math
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from vitcli.ablation.planning.classifiers import FOLDER
from vitcli.ablation.planning.make_plan import on_this_machine
from vitcli.ablation.planning.plan import Plan, PlannedArm
from vitcli.config.errors import ConfigError, nearest
from vitcli.config.lightning_cli import VitCLI
from vitcli.measure.cost import build_anywhere, error_text

MOST_MACS = 10**11
"""Multiply-adds of a step that is rehearsed on a CPU, about ten seconds; a larger model is tried on fewer images than a batch."""

SHORT = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "devices": 1,
    "enable_model_summary": False,
    "enable_progress_bar": False,
    "limit_test_batches": 1,
    "min_epochs": None,
    "min_steps": None,
    "num_nodes": 1,
    "num_sanity_val_steps": 0,
    "profiler": None,
    "strategy": "auto",
    "val_check_interval": None,
}
"""Settings of the trainer for one batch of everything; the others, such as the number of epochs, are those of a trial."""

LOGGER = {"class_path": "lightning.pytorch.loggers.logger.DummyLogger"}


def rehearse(plan: Plan, arms: Iterable[str], tell: Callable[[str], None]) -> None:
    """Train each arm on one batch, with its optimizer, schedule and callbacks, then validate and test it on one batch each.

    Nothing is written: loggers and checkpoints are left out. Arms with the same data share one data module, so that its files
    are listed once.

    Args:
        plan: The ablation.
        arms: Arms to rehearse.
        tell: Called with each arm's place in the files before its rehearsal.

    Raises:
        ConfigError: An arm cannot be trained or tested, a split gives no batch, or a test does not log the metric.
    """
    shared: dict[str, LightningDataModule] = {}
    for name in arms:
        arm = plan.arms[name]
        tell(arm.place)
        config = on_this_machine(arm.config, plan.spec.launcher_name)
        logged = _rehearse(arm, _fewer_images(config, arm.macs), config, shared)
        metric = plan.spec.metric.name
        if metric not in logged:
            asked = (
                f"a pretraining is scored by {metric}, which a test of its task {arm.config['model']['class_path']} does not log"
                if plan.name == FOLDER
                else f"ablation.metric.name is {metric!r}, which a test of this arm does not log"
            )
            raise ConfigError(f"{arm.place}: {asked}{nearest(metric, logged)}")


def _rehearse(
    arm: PlannedArm, short: dict[str, Any], config: dict[str, Any], shared: dict[str, LightningDataModule]
) -> set[str]:
    """Return the names of the metrics that an arm's test logs.

    Args:
        arm: The arm.
        short: Its configuration, with fewer images in a batch if a batch would take long.
        config: Its configuration.
        shared: Data module of each configuration of the data that was met before; a new one is added.
    """
    stage = "training"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        try:
            if short is not config:
                _open_splits(build_anywhere(config)[1])
            cli = _short_run(short, folder)
            data = shared.setdefault(json.dumps(short["data"], sort_keys=True), cli.datamodule)
            checkpoints = _take_checkpoints(cli.trainer)
            cli.trainer.fit(cli.model, data)
            if not cli.trainer.num_training_batches:
                raise ValueError("the training split gives no batch")
            _refuse_unlogged(checkpoints, set(cli.trainer.callback_metrics))
            _refuse_small_part(config, "val", cli.trainer.val_dataloaders)
            stage = "test"
            cli.trainer.test(cli.model, data, verbose=False)
            if not sum(cli.trainer.num_test_batches):
                raise ValueError("the test split gives no batch")
            _refuse_small_part(config, "test", cli.trainer.test_dataloaders)
        except Exception as error:  # the code of the task, of its data and of its callbacks, which may raise anything
            raise ConfigError(f"{arm.place}: a rehearsal of its {stage} failed: {_cause(error)}.") from error
        return set(cli.trainer.callback_metrics)


class _OneBatch(Callback):
    """Ends the training after its first batch; the validation still follows."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        trainer.should_stop = True


def _short_run(config: dict[str, Any], folder: str) -> VitCLI:
    given = config["trainer"]
    trainer = {
        **given,
        **SHORT,
        "default_root_dir": folder,
        "limit_val_batches": 0 if given["limit_val_batches"] == 0 else 1,
        "logger": False if given["logger"] is False else LOGGER,
    }
    cli = VitCLI({**config, "trainer": trainer, "data": _without_workers(config["data"])}, callbacks=[_OneBatch()])
    cli.model.global_batch = None  # the optimizer takes its step after the one batch
    return cli


def _without_workers(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data's configuration with batches made in this process: starting workers takes longer than one batch."""
    given = data.get("init_args", {})
    return {**data, "init_args": {**given, "workers": 0}} if "workers" in given else data


def _fewer_images(config: dict[str, Any], macs: int) -> dict[str, Any]:
    """Return the configuration with a smaller batch, of an even number of images, if a batch would take long on a CPU."""
    accelerator, given = config["trainer"]["accelerator"], config["data"].get("init_args", {})
    images = max(2, MOST_MACS // max(1, 3 * macs) // 2 * 2)  # the backward pass costs about twice the forward pass
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if on_gpu or not isinstance(given.get("batch_size"), int) or given["batch_size"] <= images:
        return config
    return {**config, "data": {**config["data"], "init_args": {**given, "batch_size": images}}}


def _take_checkpoints(trainer: Trainer) -> list[Checkpoint]:
    """Remove the callbacks that write checkpoints from a trainer, and return them."""
    found = [callback for callback in trainer.callbacks if isinstance(callback, Checkpoint)]  # type: ignore[attr-defined]
    trainer.callbacks = [one for one in trainer.callbacks if one not in found]  # type: ignore[attr-defined]
    return found


def _refuse_unlogged(checkpoints: Iterable[Checkpoint], logged: set[str]) -> None:
    """Stop if a checkpoint is chosen by a metric that the training does not log."""
    for callback in checkpoints:
        monitor = getattr(callback, "monitor", None)
        if monitor and monitor not in logged:
            raise ValueError(
                f"{type(callback).__name__} monitors {monitor!r}, which is not logged"
                f"{nearest(monitor, logged).rstrip('.?')}"
            )


def _open_splits(data: LightningDataModule) -> None:
    """Open all splits with the true size of a batch."""
    data.prepare_data()
    data.setup("fit")
    if len(data.train_dataloader()) == 0:
        raise ValueError("the training split gives no batch")
    data.val_dataloader()
    data.setup("test")
    data.test_dataloader()


def _refuse_small_part(config: dict[str, Any], split: str, loaders: Any) -> None:
    """Stop if the part of a split that is evaluated is less than a batch."""
    limit = config["trainer"][f"limit_{split}_batches"]
    for loader in loaders if isinstance(loaders, list | tuple) else [loaders]:
        if isinstance(limit, float) and hasattr(loader, "__len__") and 0 < limit < 1 > math.floor(limit * len(loader)):
            raise ValueError(f"trainer.limit_{split}_batches is {limit}, less than one of {len(loader)} batches")


def _cause(error: Exception) -> str:
    """Return what an exception says; if it was not written for users, add its kind and the line that raised it."""
    text = error_text(error)
    if isinstance(error, ValueError):
        return text
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
