"""Parameter groups: which parameters have weight decay, and the learning rate of each part of a network."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from timm.models import group_parameters
from torch import nn
from torch.optim import Optimizer

from vittasks.freezing import names_below_classifier

OptimizerFactory: TypeAlias = Callable[[Iterable[Any]], Optimizer]
"""Makes an optimizer for parameter groups: a class of torch.optim with its other arguments."""

RATE = "lr_scale"
"""The entry of a parameter group that holds its factor on the optimizer's learning rate, under timm's name."""


@dataclass
class ParameterGroups:
    """Which parameters are not decayed, and at which learning rate each part of the network learns.

    Args:
        undecayed: What takes no weight decay. ``vectors``: biases, the gains of norms and what the model lists (position tables,
            class tokens), as in the classification recipes. ``layer_norms``: the layer norms and what the model lists, as in
            Swin's dense recipes, where biases and batch norms decay. ``nothing``: everything decays, as in PVT's dense recipes.
        layer_decay: Factor on the learning rate from each layer of the backbone to the one before it. The classifier and
            everything else that the task adds have the optimizer's rate; the last layer has that rate times ``layer_decay``. In a
            pyramid each block counts as a layer, and so does the stem.
        backbone_lr: Factor on the learning rate of the backbone without its classifier.

    Raises:
        ValueError: A factor is not positive, or ``layer_decay`` is larger than 1.

    Source: layer-wise decay as in Bao et al., BEiT, ICLR 2022, and Liu et al., ConvNeXt, CVPR 2022; the layers are timm's.
    """

    undecayed: Literal["vectors", "layer_norms", "nothing"] = "vectors"
    layer_decay: float = 1.0
    backbone_lr: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.layer_decay <= 1 or self.backbone_lr <= 0:
            raise ValueError(
                "ParameterGroups: layer_decay lies in (0, 1] and backbone_lr is positive, "
                f"got layer_decay={self.layer_decay}, backbone_lr={self.backbone_lr}."
            )

    def split(self, model: nn.Module, listed: Iterable[str] = (), backbone: str = "backbone") -> list[dict[str, Any]]:
        """Split the trainable parameters into groups for an optimizer.

        Args:
            model: The network.
            listed: Names that the model exempts from weight decay, as returned by timm's ``model.no_weight_decay()``.
            backbone: Path of the backbone in the model, "" if it is the model itself, for ``layer_decay`` and ``backbone_lr``.

        Returns:
            Groups with their ``params``; with ``weight_decay`` 0 where there is none, and with the factor ``lr_scale`` where it
            is not 1. Decayed groups come first.

        Raises:
            ValueError: ``layer_decay`` is below 1 and the backbone does not name its layers.
        """
        undecayed, rates = self._undecayed(model, set(listed)), self._rates(model, backbone)
        groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((name in undecayed, rates.get(name, 1.0)), []).append(parameter)
        return [
            {"params": groups[free, rate]}
            | ({"weight_decay": 0.0} if free else {})
            | ({RATE: rate} if rate != 1 else {})
            for free, rate in sorted(groups)
        ]

    def _undecayed(self, model: nn.Module, listed: set[str]) -> set[str]:
        if self.undecayed == "nothing":
            return set()
        if self.undecayed == "vectors":
            return listed | {name for name, parameter in model.named_parameters() if parameter.ndim <= 1}
        norms = [(path, part) for path, part in model.named_modules() if isinstance(part, nn.LayerNorm)]
        return listed | {f"{path}.{name}" for path, norm in norms for name, _ in norm.named_parameters()}

    def _rates(self, model: nn.Module, path: str) -> dict[str, float]:
        """Return the factor on the learning rate of each parameter of the backbone, its classifier left out."""
        if self.layer_decay == self.backbone_lr == 1:
            return {}
        backbone = model.get_submodule(path)
        names = names_below_classifier(backbone)
        layers = self._layers(backbone)
        last = max((layers.get(name, 0) for name in names), default=0)
        prefix = f"{path}." if path else ""
        return {
            prefix + name: self.backbone_lr * self.layer_decay ** (last + 1 - layers.get(name, last + 1))
            for name in names
        }

    def _layers(self, backbone: nn.Module) -> dict[str, int]:
        if self.layer_decay == 1:
            return {}
        matcher = getattr(backbone, "group_matcher", None)
        if matcher is None:
            raise ValueError(
                f"ParameterGroups: layer_decay is {self.layer_decay}, but {type(backbone).__name__} has no group_matcher, "
                "which names the layers; choose a model of vitmodels or timm, or set layer_decay to 1."
            )
        layers: dict[str, int] = group_parameters(backbone, matcher(coarse=False), reverse=True)
        return layers


def weight_decay_groups(model: nn.Module, undecayed: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Split the trainable parameters into those with the optimizer's weight decay and those with none.

    Matrices and convolution kernels are decayed. Vectors and scalars (biases, the gains of norms) are not,
    nor are the parameters that the model lists (position tables, class tokens).

    Args:
        model: The network.
        undecayed: Names without weight decay whatever their shape, as returned by timm's ``model.no_weight_decay()``.

    Returns:
        Two parameter groups for an optimizer; an empty one is left out.
    """
    return ParameterGroups().split(model, undecayed)
