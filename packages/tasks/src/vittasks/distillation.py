"""Knowledge distillation: a classifier learns from the outputs of a trained one as well as from the labels."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax


class Distillation:
    """The part of the loss that compares a student with its teacher.

    The teacher is not part of the network: checkpoints do not hold it, and its weights are not averaged.

    Args:
        teacher: A trained classifier of the same classes in the same order, such as a model of vitmodels with ``pretrained``, or
            ``timm.create_model`` with ``checkpoint_path``. It sees the student's augmented and mixed images.
        kind: ``hard``: cross-entropy against the class that the teacher chooses; ``soft``: the Kullback-Leibler divergence of the
            student's probabilities from the teacher's, both at the temperature, times the temperature squared.
        weight: Share of this part in the loss, in [0, 1]; the rest is the loss against the labels.
        temperature: Divides the logits of both in soft distillation.

    Raises:
        ValueError: ``weight`` or ``temperature`` is out of range.

    Source: Touvron et al., DeiT, ICML 2021, Eq. 2 (soft; weight 0.1, temperature 3) and Eq. 3 (hard; weight 0.5).
    """

    def __init__(
        self,
        teacher: nn.Module,
        kind: Literal["hard", "soft"] = "hard",
        weight: float = 0.5,
        temperature: float = 3.0,
    ) -> None:
        if not 0 <= weight <= 1 or temperature <= 0:
            raise ValueError(
                "Distillation: weight lies in [0, 1] and temperature is positive, "
                f"got weight={weight}, temperature={temperature}."
            )
        self.teacher = teacher.eval().requires_grad_(False)
        self.kind, self.weight, self.temperature = kind, weight, temperature

    def __deepcopy__(self, memo: dict[int, Any]) -> "Distillation":
        """Return itself: a copy of a task, such as the one that averages its weights, shares the teacher."""
        return self

    def mix_losses(self, loss: Tensor, taught: Tensor, image: Tensor) -> Tensor:
        """Mix the loss against the labels with the loss against the teacher.

        Args:
            loss: Loss of the student against the labels.
            taught: The student's logits (b, num_classes) that learn from the teacher.
            image: What the student saw, (b, c, H, W).

        Raises:
            ValueError: The teacher has another number of classes.
        """
        with torch.no_grad():
            answer = logits_of(self.teacher.to(image.device)(image))
        if answer.shape != taught.shape:
            raise ValueError(
                f"model.distillation.teacher has {answer.shape[-1]} classes and the student {taught.shape[-1]}: "
                "choose a teacher that was trained on the same classes."
            )
        return (1 - self.weight) * loss + self.weight * self._against(answer, taught)

    def _against(self, answer: Tensor, taught: Tensor) -> Tensor:
        if self.kind == "hard":
            return cross_entropy(taught, answer.argmax(dim=1))
        student, teacher = (log_softmax(logits.float() / self.temperature, dim=1) for logits in (taught, answer))
        return kl_div(student, teacher, reduction="batchmean", log_target=True) * self.temperature**2


def logits_of(output: Any) -> Tensor:
    """The logits of a network's output: the output itself, or its attribute ``logits``, as models of transformers have it."""
    found: Tensor = output if isinstance(output, Tensor) else output.logits
    return found
