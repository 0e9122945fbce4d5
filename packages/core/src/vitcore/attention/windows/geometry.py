"""How windows lie on the map: their sizes and number, how the map is cut into them, and which pairs of tokens may attend."""

import torch
from jaxtyping import Bool, Int, Num
from torch import Tensor
from torch.nn.functional import pad


def fit_window(h: int, w: int, window: int) -> tuple[int, int]:
    """Return the rows and columns of a window on a map of h x w tokens: ``window``, or the map's side where that is smaller."""
    return min(h, window), min(w, window)


def count_windows(h: int, w: int, window: tuple[int, int]) -> tuple[int, int]:
    """Return how many windows lie below and beside each other on a map of h x w tokens, counting those that need padding."""
    return -(-h // window[0]), -(-w // window[1])


def size_in_windows(h: int, w: int, window: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of a map of h x w tokens that is padded until windows fill it."""
    down, across = count_windows(h, w, window)
    return down * window[0], across * window[1]


def pad_to_windows(grid: Tensor, window: tuple[int, int]) -> Tensor:
    """Append rows and columns of zeros until windows fill the map; return the map itself if they already do."""
    h, w = grid.shape[1:3]
    down, across = -h % window[0], -w % window[1]
    return pad(grid, (0, 0, 0, across, 0, down)) if down or across else grid


def window_partition(grid: Num[Tensor, "b h w c"], window: tuple[int, int], shift: int = 0) -> Num[Tensor, "bn t c"]:
    """Cut the map into windows, row of windows by row of windows, and each into tokens in raster order.

    Args:
        grid: The map; zeros are appended below and to the right until windows fill it.
        window: Rows and columns of a window.
        shift: Rows and columns by which the padded map moves up and to the left, cyclically, before it is cut.

    Returns:
        (b * n, t, c): n windows of t = rows * columns tokens for each image. ``window_merge`` undoes it.
    """
    rows, columns = window
    grid = pad_to_windows(grid, window)
    if shift:
        grid = grid.roll((-shift, -shift), dims=(1, 2))
    cells = grid.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
    return cells.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def window_merge(
    windows: Num[Tensor, "bn t c"], size: tuple[int, int], window: tuple[int, int], shift: int = 0
) -> Num[Tensor, "b h w c"]:
    """Put windows back where ``window_partition`` took them from, and crop the padding.

    Args:
        windows: The windows of every image.
        size: Rows and columns of the map.
        window: Rows and columns of a window.
        shift: As given to ``window_partition``.
    """
    h, w = size
    cells = windows.unflatten(1, window).unflatten(0, (-1, *count_windows(h, w, window)))
    grid = cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    if shift:
        grid = grid.roll((shift, shift), dims=(1, 2))
    return grid[:, :h, :w]


def region_map(
    h: int, w: int, window: tuple[int, int], shift: int, device: torch.device
) -> Int[Tensor, "1 H W 1"] | None:
    """Number the regions of the padded map that must not attend to each other; None if there is only one.

    The tokens are region 0. Padding lies in other regions, and so do the first ``shift`` rows and columns, which a cyclic shift
    brings next to the last ones.
    """
    padded = size_in_windows(h, w, window)
    if padded == (h, w) and not shift:
        return None
    rows, columns = (torch.arange(side, device=device) for side in padded)
    rows, columns = 2 * (rows >= h) + 1 * (rows < shift), 2 * (columns >= w) + 1 * (columns < shift)
    return (3 * rows[:, None] + columns)[None, :, :, None]


def same_region(regions: Int[Tensor, "n t"]) -> Bool[Tensor, "n 1 t t"]:
    """Return which pairs of tokens of each window lie in one region."""
    return regions[:, None, :, None] == regions[:, None, None, :]
