"""What timm asks of a classifier, and how a builder with other defaults becomes a timm model."""

import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model, register_notrace_module
from torch import Tensor, nn
from torch.nn.functional import dropout

from vitcore import Embedding, FeatureOp, GridBatchNorm2d
from vitcore.attention.whole_map.spatial_reduction_attention import PatchReduction
from vitmodels.skeletons.checkpoint import KeyRules, translate
from vitmodels.skeletons.parts import merge_parts

Model = TypeVar("Model", bound=nn.Module)
PACKAGE = "vitmodels"
"""The module under which timm lists the models. It files modules by the last part of their names, and has a deit and a tnt."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

for _opaque in (
    FeatureOp,
    GridBatchNorm2d,
    Embedding,
    PatchReduction,
):  # torch.fx cannot trace decisions that depend on shapes
    register_notrace_module(_opaque)


class Preset(NamedTuple):
    """A registered model.

    Attributes:
        builder: The typed function that returns it.
        rules: How the names of its public checkpoint become ours; None if there is none.
    """

    builder: Callable[..., nn.Module]
    rules: KeyRules | None


PRESETS: dict[str, Preset] = {}
"""The models of this package by name, in the order in which they were registered."""


class ImageClassifier(nn.Module):
    """The part of timm's interface that does not depend on the skeleton. A skeleton defines pools, forward_features and pool.

    Args:
        in_chans: Channels of the image.
        width: Channels that the head reads.
        drop_rate: Dropout before the head.
    """

    def __init__(self, in_chans: int, width: int, drop_rate: float) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.num_features = self.head_hidden_size = self.embed_dim = width
        self.drop_rate = drop_rate
        self.grad_checkpointing = False

    @property
    def pools(self) -> tuple[str, ...]:
        """What the head can read."""
        raise TypeError(f"{type(self).__name__} does not define pools.")

    def attach_head(self, num_classes: int, global_pool: str) -> None:
        """Make the head; last, so that it comes last in the state dict.

        Args:
            num_classes: Classes; 0 for no head.
            global_pool: What the head reads.

        Raises:
            ValueError: The head cannot read what ``global_pool`` names.
        """
        if global_pool not in self.pools:
            raise ValueError(
                f"{type(self).__name__}: global_pool must be one of {', '.join(map(repr, self.pools))} here, "
                f"got global_pool={global_pool!r}."
            )
        self.num_classes, self.global_pool = num_classes, global_pool
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: Literal["token", "avg", ""] | None = None) -> None:
        """Replace the head by a fresh one for ``num_classes``, or by none for 0; optionally change the pooling."""
        old = next(self.parameters())
        self.attach_head(num_classes, self.global_pool if global_pool is None else global_pool)
        if isinstance(self.head, nn.Linear):
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
        self.head.to(device=old.device, dtype=old.dtype)

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's signature)
        """Recompute activations in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that take no weight decay: what modules name in their attribute ``no_weight_decay``."""
        return {
            f"{module_name}.{name}"
            for module_name, module in self.named_modules()
            if module is not self
            for name in getattr(module, "no_weight_decay", ())
            if getattr(module, name) is not None
        }

    def head_macs(self) -> int:
        """Multiply-adds of the head."""
        return self.head.weight.numel() if isinstance(self.head, nn.Linear) else 0

    def macs(self, height: int, breadth: int) -> int:
        """Multiply-adds for an image of height x breadth pixels."""
        raise TypeError(f"{type(self).__name__} does not state its cost: define macs(height, breadth).")

    def forward_features(self, image: Tensor) -> Tensor:
        """Return the unpooled features."""
        raise TypeError(f"{type(self).__name__} does not define forward_features(image).")

    def pool(self, features: Tensor) -> Tensor:
        """Reduce the features to what the head reads."""
        raise TypeError(f"{type(self).__name__} does not define pool(features).")

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 (timm's signature)
        """Pool the features and classify them; with ``pre_logits`` only pool."""
        pooled = dropout(self.pool(features), self.drop_rate, self.training)
        return pooled if pre_logits else self.head(pooled)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (b, num_classes)."""
        return self.forward_head(self.forward_features(image))


def preset(
    name: str,
    builder: Callable[..., Model],
    description: str,
    rules: KeyRules | None = None,
    first_conv: str | None = None,
    classifier: str | tuple[str, ...] = "head",
    **defaults: Any,
) -> Callable[..., Model]:
    """Return ``builder`` under a name of its own with other defaults, and register it as a timm model.

    Args:
        name: The model's name, in the calling module and in timm.
        builder: A typed function that returns the model.
        description: The docstring's first line: what it is and where it was published.
        rules: How the names of the public checkpoint become ours.
        first_conv: Where the model's first convolution is; None for that of a stem, or of the first stage, of patches; "" if it
            has none.
        classifier: Where the model's head is, or its heads are.
        **defaults: The builder's arguments that make this model.

    Raises:
        ValueError: A default names no argument of the builder.
    """
    module = sys._getframe(1).f_globals["__name__"]
    arguments = list(inspect.signature(builder).parameters)
    unknown = sorted(set(defaults) - set(arguments))
    if unknown:
        raise ValueError(
            f"preset {name}: {builder.__name__} has no argument {unknown[0]!r}; it has {', '.join(arguments)}."
        )
    values = {key: value.default for key, value in inspect.signature(builder).parameters.items()} | defaults
    code = builder.__code__.replace(co_name=name, co_qualname=name)
    typed = types.FunctionType(code, builder.__globals__, name, tuple(values.values()))
    typed.__annotations__ = dict(builder.__annotations__)
    typed.__module__, typed.__qualname__ = module, name
    typed.__doc__ = description + "\n\n" + inspect.cleandoc(builder.__doc__ or "").split("\n\n", 1)[1]
    if first_conv is None:
        first_conv = "stem.projection" if "stem" in values else "stages.0.downsample.projection"
    PRESETS[name] = Preset(typed, rules)
    _register(name, typed, values, rules, {"first_conv": first_conv or None, "classifier": classifier})
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
        "pool_size": None,
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
        merged = merge_parts({key: value for key, value in values.items() if key in arguments}, arguments)
        return builder(**merged).to(device=device, dtype=dtype)

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
