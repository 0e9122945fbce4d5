"""Presets: a builder with other defaults becomes a timm model."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    register_model,
    register_notrace_module,
    resolve_pretrained_cfg,
)
from torch import Tensor, nn

from vitcore import Embedding, FeatureOp
from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.entries import Origin, callable_entries
from vitmodels.skeletons.overlay import Overlay
from vitmodels.skeletons.pretrained import Network, load_weights, values_of
from vitmodels.skeletons.signature import with_parameters

Model = TypeVar("Model", bound=nn.Module)
PACKAGE = "vitmodels"
"""The module under which timm lists the models.

timm identifies modules by the last part of their names and has its own modules deit and tnt, so the preset files cannot be used
here.
"""

STRIDE = 32
"""Pixels of the image on a side of one token of a pyramid's last map, in every preset."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

for _opaque in (FeatureOp, Embedding):
    register_notrace_module(_opaque)  # torch.fx cannot trace decisions that depend on shapes


class Preset(NamedTuple):
    """A registered model.

    Attributes:
        builder: The typed function that returns it.
        rules: Rename the keys of its public checkpoint; None without a public checkpoint.
    """

    builder: Callable[..., nn.Module]
    rules: KeyRules | None


PRETRAINED = """
    pretrained: A file that the weights start from: a public checkpoint, a trial's directory, or a ``local-dir:`` of timm; a head
        of another size is new, everything else must fit."""

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
        description: The first line of the docstring: what the model is, with its published accuracy.
        rules: Rename the keys of the public checkpoint.
        first_conv: The name of the first convolution; None if it cuts the image into patches, "" if there is none.
        classifier: The name of the head, or the names of the heads.
        **defaults: The builder's arguments that make this model.

    Raises:
        ValueError: A default names no argument of the builder.
    """
    plain = _with_defaults(name, builder, defaults)
    values = {key: value.default for key, value in inspect.signature(plain).parameters.items()}
    if first_conv is None:
        first_conv = "stem.projection" if "stem" in values else "stages.0.downsample.projection"
    heads = (classifier,) if isinstance(classifier, str) else classifier
    network = Network(name, rules or KeyRules(()), heads, first_conv or None, plain)
    typed = _with_weights(plain, network)
    typed.__doc__ = f"{description}\n\n{_documented(builder)}"
    PRESETS[name] = Preset(typed, rules)
    _register(typed, values, network, {"first_conv": first_conv or (), "classifier": classifier})
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

    return _named(name, with_parameters(builder, parameters))


def _with_weights(builder: Callable[..., Model], network: Network) -> Callable[..., Model]:
    """Return a function that also takes a file of weights, which must fit the model except for the head."""

    def loaded(pretrained: str | None = None, **arguments: Any) -> Model:
        model = builder(**arguments)
        if pretrained is not None:
            load_weights(model, pretrained, network)
        return model

    signature = inspect.signature(builder)
    file = inspect.Parameter("pretrained", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=str | None)
    loaded.__signature__ = signature  # type: ignore[attr-defined]
    return _named(network.name, with_parameters(loaded, {**signature.parameters, "pretrained": file}))


def _named(name: str, typed: Callable[..., Model]) -> Callable[..., Model]:
    typed.__name__, typed.__qualname__, typed.__module__ = name, name, PACKAGE
    return typed


def _documented(builder: Callable[..., Any]) -> str:
    """Return a builder's docstring from its second paragraph on, with the file of weights among the arguments."""
    text = inspect.cleandoc(builder.__doc__ or "").split("\n\n", 1)[1]
    return text.replace("\n\nRaises:\n", f"{PRETRAINED}\n\nRaises:\n", 1)


def _register(
    builder: Callable[..., nn.Module], values: Mapping[str, Any], network: Network, places: dict[str, Any]
) -> None:
    name = network.name
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

    def rename(state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
        return values_of(state, model, network)

    def build(device: Any = None, dtype: Any = None, weights: Any = None, **arguments: Any) -> nn.Module:
        data: dict[str, Any] = {}
        Overlay().lay(data, callable_entries(builder), arguments, Origin(name, ""))
        return builder(pretrained=weights, **data).to(device=device, dtype=dtype)

    def entry(pretrained: bool | str | Path = False, **arguments: Any) -> nn.Module:  # noqa: FBT001, FBT002 (timm's signature)
        weights = (
            pretrained if isinstance(pretrained, str | Path) else _weights_of(name, arguments) if pretrained else None
        )
        return build_model_with_cfg(
            functools.partial(build, weights=weights),
            name,
            bool(pretrained) and not weights,
            pretrained_filter_fn=rename,
            feature_cfg={"out_indices": levels, "feature_cls": "getter"},
            **arguments,
        )

    entry.__name__, entry.__qualname__, entry.__module__, entry.__doc__ = name, name, PACKAGE, builder.__doc__
    register_model(entry)


def _weights_of(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return the state dict, file or ``local-dir:`` that timm's arguments name; None if they name another source of weights."""
    named = resolve_pretrained_cfg(name, arguments.get("pretrained_cfg"), arguments.get("pretrained_cfg_overlay"))
    return named.state_dict or named.file
