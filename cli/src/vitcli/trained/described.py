"""What a program must know to use an exported model: its classes and how images become its input."""

import json
from typing import Any

from vitcli.trained.load import TrainedRun

DESCRIPTION = "description"
"""The name of the description in the metadata of a file; its value is JSON."""

INPUT = ("mean", "std", "crop_pct", "interpolation")
"""Attributes or arguments of a data module under timm's names: how an image between 0 and 1 becomes the model's input."""


def description(run: TrainedRun) -> dict[str, Any]:
    """Return ``input_size`` (channels, height, width), ``class_names``, and what is known of ``INPUT``."""
    arguments = run.config["data"].get("init_args", {})
    values = {name: getattr(run.data, name, arguments.get(name)) for name in INPUT}
    known = {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None
    }
    names = {} if run.class_names is None else {"class_names": list(run.class_names)}
    return {"input_size": list(run.image_shape), **names, **known}


def as_metadata(run: TrainedRun) -> dict[str, str]:
    """Return the description as metadata of a file, which are names and texts."""
    return {DESCRIPTION: json.dumps(description(run))}
