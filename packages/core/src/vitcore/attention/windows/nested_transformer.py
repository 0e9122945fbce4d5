"""TNT's inner transformer: the pixel tokens inside each patch attend to each other and are summarised in its token."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.feed_forward.mlp import Mlp
from vitcore.norm import build_norm, normalise
from vitcore.op import ActivationFactory, FeatureOp, NormFactory, OpFactory


def pixels_to_grids(pixels: Float[Tensor, "b h w m c"]) -> Float[Tensor, "bhw s s c"]:
    """View the m = s * s pixel tokens of every patch as a small map of its own, to which any op applies."""
    s = _side("pixels_to_grids", pixels.shape[3])
    return pixels.flatten(0, 2).unflatten(1, (s, s))


def grids_to_pixels(grids: Float[Tensor, "bhw s s c"], h: int, w: int) -> Float[Tensor, "b h w m c"]:
    """Undo ``pixels_to_grids`` for a grid of h x w patches, as a view."""
    return grids.flatten(1, 2).unflatten(0, (-1, h, w))


def _side(owner: str, pixels: int) -> int:
    side = round(pixels**0.5)
    if side < 1 or side**2 != pixels:
        raise ValueError(f"{owner}: the pixel tokens of a patch must form a square, got pixels={pixels}.")
    return side


class NestedTransformer(nn.Module):
    """Update the pixel tokens inside each patch by a transformer layer, then add a summary of them to the patch's token.

    No pixel token sees another patch, and no patch token is seen by its pixels. Unlike an op it has two streams and contains
    its norms and residuals: pixels + mixer(norm(pixels)), pixels + feed_forward(norm(pixels)), grid + summary(norm(pixels)).
    The outer transformer is made of ordinary ops on the grid; a class token has no pixels and is left out.

    Args:
        width: Channels of the grid.
        pixel_width: Channels of a pixel token.
        mixer: Makes the mixer of the pixel tokens of one patch; it is given ``pixel_width`` and applied to s x s maps. In TNT
            ``SeparateAttention`` with heads of 3 to 10 channels.
        feed_forward: Makes their feed-forward.
        pixels: Pixel tokens m = s * s in a patch.
        norm: Makes the normalisations, all over the channels of a pixel token.
        drop_path: Makes what stands at the end of the two inner branches: stochastic depth, patch by patch, or nothing.

    Shapes:
        pixels (b, h, w, m, pixel_width), grid (b, h, w, width) -> tensors of the same shapes

    Cost: h * w times (that of the mixer and the feed-forward on s x s tokens + m * pixel_width * width) multiply-adds.

    Raises:
        ValueError: ``pixels`` is not a square number.

    Source: Han et al., Transformer in Transformer, NeurIPS 2021, Eqs. 4-6; the norm before the summary is that of the public
    code (its blocks take it over a pixel's channels, its stem over a whole patch).
    """

    def __init__(
        self,
        width: int,
        pixel_width: int,
        mixer: OpFactory,
        feed_forward: OpFactory = Mlp,
        pixels: int = 16,
        norm: NormFactory = nn.LayerNorm,
        drop_path: ActivationFactory = nn.Identity,
    ) -> None:
        super().__init__()
        self.side = _side("NestedTransformer", pixels)
        self.mixer_norm, self.mixer = build_norm(norm, pixel_width), mixer(pixel_width)
        self.feed_forward_norm, self.feed_forward = build_norm(norm, pixel_width), feed_forward(pixel_width)
        self.drop_path = drop_path()
        self.summary_norm = build_norm(norm, pixel_width)
        self.summary = nn.Linear(pixels * pixel_width, width)

    def forward(
        self, pixels: Float[Tensor, "b h w m d"], grid: Float[Tensor, "b h w c"]
    ) -> tuple[Float[Tensor, "b h w m d"], Float[Tensor, "b h w c"]]:
        """Return the new pixel tokens and the new grid."""
        h, w = grid.shape[1:3]
        inner = pixels_to_grids(pixels)
        inner = inner + self.drop_path(self.mixer(normalise(self.mixer_norm, inner)))
        inner = inner + self.drop_path(self.feed_forward(normalise(self.feed_forward_norm, inner)))
        pixels = grids_to_pixels(inner, h, w)
        return pixels, grid + self.summary(self.summary_norm(pixels).flatten(3))

    def macs(self, h: int, w: int) -> int:
        """Count the inner layer and the summary of every patch."""
        inner = sum(op.macs(self.side, self.side) for op in self._ops())
        return h * w * (inner + self.summary.weight.numel())

    def elementwise_macs(self, h: int, w: int) -> int:
        """Count those of the inner ops."""
        return h * w * sum(op.elementwise_macs(self.side, self.side) for op in self._ops())

    def _ops(self) -> tuple[FeatureOp, FeatureOp]:
        return self.mixer, self.feed_forward
