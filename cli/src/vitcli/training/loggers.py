"""The user's own loggers: each run gets the name of its arm and its seed, so that the runs of an ablation can be told apart."""

import contextlib
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CometLogger, CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

DEFAULT = "lightning_logs"
"""What Lightning's loggers call an experiment that has no name."""


def with_names(loggers: Iterable[dict[str, Any]], directory: Path, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the configurations of loggers with names and directories filled in where the user has set none.

    Args:
        loggers: Complete configurations of loggers, as parts.
        directory: The run's directory; files go there if no ``save_dir`` is given.
        names: The experiment, the arm and the seed: ``("localvit_act", "h_swish", "seed0")``; a single run has only
            ``("localvit", "fit0")``.
    """
    return [{**one, "init_args": _named(one, directory, names)} for one in loggers]


def for_a_look(trainer: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the trainer's settings with loggers that can be built without a trace, to see whether they can be built.

    MLflow's makes its files when it is built: here below ``folder``. Comet's opens an experiment, and MLflow's with SQLite makes
    a database; both are left out.
    """
    given = trainer.get("logger")
    loggers = given if isinstance(given, list) else [given] if isinstance(given, dict) else []
    kept = [found for one in loggers if (found := _without_trace(one, folder)) is not None]
    if isinstance(given, dict):
        return {**trainer, "logger": kept[0] if kept else None}
    return {**trainer, "logger": kept} if loggers else trainer


def _without_trace(logger: dict[str, Any], folder: str) -> dict[str, Any] | None:
    if _is_kind(logger, CometLogger):
        return None
    if not _is_kind(logger, MLFlowLogger):
        return logger
    arguments = logger.get("init_args", {})
    place = arguments.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI") or ""
    if place.startswith("sqlite:"):
        return None
    local = "://" not in place.removeprefix("file://")
    return {**logger, "init_args": {**arguments, "tracking_uri": f"file:{folder}"}} if local else logger


def _is_kind(logger: dict[str, Any], kind: type[Logger]) -> bool:
    found = pkgutil.resolve_name(logger["class_path"])
    return isinstance(found, type) and issubclass(found, kind)


def _named(logger: dict[str, Any], directory: Path, names: tuple[str, ...]) -> dict[str, Any]:
    kind, given = pkgutil.resolve_name(logger["class_path"]), dict(logger.get("init_args", {}))
    if not isinstance(kind, type):
        return given
    experiment, group, run = names[0], names[-2], "-".join(names[1:])
    if issubclass(kind, WandbLogger):
        # Groups are arms, so that W&B's page shows the mean over the seeds.
        _fill(
            given,
            {"name": None, "project": None},
            {"name": run, "project": os.environ.get("WANDB_PROJECT", experiment)},
        )
        return {"group": group, "tags": list(names[1:])} | given
    if issubclass(kind, MLFlowLogger):
        tags = dict(zip(("arm", "seed") if len(names) > 2 else ("run",), names[1:], strict=True))
        named = {"run_name": run, "experiment_name": experiment, "tags": tags}
        _fill(given, {"run_name": None, "experiment_name": DEFAULT, "tags": None}, named)
    elif issubclass(kind, CSVLogger | TensorBoardLogger):
        folder = "csv_logger" if issubclass(kind, CSVLogger) else "tensorboard_logger"
        here = given.get("save_dir") == HERE
        named = {"save_dir": str(directory), "name": "" if here else group, "version": folder if here else names[-1]}
        _fill(given, {"save_dir": HERE, "name": DEFAULT, "version": None}, named)
    return given


HERE = "."
"""The ``save_dir`` that stands for the run's own directory."""


def _fill(given: dict[str, Any], defaults: dict[str, Any], values: dict[str, Any]) -> None:
    """Set the arguments that are left at their defaults."""
    for name, value in values.items():
        if given.get(name, defaults[name]) == defaults[name]:
            given[name] = value


def finish(loggers: Iterable[Logger]) -> None:
    """Close what a logger holds open: a trial's process ends without the steps by which W&B would do it."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            with contextlib.suppress(
                Exception
            ):  # a service that fails does not fail the trial, whose result is complete
                logger.experiment.finish()
