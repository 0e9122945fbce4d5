"""Presets: a builder with other defaults becomes a timm model."""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model, register_notrace_module
from torch import Tensor, nn

from vitcore import Embedding, FeatureOp
from vitmodels.skeletons.checkpoint import KeyRules, translate
from vitmodels.skeletons.entries import Origin, callable_entries
from vitmodels.skeletons.overlay import Overlay
from vitmodels.skeletons.signature import with_parameters

Model = TypeVar("Model", bound=nn.Module)
PACKAGE = "vitmodels"
"""The module under which timm lists the models.

timm keeps modules by the last part of their names and has modules deit and tnt of its own, so the preset files cannot be named.
"""

STRIDE = 32
"""Pixels a side of the image for one token of a pyramid's last map, in every preset."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

for _opaque in (FeatureOp, Embedding):
    register_notrace_module(_opaque)  # torch.fx cannot trace decisions that depend on shapes


class Preset(NamedTuple):
    """A registered model.

    Attributes:
        builder: The typed function that returns it.
        rules: How the names of its public checkpoint become ours; None without a public checkpoint.
    """

    builder: Callable[..., nn.Module]
    rules: KeyRules | None


PRESETS: dict[str, Preset] = {}
"""The models of this package by name, in the order in which they were registered."""


def preset(
    name: str,
    builder: Callable[..., Model],
    description: str,
    rules: KeyRules | None = None,
    first_conv: str | None = None,
    classifier: str | tuple[str, ...] = "head",
    **defaults: Any,
) -> Callable[..., Model]:
    """Return ``builder`` with other defaults under a name of its own, and register it as a timm model.

    Args:
        name: The model's name in vitmodels and in timm.
        builder: A typed function that returns the model.
        description: The first line of the docstring: what the model is and what was published of it.
        rules: How the names of the public checkpoint become ours.
        first_conv: The name of the first convolution; None if it cuts the image into patches, "" if there is none.
        classifier: The name of the head, or the names of the heads.
        **defaults: The builder's arguments that make this model.

    Raises:
        ValueError: A default names no argument of the builder.
    """
    typed = _with_defaults(name, builder, defaults)
    typed.__doc__ = description + "\n\n" + inspect.cleandoc(builder.__doc__ or "").split("\n\n", 1)[1]
    values = {key: value.default for key, value in inspect.signature(typed).parameters.items()}
    if first_conv is None:
        first_conv = "stem.projection" if "stem" in values else "stages.0.downsample.projection"
    PRESETS[name] = Preset(typed, rules)
    _register(name, typed, values, rules, {"first_conv": first_conv or None, "classifier": classifier})
    return typed


def _with_defaults(name: str, builder: Callable[..., Model], defaults: Mapping[str, Any]) -> Callable[..., Model]:
    """Return a function that calls ``builder`` with other defaults, which its signature states.

    Raises:
        ValueError: A default names no argument of the builder.
    """
    signature = inspect.signature(builder)
    unknown = sorted(set(defaults) - set(signature.parameters))
    if unknown:
        raise ValueError(
            f"preset {name}: {builder.__name__} has no argument {unknown[0]!r}; it has {', '.join(signature.parameters)}."
        )
    parameters = {key: one.replace(default=defaults.get(key, one.default)) for key, one in signature.parameters.items()}

    typed = with_parameters(builder, parameters)
    typed.__name__, typed.__qualname__, typed.__module__ = name, name, PACKAGE
    return typed


def _register(
    name: str,
    builder: Callable[..., nn.Module],
    values: Mapping[str, Any],
    rules: KeyRules | None,
    places: dict[str, Any],
) -> None:
    size = values["img_size"] if isinstance(values["img_size"], tuple) else (values["img_size"],) * 2
    cfg = {
        "url": "",
        "num_classes": 1000,
        "input_size": (3, *size),
        "pool_size": tuple(side // STRIDE for side in size) if "stage4" in values else None,
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        **places,
    }
    levels = 4 if "stage4" in values else 3  # all stages of a pyramid; the last blocks of a column, as timm has it
    configurations = sys.modules[PACKAGE].__dict__.setdefault("default_cfgs", {})
    configurations.update(generate_default_cfgs({name: cfg}))

    heads = places["classifier"]
    outer = (places["first_conv"], *([heads] if isinstance(heads, str) else heads))
    adapted = tuple(f"{place}.*" for place in outer if place)  # timm fits these to in_chans and num_classes itself

    def rename(state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
        return state if rules is None else translate(state, rules, model, adapted)

    def build(device: Any = None, dtype: Any = None, **arguments: Any) -> nn.Module:
        data: dict[str, Any] = {}
        Overlay().lay(data, callable_entries(builder), arguments, Origin(name, ""))
        return builder(**data).to(device=device, dtype=dtype)

    def entry(pretrained: bool = False, **arguments: Any) -> nn.Module:  # noqa: FBT001, FBT002 (timm's signature)
        return build_model_with_cfg(
            build,
            name,
            pretrained,
            pretrained_filter_fn=rename,
            feature_cfg={"out_indices": levels, "feature_cls": "getter"},
            **arguments,
        )

    entry.__name__, entry.__qualname__, entry.__module__, entry.__doc__ = name, name, PACKAGE, builder.__doc__
    register_model(entry)
