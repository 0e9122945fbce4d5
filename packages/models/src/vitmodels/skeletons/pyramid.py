"""The hierarchical skeleton: stages of growing width on ever coarser grids, then a norm and a head."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from vitcore import NormFactory
from vitcore.norm import build_norm, normalise
from vitmodels.skeletons.classifier import ImageClassifier
from vitmodels.skeletons.column import LAYER_NORM
from vitmodels.skeletons.initial import InitialWeights, draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.parts import build_part
from vitmodels.skeletons.stage import Stage, StageSpec, build_stages

NO_STAGE: Any = {}


class Pyramid(ImageClassifier):
    """Stages, norm, head, from parts that are built; ``pyramid`` builds them from data.

    Args:
        stages: The stages in order; class tokens do not leave their stage.
        norm: The normalisation before the head.
        in_chans: Channels of the image.
        num_classes: Classes of the head; 0 for none.
        global_pool: What the head reads: the class ``token`` of the last stage, the ``avg`` of its grid, or all tokens ("").
        drop_rate: Dropout before the head.

    Raises:
        ValueError: The head cannot read what ``global_pool`` names.

    Shapes:
        image (b, in_chans, H, W) -> logits (b, num_classes)
    """

    trunk: ClassVar[str] = "stages"
    map_formats: ClassVar[tuple[str, ...]] = ("NCHW", "NHWC")

    def __init__(
        self,
        stages: list[Stage],
        norm: nn.Module,
        in_chans: int,
        num_classes: int,
        global_pool: Literal["token", "avg", ""],
        drop_rate: float,
    ) -> None:
        super().__init__(in_chans, stages[-1].width, drop_rate)
        self.stages = nn.ModuleList(stages)
        self.norm = norm
        self.attach_head(num_classes, global_pool)
        reduction, self.feature_info = 1, []
        for index, stage in enumerate(stages):
            reduction *= int(getattr(stage.downsample, "reduction", 1))
            self.feature_info.append({"module": f"stages.{index}", "num_chs": stage.width, "reduction": reduction})

    @property
    def num_prefix_tokens(self) -> int:
        """Class tokens of the last stage."""
        prefix = self.stages[-1].prefix
        return prefix.shape[1] if isinstance(prefix, Tensor) else 0

    @property
    def output_fmt(self) -> Literal["NHWC", "NLC"]:
        """The form of ``forward_features``, as timm names it: a map, or with class tokens one sequence."""
        return "NLC" if self.num_prefix_tokens else "NHWC"

    @property
    def pools(self) -> tuple[str, ...]:
        """What the head can read; without prefix tokens there is no class token."""
        return ("token", "avg", "") if self.num_prefix_tokens else ("avg", "")

    def drop_class_tokens(self) -> None:
        """Remove the class tokens of all stages, for a head that reads maps."""
        for stage in self.stages:
            stage.drop_prefix()  # type: ignore[operator]
        if self.global_pool == "token":
            self.global_pool = "avg"

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's signature)
        """Recompute activations in the backward pass instead of keeping them."""
        super().set_grad_checkpointing(enable)
        for stage in self.stages:
            stage.grad_checkpointing = enable  # type: ignore[assignment]

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (timm's signature)
        """Return regular expressions that tell timm the depth of each parameter, by blocks, or by stages if ``coarse``."""
        last = (r"^norm", (99999,))
        if coarse:
            return {"stem": r"^stages\.0\.downsample", "blocks": [(r"^stages\.(\d+)", None), last]}
        return {
            "stem": r"^stages\.0\.(?:downsample|position|prefix)",
            "blocks": [
                (r"^stages\.(\d+)\.(?:downsample|position|prefix)", (0,)),
                (r"^stages\.(\d+)\.blocks\.(\d+)", None),
                (r"^stages\.(\d+)\.norm", (99998,)),
                last,
            ],
        }

    def walk(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the image, then grid (b, h, w, c) and prefix (b, p, c) after each stage."""
        grid, prefix = image, None
        yield grid, prefix
        for stage in self.stages:
            grid, prefix = stage(grid, prefix)
            yield grid, prefix

    def fits_norm(self, index: int) -> bool:
        """Whether the stage is the last one: the norm before the head has its width."""
        return index == len(self.stages) - 1

    def finish(self, grid: Tensor, prefix: Tensor | None) -> Tensor:
        """Apply the final norm to the last stage's output: its grid, or with class tokens one sequence (b, p + h * w, c)."""
        return normalise(self.norm, grid) if prefix is None else super().finish(grid, prefix)

    def pool(self, features: Tensor) -> Tensor:
        """Reduce the features to what the head reads."""
        if self.global_pool == "token":
            return features[:, 0]
        if self.global_pool == "avg":
            return features.flatten(1, -2)[:, self.num_prefix_tokens :].mean(dim=1)
        return features

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of matrix products and convolutions for an image of h x w pixels."""
        total = self.head_macs()
        for stage in self.stages:
            h, w = stage.downsample.map_size(h, w)  # type: ignore[operator, union-attr]
            total += stage.macs(h, w)  # type: ignore[operator]
        return total


def pyramid(
    num_classes: int = 1000,
    in_chans: int = 3,
    img_size: int | tuple[int, int] = 224,
    stage1: StageSpec = NO_STAGE,
    stage2: StageSpec = NO_STAGE,
    stage3: StageSpec = NO_STAGE,
    stage4: StageSpec = NO_STAGE,
    norm: NormFactory = LAYER_NORM,
    global_pool: Literal["token", "avg", ""] = "avg",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    initial_weights: InitialWeights = vision_transformer_weights,
) -> Pyramid:
    """Build a hierarchical vision transformer from the data of its parts.

    Args:
        num_classes: Classes; 0 for no head.
        in_chans: Channels of the image.
        img_size: Height and width in pixels that tables of absolute positions are made for; other sizes interpolate them.
        stage1: The finest stage; its ``downsample`` makes the grid from the image.
        stage2: The second stage.
        stage3: The third stage.
        stage4: The coarsest stage, which the head reads.
        norm: Makes the normalisation before the head, for (width).
        global_pool: What the head reads: the class token of the last stage, the average of its grid, or all tokens ("").
        drop_rate: Dropout before the head.
        drop_path_rate: Stochastic depth rate of the last block; it rises linearly from 0.
        initial_weights: Draws the initial weights of a module, called on every module.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    stages = build_stages((stage1, stage2, stage3, stage4), Stage, in_chans, img_size, drop_path_rate)
    final_norm = build_norm(build_part(norm), stages[-1].width)
    model = Pyramid(stages, final_norm, in_chans, num_classes, global_pool, drop_rate)
    initialise(model, seed, build_part(initial_weights))
    return model
