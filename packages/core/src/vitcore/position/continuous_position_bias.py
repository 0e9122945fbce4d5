"""Continuous position bias: a small network maps the displacements inside a window to numbers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from vitcore.position.window_position import WindowPosition, pair_displacements


class ContinuousPositionBias(WindowPosition):
    """A small network maps each displacement, in log-spaced coordinates, to one number for each head.

    The coordinate of d tokens is sign(d) * log2(1 + 8 * abs(d) / (reference - 1)) / 3; linear - ReLU - linear without bias maps
    the two coordinates to the heads, and 16 * sigmoid bounds the result.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.
        hidden: Units of the network.
        reference: Window for which the coordinates span -1.06 to 1.06: that of the pre-training when a network moves to larger
            windows; 0 for ``window`` itself.

    Shapes:
        rows, columns -> (1, heads, t, t)

    Cost: (2 * rows - 1) * (2 * columns - 1) * hidden * (2 + heads) multiply-adds, once for the whole batch.

    Raises:
        ValueError: ``hidden`` is less than 1 or ``reference`` is negative.

    Source: Liu et al., Swin Transformer V2, CVPR 2022, Eqs. 3-4. The normalisation of the coordinates, the bound 16 * sigmoid
    and the 512 units are those of the public code, which divides by 0 for a window of 1; here its one displacement has
    coordinate 0. Cosine attention, the paper's other half, is not part of this.
    """

    def __init__(self, window: int, heads: int, hidden: int = 512, reference: int = 0) -> None:
        super().__init__(window, heads)
        if hidden < 1 or reference < 0:
            raise ValueError(
                "ContinuousPositionBias: hidden must be at least 1 and reference at least 0, "
                f"got hidden={hidden}, reference={reference}."
            )
        self.reference = reference or window
        self.expand = nn.Linear(2, hidden)
        self.contract = nn.Linear(hidden, heads, bias=False)

    def forward(self, rows: int, columns: int) -> Float[Tensor, "1 n t t"]:
        """Evaluate the network at every displacement."""
        y, x = self._coordinates(rows), self._coordinates(columns)
        places = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)
        return pair_displacements(16 * self.contract(relu(self.expand(places))).sigmoid(), rows, columns)

    def _coordinates(self, side: int) -> Float[Tensor, "s"]:
        weight = self.expand.weight
        displacements = torch.arange(1 - side, side, device=weight.device, dtype=weight.dtype)
        scaled = 8 * displacements / max(self.reference - 1, 1)
        return scaled.sign() * (1 + scaled.abs()).log2() / 3

    def macs(self, rows: int, columns: int) -> int:
        """Count two layers for each displacement."""
        hidden = self.expand.out_features
        return (2 * rows - 1) * (2 * columns - 1) * hidden * (2 + self.heads)
