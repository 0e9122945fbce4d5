"""Pyramids for images of 32 x 32 with another part somewhere: by ``timm.create_model`` and by the command line's keys."""

from typing import Any

import timm

import vitmodels
from vitcli.config.lightning_cli import schema
from vitcli.config.overlay import lay_over
from vitmodels.skeletons.pyramid import Pyramid

WIDTHS, SIDES = (16, 32, 48, 64), (8, 4, 2, 1)
PARTS = ("op", "norm", "downsample", "absolute_position")
WINDOWED = ("swin_tiny", "boat_swin_tiny")


def keys(model: str) -> dict[str, Any]:
    """Return what makes a model small: widths, two blocks a stage, heads of 8 channels, windows of 4."""
    small: dict[str, Any] = {}
    for i, width in enumerate(WIDTHS, 1):
        small |= {f"stage{i}.width": width, f"stage{i}.depth": 2, f"stage{i}.mixer.op.head_dim": 8}
        if model in WINDOWED:
            small[f"stage{i}.mixer.op.window"] = 4
        if model == "boat_swin_tiny" and i < 4:
            small[f"stage{i}.alternate.content_mixer.op.head_dim"] = 8
    return small


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    """Write dotted keys as mappings; what is below a part is one of its arguments, and a later part replaces an earlier one."""
    tree: dict[str, Any] = {}
    for key, value in dotted.items():
        *path, last = [step for name in key.split(".") for step in ((name, "init_args") if name in PARTS else (name,))]
        path, last = (path[:-1], path[-1]) if last == "init_args" else (path, last)
        node = tree
        for name in path:
            node = node.setdefault(name, {})
        node[last] = value
    return tree


def by_timm(model: str, **changes: Any) -> Pyramid:
    """Build the small model with ``changes``, dotted keys in which __ stands for a dot."""
    small = keys(model) | {key.replace("__", "."): value for key, value in changes.items()}
    return timm.create_model(model, **{"img_size": 32, "num_classes": 10} | nested(small))


def by_keys(model: str, **changes: Any) -> Pyramid:
    """Build the same from the keys of a configuration file or the command line."""
    small = keys(model) | {key.replace("__", "."): value for key, value in changes.items()}
    backbone = {"class_path": f"vitmodels.{model}", "img_size": 32, "num_classes": 10}
    config: dict[str, Any] = {}
    lay_over(config, schema(), {"model": {"class_path": "vittasks.Classification", "backbone": backbone}}, "here")
    lay_over(config, schema(), {f"model.backbone.{key}": value for key, value in small.items()}, "here")
    return getattr(vitmodels, model)(**config["model"]["init_args"]["backbone"]["init_args"])
