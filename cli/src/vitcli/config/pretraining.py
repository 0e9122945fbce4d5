"""The ``pretraining`` section of a configuration: a classifier that is trained first, from which the backbone starts.

The section holds ``model``, a classification task without its backbone, with ``data`` and ``trainer`` of its own; ``backbone``,
the entries in which the classifier's backbone differs from the network's, such as its classes and image size; and ``seeds``,
whether all trials of an arm start from ``one`` classifier or ``each`` from the classifier of its own seed.
"""

import copy
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn

from vitcli.config.defaults import complete
from vitcli.config.errors import ConfigError
from vitcli.config.origin import Origin
from vitcli.config.overlay import lay_over
from vitcli.config.schema import schema
from vitmodels.skeletons.entries import options, parameters

PRETRAINING = "pretraining"
FILE = "pretrained"
"""The argument of a backbone that names the file that its weights start from."""


def complete_pretraining(section: Mapping[str, Any], config: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a ``pretraining`` section with every value stated.

    Args:
        section: What was set, its types checked.
        config: The complete configuration of the training that follows.
        place: Where the section was set, for messages.

    Raises:
        ConfigError: A value is missing, or the network has no backbone that can start from a file.
    """
    for name, kind in (("model", "vittasks.Classification"), ("data", "vittasks.DigitScenes")):
        if section.get(name) is None:
            raise ConfigError(f"{place}: pretraining.{name} is missing; name its class, for example {kind}.")
    if "backbone" in section["model"].get("init_args", {}):
        raise ConfigError(
            f"{place}: pretraining.model.backbone is set, but the classifier has the backbone of the network; write what it "
            "has different under pretraining.backbone."
        )
    _refuse_other_start(config, place)
    filled = _classifier(section, config, place)
    arguments = {name: value for name, value in filled["model"]["init_args"].items() if name != "backbone"}
    return {
        "model": {"class_path": filled["model"]["class_path"], "init_args": arguments},
        "backbone": section.get("backbone") or {},
        "data": filled["data"],
        "trainer": filled["trainer"],
        "seeds": section.get("seeds", "one"),
    }


def classifier_of(config: Mapping[str, Any], place: str = "configuration") -> dict[str, Any]:
    """Return the complete configuration of the classifier that a complete configuration with a ``pretraining`` starts from.

    Raises:
        ConfigError: The backbone has no such entries.
    """
    return _classifier(config[PRETRAINING], config, place)


def _classifier(section: Mapping[str, Any], config: Mapping[str, Any], place: str) -> dict[str, Any]:
    model, here = section["model"], f"{place}, its pretraining"
    backbone = config["model"]["init_args"]["backbone"]
    given = copy.deepcopy(
        {
            "model": {
                "class_path": model["class_path"],
                "init_args": {**model.get("init_args", {}), "backbone": backbone},
            },
            "data": section["data"],
            "trainer": {**(section.get("trainer") or {}), "enable_progress_bar": False, "enable_model_summary": False},
            "threads": config["threads"],
            "runs": config["runs"],
        }
    )
    entries = {name: entry for name, entry in schema().items() if name != PRETRAINING}
    lay_over(given, entries, {"model": {"backbone": section.get("backbone") or {}}}, here)
    return complete(given, entries, here)


def _refuse_other_start(config: Mapping[str, Any], place: str) -> None:
    """Refuse a network whose backbone cannot start from a classifier, or starts from a file already."""
    model = config["model"]
    backbone = model.get("init_args", {}).get("backbone")
    if "backbone" not in parameters(model["class_path"], LightningModule, Origin(place, "model")) or backbone is None:
        raise ConfigError(
            f"{place}: pretraining is set, but {model['class_path']} has no backbone that could start from it."
        )
    entry = parameters(backbone["class_path"], nn.Module, Origin(place, "model.backbone")).get(FILE)
    if entry is None or str not in options(entry.annotation):
        raise ConfigError(
            f"{place}: pretraining is set, but {backbone['class_path']} cannot start from a file; choose a model of vitmodels."
        )
    for owner, part in (("model", model), ("model.backbone", backbone)):
        if (path := part.get("init_args", {}).get(FILE)) is not None:
            raise ConfigError(
                f"{place}: {owner}.{FILE} is {path!r}, and pretraining is set too; a backbone starts from one of them, so set "
                "the other to null."
            )
