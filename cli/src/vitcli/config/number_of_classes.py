"""The number of classes of a backbone that states none: that of the data."""

from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser
from torch import nn

from vitcli.config.defaults import as_namespace, complete
from vitcli.config.origin import Origin
from vitcli.config.schema import schema
from vitmodels.skeletons.entries import import_part, parameters

LIBRARIES = ("timm.", "torchvision.")
"""Packages whose models all take ``num_classes``, though their functions do not state it."""
USUAL = 1000
"""The classes of ImageNet-1k, which the models of timm, torchvision and this project have where none is stated."""


def with_number_of_classes(config: dict[str, Any], place: str) -> dict[str, Any]:
    """Return a configuration whose backbone has as many classes as its data, if it states no number.

    A backbone whose default is None decides by itself, and so does one of another package that does not state the argument.
    Nothing changes either where the data have ``USUAL`` classes, cannot be built, or do not know their classes: whoever builds
    the model and the data later says what is missing.

    Args:
        config: The values that were set, their types checked, with ``model`` and ``data``.
        place: Where they were set, for messages.
    """
    model = config["model"]
    task = import_part(model["class_path"], LightningModule, Origin(place, "model"))
    if getattr(task, "classes_key", None) != "model.backbone.num_classes":
        return config
    arguments = model.get("init_args") or {}
    backbone = arguments.get("backbone")
    backbone = {"class_path": backbone} if isinstance(backbone, str) else backbone
    if not isinstance(backbone, dict) or "class_path" not in backbone:
        return config
    given, path = backbone.get("init_args") or {}, backbone["class_path"]
    entries = parameters(path, nn.Module, Origin(place, "model.backbone"))
    takes = entries["num_classes"].default is not None if "num_classes" in entries else path.startswith(LIBRARIES)
    if "num_classes" in given or not takes:
        return config
    classes = _classes(config["data"], place)
    if classes in (None, USUAL):
        return config
    filled = {**backbone, "init_args": {**given, "num_classes": classes}}
    return {**config, "model": {**model, "init_args": {**arguments, "backbone": filled}}}


def _classes(data: dict[str, Any], place: str) -> int | None:
    entries = {"data": schema()["data"]}
    filled = as_namespace(complete({"data": data}, entries, place), entries)
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    try:
        classes = getattr(parser.instantiate(filled).data, "num_classes", None)
    except Exception:  # the data are built once more with the model, where every error becomes a sentence
        return None
    return classes if isinstance(classes, int) else None
