"""Whether an arm's task can be scored, and by the metric that is to be compared."""

import copy
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection

from vitcli.config.entries import Origin, import_part
from vitcli.config.errors import ConfigError, nearest
from vitcli.measure.cost import build

NEEDED = {
    "model": (LightningModule, ("training_step", "configure_optimizers", "test_step")),
    "data": (LightningDataModule, ("train_dataloader", "test_dataloader")),
}
"""What a trial calls: it trains, and is then scored on the test split."""


def refuse_unscored(config: dict[str, Any], place: str) -> None:
    """Stop if an arm's task lacks what a trial needs.

    Raises:
        ConfigError: A method is not written.
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
    """Stop if a metric is not among those that a test logs.

    A task need not say what it logs, so this takes one test step with two samples and notes the names. Nothing is refused where
    that cannot be done without a training around it, or where somebody's callbacks may log more.

    Args:
        name: Of the metric.
        config: The baseline's resolved configuration.
        place: Where the metric is set.

    Raises:
        ConfigError: The metric is not logged.
    """
    callbacks = config["trainer"]["callbacks"] or []
    given = callbacks if isinstance(callbacks, list) else [callbacks]
    if any(not one["class_path"].startswith("lightning.") for one in given):
        return
    logged = test_names(config, name)
    if logged and name not in logged:
        raise ConfigError(
            f"{place}: ablation.metric.name is {name!r}, which a test of {config['model']['class_path']} does not log"
            f"{nearest(name, logged)}"
        )


def test_names(config: dict[str, Any], wanted: str) -> set[str]:
    """Return the names that a test step logs; none if that cannot be found out.

    Args:
        config: A resolved configuration.
        wanted: Nothing is run if the model has a collection of metrics for the test with this name in it.
    """
    try:
        model, data = build(config, "meta")
        held = {str(key) for part in model.modules() if isinstance(part, MetricCollection) for key in part}
        if wanted in held and "test" in wanted:
            return held
        model, data = build(copy.deepcopy(config), "cpu")
        return _names_of_a_step(model, data)
    except Exception:  # a task may need anything: what cannot be tried is found out by the first trial
        return set()


def _names_of_a_step(model: LightningModule, data: LightningDataModule) -> set[str]:
    data.prepare_data()
    data.setup("test")
    loader = data.test_dataloader()
    if not isinstance(loader, DataLoader):
        return set()
    batch = loader.collate_fn([loader.dataset[0], loader.dataset[1]])
    names: set[str] = set()

    def log(
        name: str,
        value: Any,
        prog_bar: Any = None,
        logger: Any = None,
        on_step: Any = None,
        on_epoch: Any = None,
        **rest: Any,
    ) -> None:
        names.update({name, f"{name}_step", f"{name}_epoch"} if on_step and on_epoch else {name})

    def log_dict(values: Any, *rest: Any, **further: Any) -> None:
        for name in values:
            log(name, None, *rest, **further)

    model.log, model.log_dict = log, log_dict  # type: ignore[method-assign,assignment]
    model.eval()
    with torch.no_grad():
        model.on_test_epoch_start()
        model.test_step(batch, 0)
        model.on_test_epoch_end()
    return names
