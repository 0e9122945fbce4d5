"""Checks before training that an arm's task can be trained and tested, and that a test logs the metric to be compared."""

import copy
import inspect
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection

from vitcli.config.errors import ConfigError, nearest
from vitcli.config.origin import Origin
from vitcli.measure.cost import build, build_anywhere
from vitmodels.skeletons.entries import import_part

NEEDED = {
    "model": (LightningModule, ("training_step", "configure_optimizers", "test_step")),
    "data": (LightningDataModule, ("train_dataloader", "test_dataloader")),
}
"""The methods that a trial calls: it trains, and is then scored on the test split."""

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments of a call."""


def refuse_unscored(config: dict[str, Any], place: str) -> None:
    """Stop if an arm's task or data module lacks a method that a trial calls.

    Raises:
        ConfigError: A method is missing.
    """
    for key, (kind, methods) in NEEDED.items():
        path = config[key]["class_path"]
        found = import_part(path, kind, Origin(place, key))
        for method in methods:
            if isinstance(found, type) and getattr(found, method) is getattr(kind, method):
                raise ConfigError(
                    f"{place}: {key} is {path!r}, which has no {method}; a trial trains and is then scored on the test split."
                )


def refuse_metric(name: str, config: dict[str, Any], place: str) -> None:
    """Stop if a test does not log a metric.

    A task does not declare what it logs, so this runs one test step on two samples and records the names. Nothing is refused if
    the task cannot run without a trainer, or if a callback that is not Lightning's may log more.

    Args:
        name: Name of the metric.
        config: The baseline's complete configuration.
        place: Where the metric is set.

    Raises:
        ConfigError: The metric is not logged.
    """
    callbacks = config["trainer"]["callbacks"] or []
    given = callbacks if isinstance(callbacks, list) else [callbacks]
    if any(not one["class_path"].startswith("lightning.") for one in given):
        return
    logged = logged_names(config, name)
    if logged and name not in logged:
        raise ConfigError(
            f"{place}: ablation.metric.name is {name!r}, which a test of {config['model']['class_path']} does not log"
            f"{nearest(name, logged)}"
        )


def logged_names(config: dict[str, Any], wanted: str) -> set[str]:
    """Return the names that a test step logs; an empty set if they are not known.

    Args:
        config: A complete configuration.
        wanted: No step is run if the model has a collection of metrics for the test that contains this name.
    """
    model, _ = build_anywhere(config)
    held = {str(key) for part in model.modules() if isinstance(part, MetricCollection) for key in part}
    if wanted in held and "test" in wanted:
        return held
    return {name for arguments, named in _calls_of_a_test_step(config) for name in _names(*arguments, **named)}


def _calls_of_a_test_step(config: dict[str, Any]) -> list[Call]:
    """Run one test step without a trainer and return its calls of ``log``; none if it cannot run like that."""
    calls: list[Call] = []

    def log(*arguments: Any, **named: Any) -> None:
        calls.append((arguments, named))

    def log_dict(values: Any, *arguments: Any, **named: Any) -> None:
        calls.extend(((name, None, *arguments), named) for name in values)

    try:
        model, data = build(copy.deepcopy(config), "cpu")
        model.log, model.log_dict = log, log_dict  # type: ignore[method-assign,assignment]
        _run_test_step(model, data)
    except Exception:
        # What runs in here is the code of the task and of its data module. It may need a trainer, more memory than there is, or
        # data that are not here, and may raise anything then. The first trial will show whether the metric is logged.
        return []
    return calls


def _run_test_step(model: LightningModule, data: LightningDataModule) -> None:
    data.prepare_data()
    data.setup("test")
    loader = data.test_dataloader()
    if not isinstance(loader, DataLoader):
        return
    batch = loader.collate_fn([loader.dataset[0], loader.dataset[1]])
    model.eval()
    with torch.no_grad():
        model.on_test_epoch_start()
        model.test_step(batch, 0)
        model.on_test_epoch_end()


def _names(*arguments: Any, **named: Any) -> set[str]:
    """Return the names under which Lightning logs one call of ``log``."""
    call = inspect.signature(LightningModule.log).bind(None, *arguments, **named).arguments
    name = call["name"]
    return {name, f"{name}_step", f"{name}_epoch"} if call.get("on_step") and call.get("on_epoch") else {name}
