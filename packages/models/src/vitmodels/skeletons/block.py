"""The block: residual branches, applied in order to a grid and to the prefix tokens beside it."""

from torch import Tensor, nn

from vitcore import FeatureOp, Nothing
from vitcore.norm import build_norm, normalise
from vitmodels.skeletons.parts import SLOTS, BlockSpec, Branch

MODULES = {"content_mixer": "content"}
"""Slots whose module keeps the slot's earlier name, so that weights saved under that name still load."""


class ResidualBranch(nn.Module):
    """``grid + drop_path(op(norm(grid)))``, and the same for the prefix if the op changes it.

    Args:
        branch: The factories.
        width: Channels.
        drop_path_rate: The block's stochastic depth rate, before the branch's own factor.

    Raises:
        ValueError: The rate times the branch's factor does not lie in [0, 1).
    """

    def __init__(self, branch: Branch, width: int, drop_path_rate: float) -> None:
        super().__init__()
        self.norm = build_norm(branch.norm, width)
        self.op: FeatureOp = branch.op(width)
        self.drop_path_rate = drop_path_rate * branch.drop_path_scale
        if not 0 <= self.drop_path_rate < 1:
            raise ValueError(
                "ResidualBranch: drop_path_rate times drop_path_scale must lie in [0, 1), "
                f"got drop_path_rate={drop_path_rate}, drop_path_scale={branch.drop_path_scale}."
            )

    def forward(self, grid: Tensor, prefix: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Add the branch to grid (b, h, w, c) and prefix (b, p, c)."""
        if prefix is None:
            update, prefix_update = self.op(normalise(self.norm, grid)), None
        else:
            normed = (normalise(self.norm, tokens) for tokens in (grid, prefix))
            update, prefix_update = self.op.forward_prefixed(*normed)
        if self.training and self.drop_path_rate > 0:
            kept = keep_samples(grid, self.drop_path_rate)
            update = update * kept[:, None]
            prefix_update = None if prefix_update is None else prefix_update * kept
        grid = grid + update
        if prefix is not None and prefix_update is not None:
            prefix = prefix + prefix_update
        return grid, prefix

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Multiply-adds of the op; those of the norm are not counted."""
        return self.op.macs(h, w, prefix)


def keep_samples(grid: Tensor, rate: float) -> Tensor:
    """Draw which samples keep a branch: (b, 1, 1), 0 with probability ``rate``, else 1 / (1 - rate)."""
    return grid.new_empty((grid.shape[0], 1, 1)).bernoulli_(1 - rate).div_(1 - rate)


class Block(nn.Module):
    """The branches of a BlockSpec, in the order of its slots; empty slots are left out.

    Args:
        spec: The branches.
        width: Channels.
        drop_path_rate: Stochastic depth rate of this block.
    """

    def __init__(self, spec: BlockSpec, width: int, drop_path_rate: float) -> None:
        super().__init__()
        for slot in SLOTS:
            branch = ResidualBranch(getattr(spec, slot), width, drop_path_rate)
            if not isinstance(branch.op, Nothing):
                self.add_module(MODULES.get(slot, slot), branch)

    def forward(self, grid: Tensor, prefix: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Apply the branches to grid (b, h, w, c) and prefix (b, p, c)."""
        for branch in self.children():
            grid, prefix = branch(grid, prefix)
        return grid, prefix

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Multiply-adds of matrix products and convolutions for one grid of h x w tokens and ``prefix`` tokens."""
        return sum(branch.macs(h, w, prefix) for branch in self.children() if isinstance(branch, ResidualBranch))
