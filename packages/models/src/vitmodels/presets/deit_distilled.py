"""Distilled DeiT: a Column with a second token and a second head, which learn from a teacher.

How the paper maps to the slots: everything is DeiT's. The distillation token follows the class token; each has its head, and the
model's answer is the mean of the two. Training with a teacher needs both answers apart: ``set_distilled_training``.

Source: Touvron et al., Training data-efficient image transformers & distillation through attention, ICML 2021, section 4.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from vitcore import Embedding, FeatureOp, NormFactory
from vitmodels.presets.deit import MLP_BRANCH, RULES, attention_branch, every_stage
from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.column import LAYER_NORM, NO_BRANCH, PATCHES, POSITION, Column, column
from vitmodels.skeletons.initial import draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.parts import BlockSpec
from vitmodels.skeletons.timm_interface import preset

DISTILLED_RULES = KeyRules(
    (*RULES.renames, (r"dist_token", r"distillation_prefix"), (r"head_dist\.(.+)", r"distillation_head.\1"))
)


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
        """Names of the parameters that are positions or tokens: they take no weight decay."""
        return super().no_weight_decay() | {"distillation_prefix"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (timm's signature)
        """Tell timm which parameters lie at which depth."""
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
        """Make the two heads; arguments and errors as of ``ImageClassifier``."""
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
        """Return the two heads' logits apart in training mode, for a loss with a teacher, instead of their mean."""
        self.distilled_training = enable

    def head_macs(self) -> int:
        """Multiply-adds of the two heads."""
        return 2 * super().head_macs()

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Any:  # noqa: FBT001, FBT002 (timm's signature)
        """Classify what the two heads read and average; with ``pre_logits`` average what they read."""
        read = (features[:, 0], features[:, 1]) if self.global_pool == "token" else (self.pool(features),) * 2
        own, taught = (dropout(tokens, self.drop_rate, self.training) for tokens in read)
        if not pre_logits:
            own, taught = self.head(own), self.distillation_head(taught)
            if self.distilled_training and self.training:
                return own, taught
        return (own + taught) / 2


def distilled_column(
    num_classes: int = 1000,
    in_chans: int = 3,
    img_size: int | tuple[int, int] = 224,
    width: int = 192,
    depth: int = 12,
    stem: Callable[[int, int], Embedding] = PATCHES,
    position: Callable[[int, tuple[int, int], int], FeatureOp] = POSITION,
    stage1: BlockSpec = NO_BRANCH,
    stage2: BlockSpec = NO_BRANCH,
    stage3: BlockSpec = NO_BRANCH,
    norm: NormFactory = LAYER_NORM,
    global_pool: Literal["token", "avg", ""] = "token",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> DistilledColumn:
    """Build an isotropic vision transformer with a class token, a distillation token and a head for each.

    Args:
        num_classes: Classes; 0 for no heads.
        in_chans: Channels of the image.
        img_size: Height and width in pixels that the position table is made for; other sizes interpolate it.
        width: Channels of the tokens.
        depth: Number of blocks.
        stem: Makes the grid from the image, for (in_chans, width).
        position: Makes the absolute position, for (width, grid_size, prefix_tokens).
        stage1: The blocks of the first third of the layers (low).
        stage2: The blocks of the second third (mid).
        stage3: The blocks of the last third (high).
        norm: Makes the normalisation before the heads, for (width).
        global_pool: What the heads read: each its token, or both the average of the grid, or all tokens ("").
        drop_rate: Dropout before the heads.
        drop_path_rate: Stochastic depth rate of the last block; it rises linearly from 0.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    plain = column(
        num_classes=0,
        in_chans=in_chans,
        img_size=img_size,
        width=width,
        depth=depth,
        stem=stem,
        position=position,
        prefix_tokens=2,
        stage1=stage1,
        stage2=stage2,
        stage3=stage3,
        norm=norm,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    model = DistilledColumn(plain, num_classes, global_pool)
    initialise(model, seed, vision_transformer_weights)
    return model


_PARTS = every_stage(mixer=attention_branch(64), feed_forward=MLP_BRANCH)


def _deit(size: str, width: int, top1: str) -> Any:
    description = f"Distilled DeiT-{size.capitalize()}: width {width}, {width // 64} heads ({top1} % top-1 published)."
    name = f"deit_{size}_distilled"
    heads = ("head", "distillation_head")
    return preset(name, distilled_column, description, DISTILLED_RULES, classifier=heads, width=width, **_PARTS)


deit_tiny_distilled = _deit("tiny", 192, "74.5")
deit_small_distilled = _deit("small", 384, "81.2")
deit_base_distilled = _deit("base", 768, "83.3")
