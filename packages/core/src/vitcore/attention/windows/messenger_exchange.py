"""The exchange between messengers: those of neighbouring windows swap groups of channels."""

import torch
from jaxtyping import Float
from torch import Tensor

from vitcore.attention.windows.geometry import count_windows, fit_window, region_map, window_merge, window_partition
from vitcore.op import FeatureOp


def exchange_messengers(
    messengers: Float[Tensor, "b n c"], rows: int, columns: int, shuffle: int
) -> Float[Tensor, "b n c"]:
    """Let the messengers of each region of windows swap groups of channels.

    The windows fall into regions of g = shuffle**2, cut from the top left corner, and the channels of a messenger into g groups.
    Window i of a region gives its group j for group i of window j. Where a region is cut by the border and window j is missing,
    window i keeps its group j. The exchange is its own inverse; with ``shuffle`` 1 it is the identity.

    Args:
        messengers: One for each window, in raster order.
        rows: Windows below each other.
        columns: Windows beside each other.
        shuffle: Side of a region in windows; its square divides c.
    """
    g, region = shuffle**2, (shuffle, shuffle)
    padding = region_map(rows, columns, region, 0, messengers.device)
    if padding is None:  # no region is cut: the same exchange takes views and three copies
        regions = messengers.unflatten(1, (rows // shuffle, shuffle, columns // shuffle, shuffle)).transpose(2, 3)
        swapped = regions.reshape(-1, g, g, messengers.shape[2] // g).transpose(1, 2).reshape(regions.shape)
        return swapped.transpose(2, 3).reshape(messengers.shape)
    groups = window_partition(messengers.unflatten(1, (rows, columns)), region).unflatten(2, (g, -1))
    swapped = groups.transpose(1, 2)
    missing = window_partition(padding, region) > 0
    present = ~(missing | missing.transpose(1, 2)).unsqueeze(3)
    apart = (-1, present.shape[0])
    swapped = torch.where(present, swapped.unflatten(0, apart), groups.unflatten(0, apart)).flatten(0, 1)
    return window_merge(swapped.flatten(2), (rows, columns), region).flatten(1, 2)


def require_groups(owner: str, width: int, shuffle: int) -> None:
    """Raise a ValueError in the name of ``owner`` if ``width`` channels do not fall into shuffle**2 groups."""
    if shuffle < 1 or width % shuffle**2:
        raise ValueError(f"{owner}: shuffle must be positive and its square divide width, got {width=}, {shuffle=}.")


def require_messengers(owner: str, h: int, w: int, window: tuple[int, int], prefix: int) -> None:
    """Raise a ValueError in the name of ``owner`` if there is not one prefix token for each window."""
    rows, columns = count_windows(h, w, window)
    if prefix != rows * columns:
        raise ValueError(
            f"{owner}: a map of {h} x {w} tokens needs {rows} x {columns} prefix tokens, one for each window, got {prefix}."
        )


class MessengerExchange(FeatureOp):
    """The messengers of each region of windows swap groups of channels; the map stays as it is.

    It is used as a branch without norm and drop-path after that of ``MessengerAttention``. The op returns the change, so that
    its sum with the residual stream is the exchanged messengers. In a network without messengers it adds nothing.

    Args:
        width: Channels of a messenger.
        window: Side of a window in tokens; the map's side where that is smaller.
        shuffle: Side of a region in windows; its square divides ``width``. With 1 nothing changes.

    Shapes:
        grid (b, h, w, width) -> zeros of the same shape: one number in memory, seen as a map
        prefix (b, n, width) -> (b, n, width), n = ceil(h / window) * ceil(w / window) messengers in raster order

    Cost: no multiply-adds.

    Raises:
        ValueError: ``window`` is less than 1, ``shuffle**2`` does not divide ``width``, or the prefix does not hold one messenger
            for each window.

    Source: Fang et al., MSG-Transformer, CVPR 2022, section 3. In a region that the border cuts, the windows that exist
    exchange; the public code requires regions to fill the map, and exchanges nothing on a map smaller than a region.
    """

    def __init__(self, width: int, window: int = 7, shuffle: int = 4) -> None:
        super().__init__()
        require_groups("MessengerExchange", width, shuffle)
        if window < 1:
            raise ValueError(f"MessengerExchange: window must be at least 1, got window={window}.")
        self.window, self.shuffle = window, shuffle

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Return zeros: without messengers nothing changes."""
        return grid.new_zeros(()).expand(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b n c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b n c"]]:
        """Return zeros and the change of the messengers."""
        h, w = grid.shape[1:3]
        window = fit_window(h, w, self.window)
        require_messengers("MessengerExchange", h, w, window, prefix.shape[1])
        return self(grid), exchange_messengers(prefix, *count_windows(h, w, window), self.shuffle) - prefix

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return 0: tokens are only copied."""
        return 0
