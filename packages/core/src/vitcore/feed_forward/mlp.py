"""The transformer's feed-forward: two linear maps, token by token."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.op import ActivationFactory, FeatureOp
from vitcore.sequence import as_one_sequence


class Mlp(FeatureOp):
    """Expand, activate, contract; no token sees another.

    Args:
        width: Channels of the grid.
        ratio: Hidden channels as a multiple of ``width``; the product is rounded down.
        activation: Makes the non-linearity.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): treated like the grid's tokens.

    Cost: 2 * (h * w + p) * width * hidden multiply-adds.

    Raises:
        ValueError: ``ratio`` leaves no hidden channel.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, Eq. 2, with GELU as in ViT.
    """

    def __init__(self, width: int, ratio: float = 4.0, activation: ActivationFactory = nn.GELU) -> None:
        super().__init__()
        hidden = hidden_width("Mlp", width, ratio)
        self.expand = nn.Linear(width, hidden)
        self.activation = activation()
        self.contract = nn.Linear(hidden, width)

    def forward(self, grid: Float[Tensor, "b *t c"]) -> Float[Tensor, "b *t c"]:
        """Apply the two maps to every token."""
        return self.contract(self.activation(self.expand(grid)))

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
        """Apply the two maps to grid and prefix."""
        return as_one_sequence(self, grid, prefix)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count two matrix products."""
        return 2 * (h * w + prefix) * self.expand.in_features * self.expand.out_features


def hidden_width(owner: str, width: int, ratio: float) -> int:
    """Return int(width * ratio), or raise a ValueError in the name of ``owner`` if that is less than 1."""
    hidden = int(width * ratio)
    if hidden < 1:
        raise ValueError(f"{owner}: ratio must give at least one hidden channel, got width={width}, ratio={ratio}.")
    return hidden
