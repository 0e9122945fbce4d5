"""The isotropic skeleton with a second token and a second head, which learn from a teacher.

The distillation token follows the class token. Each has its own head, and the model returns the mean of the two. Training with a
teacher needs the two outputs separately; see ``set_distilled_training``.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from vitmodels.skeletons.column import Column, column
from vitmodels.skeletons.initial import draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.signature import with_arguments_of


class DistilledColumn(Column):
    """A Column with a distillation token behind the class token and a head for it.

    Args:
        plain: The column without them, its positions made for two prefix tokens; its parts become this model's.
        num_classes: Classes of the two heads; 0 for none.
        global_pool: What the heads read: each its ``token``, or both the ``avg`` of the grid, or all tokens ("").

    Raises:
        ValueError: The heads cannot read what ``global_pool`` names.

    Shapes:
        image (b, in_chans, H, W) -> logits (b, num_classes), the mean of the two heads; a pair of them in distilled training
    """

    def __init__(self, plain: Column, num_classes: int, global_pool: Literal["token", "avg", ""]) -> None:
        blocks: list[Any] = list(plain.blocks)
        sizes = (plain.in_chans, plain.num_features, num_classes)
        super().__init__(plain.stem, plain.position, 1, blocks, plain.norm, *sizes, global_pool, plain.drop_rate)
        self.distillation_prefix = nn.Parameter(torch.zeros(1, 1, plain.num_features))
        self.distilled_training = False

    @property
    def num_prefix_tokens(self) -> int:
        """The class token and the distillation token."""
        return 2

    def reset_parameters(self) -> None:
        """Draw the two tokens."""
        super().reset_parameters()
        nn.init.trunc_normal_(self.distillation_prefix, std=0.02)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters without weight decay: positions and tokens."""
        return super().no_weight_decay() | {"distillation_prefix"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (timm's signature)
        """Return regular expressions that tell timm the depth of each parameter."""
        return super().group_matcher(coarse) | {"stem": r"^prefix|^distillation_prefix|^position|^stem"}

    def embed(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return grid (b, h, w, width) and the two tokens (b, 2, width) with their positions."""
        grid = self.stem(image)
        tokens = torch.cat((self.prefix, self.distillation_prefix), dim=1)  # type: ignore[arg-type]
        places, token_places = self.position.forward_prefixed(grid, tokens)
        if token_places is not None:
            tokens = tokens + token_places
        return grid + places, tokens.expand(grid.shape[0], -1, -1)

    def attach_head(self, num_classes: int, global_pool: str) -> None:
        """Make the two heads; arguments and errors as for ``ImageClassifier``."""
        super().attach_head(num_classes, global_pool)
        self.distillation_head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> Any:
        """Return the pair of heads, as timm does."""
        return self.head, self.distillation_head

    def reset_classifier(self, num_classes: int, global_pool: Literal["token", "avg", ""] | None = None) -> None:
        """Replace both heads by fresh ones for ``num_classes``, or by none for 0; optionally change the pooling."""
        super().reset_classifier(num_classes, global_pool)
        vision_transformer_weights(self.distillation_head)
        self.distillation_head.to(device=self.distillation_prefix.device, dtype=self.distillation_prefix.dtype)

    def set_distilled_training(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's signature)
        """In training mode, return the logits of the two heads separately instead of their mean, for a loss with a teacher."""
        self.distilled_training = enable

    def head_macs(self) -> int:
        """Multiply-adds of the two heads."""
        return 2 * super().head_macs()

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Any:  # noqa: FBT001, FBT002 (timm's signature)
        """Return the mean of the two heads' logits; with ``pre_logits`` the mean of what they read."""
        read = (features[:, 0], features[:, 1]) if self.global_pool == "token" else (self.pool(features),) * 2
        own, taught = (dropout(tokens, self.drop_rate, self.training) for tokens in read)
        if not pre_logits:
            own, taught = self.head(own), self.distillation_head(taught)
            if self.distilled_training and self.training:
                return own, taught
        return (own + taught) / 2


@with_arguments_of(column, prefix_tokens=())
def distilled_column(
    num_classes: int = 1000, global_pool: Literal["token", "avg", ""] = "token", **arguments: Any
) -> DistilledColumn:
    """Build an isotropic vision transformer with a class token, a distillation token and a head for each.

    Args:
        num_classes: Classes; 0 for no heads.
        global_pool: What the heads read: each its token, or both the average of the grid, or all tokens ("").
        **arguments: The arguments of ``column`` except ``prefix_tokens``.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    model = DistilledColumn(column(num_classes=0, prefix_tokens=2, **arguments), num_classes, global_pool)
    initialise(model, seed, vision_transformer_weights)
    return model
