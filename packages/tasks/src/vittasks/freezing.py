"""Which part of a backbone is frozen, and the names of the parameters of each part."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from timm.models import group_parameters
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass
class Freezing:
    """Which part of the backbone is frozen.

    A frozen part is also put into evaluation mode: no drop path, and batch norms use their running statistics.

    Args:
        stages: How many of a pyramid's first stages, or of a column's first blocks, are frozen together with the stem; ``all``
            freezes everything but the classifier, for linear probing.
        batch_norms: Which statistics the other batch norms of the backbone use: those of the ``batch``, or their ``running``
            averages, as is usual for detectors with few images on a device.
    """

    stages: int | Literal["all"] = 0
    batch_norms: Literal["batch", "running"] = "batch"

    def freeze(self, backbone: nn.Module) -> None:
        """Exclude the frozen parameters from the training.

        Raises:
            ValueError: There are fewer stages, or the backbone does not name them.
        """
        if self.stages == 0:
            return
        frozen = names_below_classifier(backbone) if self.stages == "all" else first_stages(backbone, self.stages)
        for name, parameter in backbone.named_parameters():
            if name in frozen:
                parameter.requires_grad_(False)

    def keep_in_evaluation(self, backbone: nn.Module) -> None:
        """Put frozen modules into evaluation mode, and with ``running`` statistics all batch norms."""
        for module in self._frozen_modules(backbone):
            module.eval()

    def _frozen_modules(self, backbone: nn.Module) -> Iterator[nn.Module]:
        for module in backbone.modules():
            if self.batch_norms == "running" and isinstance(module, _BatchNorm):
                yield module
            learns = [parameter.requires_grad for parameter in module.parameters()]
            if self.stages != 0 and learns and not any(learns):
                yield module


def classifier_names(backbone: nn.Module) -> set[str]:
    """Names of the parameters of a backbone's classifier: what timm's ``get_classifier`` gives, else its last linear map."""
    if hasattr(backbone, "get_classifier"):
        found = backbone.get_classifier()  # type: ignore[operator]
        heads = list(found) if isinstance(found, tuple | list) else [found]
    else:
        heads = [module for module in backbone.modules() if isinstance(module, nn.Linear)][-1:]
    ids = {id(parameter) for head in heads for parameter in head.parameters()}
    return {name for name, parameter in backbone.named_parameters() if id(parameter) in ids}


def names_below_classifier(backbone: nn.Module) -> set[str]:
    """Names of the parameters of a backbone without its classifier."""
    return {name for name, _ in backbone.named_parameters()} - classifier_names(backbone)


def first_stages(backbone: nn.Module, count: int) -> set[str]:
    """Names of the parameters of a backbone's stem and of its first stages, or blocks where there are no stages.

    Raises:
        ValueError: There are fewer, or the backbone does not name them.
    """
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        raise ValueError(
            f"Freezing: stages is {count}, but {type(backbone).__name__} has no group_matcher, which names the stages; choose a "
            "model of vitmodels or timm, or set stages to all."
        )
    layers: dict[str, int] = group_parameters(backbone, matcher(coarse=True), reverse=True)
    below = names_below_classifier(backbone)
    there = max(layers[name] for name in below)
    if not 0 < count <= there:
        raise ValueError(
            f"Freezing: stages must lie within 0..{there} for {type(backbone).__name__}, or be all, got stages={count}."
        )
    return {name for name in below if layers[name] <= count}
