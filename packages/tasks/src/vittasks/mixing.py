"""Mixup and CutMix on a batch, drawn per (seed, epoch, batch) whatever else uses random numbers."""

from dataclasses import dataclass

import numpy as np
from timm.data import Mixup
from torch import Tensor


@dataclass
class Mixing:
    """How pairs of images in a batch are mixed, together with their labels.

    Args:
        mixup: Alpha of the beta distribution that Mixup's share is drawn from; 0 for no Mixup.
        cutmix: Alpha of the beta distribution that CutMix's share is drawn from; 0 for no CutMix.
        probability: Probability that a batch is mixed at all.
        switch: Probability of CutMix if both are on.

    Source: Zhang et al., mixup, ICLR 2018; Yun et al., CutMix, ICCV 2019; as implemented by timm.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    probability: float = 1.0
    switch: float = 0.5

    @property
    def active(self) -> bool:
        """Whether anything is mixed."""
        return self.probability > 0 and (self.mixup > 0 or self.cutmix > 0)

    def apply(self, images: Tensor, labels: Tensor, num_classes: int, key: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            images: (b, c, H, W), b even.
            labels: (b,) class indices.
            num_classes: Number of classes.
            key: What the draw depends on, for example (seed, epoch, batch index).

        Returns:
            Mixed images and soft labels (b, num_classes).

        Raises:
            ValueError: The batch is odd.
        """
        refuse_odd_batch(len(images))
        mix = Mixup(self.mixup, self.cutmix, None, self.probability, self.switch, "batch", True, 0.0, num_classes)
        state = np.random.get_state()
        np.random.seed(np.random.SeedSequence(key).generate_state(4))
        try:
            mixed: tuple[Tensor, Tensor] = mix(images.clone(), labels)
        finally:
            np.random.set_state(state)
        return mixed


def refuse_odd_batch(images: int) -> None:
    """Check that a batch of this many images can be mixed in pairs.

    Raises:
        ValueError: It is odd.
    """
    if images % 2:
        raise ValueError(
            f"Mixing pairs the images of a batch and needs an even number, got {images}: set an even data.batch_size."
        )
