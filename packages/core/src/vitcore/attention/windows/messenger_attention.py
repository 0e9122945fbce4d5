"""Messengers: each window has a token that reads it and that it reads; in between, messengers exchange what they know."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from vitcore.attention.windows.attention_in_windows import AttentionInWindows, attend_windows
from vitcore.attention.windows.geometry import (
    count_windows,
    fit_window,
    region_map,
    same_region,
    window_merge,
    window_partition,
)
from vitcore.attention.windows.messenger_exchange import exchange_messengers, require_groups, require_messengers
from vitcore.position.relative_position_bias import RelativePositionBias
from vitcore.position.window_position import WindowPositionFactory


def messenger_pairs(
    size: tuple[int, int], window: tuple[int, int], device: torch.device
) -> Bool[Tensor, "n 1 t1 t1"] | None:
    """Return which pairs of messenger and tokens of each window may attend: none to padding. None if there is no padding."""
    regions = region_map(*size, window, 0, device)
    # A messenger lies in region 0, that of the tokens.
    return None if regions is None else same_region(pad(window_partition(regions, window).squeeze(2), (1, 0)))


class MessengerAttention(AttentionInWindows):
    """Each token attends to the tokens of its window and to the window's messenger.

    Messengers live in one of two ways. As prefix tokens of a network (``forward_prefixed``) they are queries too: window and
    messenger attend jointly, as in the paper. There the exchange follows the residual sum, so it is a branch of its own after
    this one: ``MessengerExchange``, without a norm. In a network without prefix tokens (``forward``) a messenger lives only
    inside the op: a learned vector reads each window, the readings are exchanged, and each window's tokens attend to their
    window and to what its messenger received. A token then sees all windows of its region of ``shuffle`` x ``shuffle``
    windows; with ``shuffle`` 1 it sees its own window, directly and summarised.

    Args:
        width: Channels of the grid.
        window: Side of a window in tokens; the map's side where that is smaller.
        shuffle: Side of a region in windows; used by ``forward`` only.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        position: Makes what is added to the scores of two tokens, from (window, heads). A learned number for each head is
            added to the score of a token and its messenger.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.
        messengers: ``own``: the op has the learned vector that ``forward`` needs. ``prefix``: it has none, so that a network
            with messengers carries no unused parameter.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, n, width) -> (b, n, width): a messenger for each of the n = ceil(h / window) * ceil(w / window) windows, in
        raster order.

    Cost: for t tokens in a window and T in all windows, padding included, with prefix
    (T + n) * (4 * width**2 + 2 * (t + 1) * width) multiply-adds; without
    T * (4 * width**2 + 2 * (t + 2) * width) + (4 * n + 3) * width**2; and those of ``position``.

    Raises:
        ValueError: ``head_dim`` or ``shuffle**2`` does not divide ``width``, ``window`` is less than 1, or the prefix does not
            hold one messenger for each window.
        TypeError: ``forward`` with ``messengers="prefix"``.

    Source: Fang et al., MSG-Transformer, CVPR 2022, section 3. ``forward`` is not in the paper: it joins the writing of one
    block and the reading of the next, with the same weights. A second number for each head, which the public code adds to all
    scores of a messenger's own query (``rel_pos_msg[:, 1]``), has no influence under the softmax and is left out. The public
    code requires windows and regions to fill the map; here it is padded, and neither tokens nor messengers attend to the
    padding.
    """

    no_weight_decay = ("messenger_bias", "initial")

    def __init__(
        self,
        width: int,
        window: int = 7,
        shuffle: int = 4,
        head_dim: int = 32,
        position: WindowPositionFactory = RelativePositionBias,
        bias: Literal["all", "projection"] = "all",
        messengers: Literal["own", "prefix"] = "own",
    ) -> None:
        super().__init__(width, window, head_dim, position, bias)
        require_groups("MessengerAttention", width, shuffle)
        self.shuffle = shuffle
        self.messenger_bias = nn.Parameter(torch.empty(width // head_dim))
        self.initial = nn.Parameter(torch.empty(1, 1, width)) if messengers == "own" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the biases of the heads, and the messenger if there is one, from a truncated normal (0.02)."""
        nn.init.trunc_normal_(self.messenger_bias, std=0.02)
        if self.initial is not None:
            nn.init.trunc_normal_(self.initial, std=0.02)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Let messengers read their windows and exchange; then let the windows read them."""
        if self.initial is None:
            raise TypeError(
                'MessengerAttention: messengers="prefix" has no messenger of its own; call forward_prefixed or choose "own".'
            )
        size = (grid.shape[1], grid.shape[2])
        window = fit_window(*size, self.window)
        rows, columns = count_windows(*size, window)
        q, k, v = self.project(window_partition(grid, window))
        pairs = messenger_pairs(size, window, grid.device)
        reading, read = (None, None) if pairs is None else (pairs[:, :, :1, 1:], pairs[:, :, 1:])
        query = self.project(self.initial)[0].expand(q.shape[0], -1, -1, -1)
        known = self.projection(attend_windows(query, k, v, None, reading))
        known = exchange_messengers(known.view(-1, rows * columns, self.width), rows, columns, self.shuffle)
        _, key, value = self.project(known.flatten(0, 1).unsqueeze(1))
        tokens = attend_windows(q, torch.cat((key, k), 1), torch.cat((value, v), 1), self._bias(window)[:, :, 1:], read)
        return window_merge(self.projection(tokens), size, window)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b n c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b n c"]]:
        """Let each window and its messenger attend to each other; nothing is exchanged."""
        size = (grid.shape[1], grid.shape[2])
        window = fit_window(*size, self.window)
        require_messengers("MessengerAttention", *size, window, prefix.shape[1])
        joint = torch.cat((prefix.flatten(0, 1).unsqueeze(1), window_partition(grid, window)), dim=1)
        joint = self.attend(joint, self._bias(window), messenger_pairs(size, window, grid.device))
        return window_merge(joint[:, 1:], size, window), joint[:, 0].unflatten(0, (-1, prefix.shape[1]))

    def _bias(self, window: tuple[int, int]) -> Float[Tensor, "1 heads t1 t1"]:
        t = window[0] * window[1]
        to_messenger = pad(self.messenger_bias[None, :, None, None].expand(-1, -1, t, -1), (0, t, 1, 0))
        between = self.position(*window)
        return to_messenger if between is None else to_messenger + pad(between, (1, 0, 1, 0))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and attention of tokens and messengers; ``prefix`` is their number, or 0 for ``forward``."""
        rows, columns = window = fit_window(h, w, self.window)
        down, across = count_windows(h, w, window)
        t, n, width = rows * columns, down * across, self.width
        if prefix:
            total = n * (t + 1) * (4 * width**2 + 2 * (t + 1) * width)
        else:
            total = n * t * (4 * width**2 + 2 * (t + 2) * width) + (4 * n + 3) * width**2
        return total + self.position.macs(rows, columns)
