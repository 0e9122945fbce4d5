"""Classification with deep supervision: every map of a pyramid is trained to predict the class."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vittasks.classification import Classification
from vittasks.mixing import Mixing
from vittasks.optim import OptimizerFactory
from vittasks.schedule import ScheduleFactory, WarmupCosine


class DeeplySupervisedClassification(Classification):
    """Train a classifier that predicts the class from every map, as pretraining for dense tasks, which read all maps.

    In training, a linear map on the mean of each map of the pyramid predicts the class, in addition to the classifier's own head.
    The loss is the mean of all their cross-entropies; the scores are those of the classifier's own head.

    Args:
        backbone: A pyramid with a head, image (b, c, H, W) -> logits (b, num_classes), with timm's ``forward_intermediates``,
            ``forward_head`` and ``feature_info``, such as any pyramid of vitmodels.
        optimizer: Makes the optimizer; biases, norms, position tables and class tokens are not decayed.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step.
        label_smoothing: Share of the label that is spread over all classes.
        mixing: Mixup and CutMix of training batches.

    Raises:
        ValueError: The backbone returns no maps.

    Source: Lee et al., Deeply-Supervised Nets, AISTATS 2015. Differs from it in the companion heads, which are linear maps of
    means, and in their loss, which has the weight of the main one to the end.
    """

    def __init__(
        self,
        backbone: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory | None = WarmupCosine,
        label_smoothing: float = 0.0,
        mixing: Mixing = Mixing(),  # noqa: B008 (never changed)
    ) -> None:
        super().__init__(backbone, optimizer, schedule, label_smoothing, mixing)
        info: Any = getattr(backbone, "feature_info", None)
        if info is None or not hasattr(backbone, "forward_intermediates"):
            raise ValueError(
                f"DeeplySupervisedClassification: {type(backbone).__name__} gives no maps; choose a model with feature_info and "
                "forward_intermediates, such as vitmodels.pvtv2_b0."
            )
        self.companions = nn.ModuleList(nn.Linear(int(one["num_chs"]), self.num_classes) for one in info)

    def _loss(self, image: Tensor, label: Tensor) -> Tensor:
        network: Any = self.backbone
        features, maps = network.forward_intermediates(image)
        means = (one.mean((2, 3)) for one in maps)
        logits = [network.forward_head(features)]
        logits += [companion(mean) for companion, mean in zip(self.companions, means, strict=True)]
        losses = [cross_entropy(one, label, label_smoothing=self.label_smoothing) for one in logits]
        return torch.stack(losses).mean()
