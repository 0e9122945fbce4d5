"""Attention to pieces of the map: what spatial reduction and pooled reduction have in common."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.attention.dot_product_attention import group_attention
from vitcore.attention.heads import count_heads
from vitcore.op import FeatureOp


def attend_to_keys(q: Float[Tensor, "b t c"], kv: Float[Tensor, "b m c2"], head_dim: int) -> Float[Tensor, "b t c"]:
    """Let t queries attend to m keys in several heads; ``kv`` is ordered [k | v][head][channel]."""
    keys, values = kv.unflatten(2, (2, -1, head_dim)).unbind(2)
    return group_attention(q.unflatten(2, (-1, head_dim)), keys, values).flatten(2)


class AttentionToPieces(FeatureOp):
    """Multi-head attention whose keys and values are pieces of the map; a subclass says what the pieces are."""

    def __init__(self, width: int, head_dim: int) -> None:
        super().__init__()
        count_heads(type(self).__name__, width, head_dim)
        self.width, self.head_dim = width, head_dim
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.projection = nn.Linear(width, width)

    def pieces(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Return one token for each piece of the map."""
        raise TypeError(f"{type(self).__name__} does not define pieces(grid).")

    def finish(self, pieces: Float[Tensor, "b m 1 c"]) -> Float[Tensor, "b m 1 c"]:
        """Return the pieces after the steps that prefix tokens go through as well."""
        raise TypeError(f"{type(self).__name__} does not define finish(pieces).")

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend to the pieces of the map."""
        return self._attend(grid.flatten(1, 2), self.pieces(grid).flatten(1, 2)).view(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
        """Attend to the prefix and the pieces of the map."""
        p = prefix.shape[1]
        queries = torch.cat((prefix, grid.flatten(1, 2)), dim=1)
        tokens = self._attend(queries, torch.cat((prefix, self.pieces(grid).flatten(1, 2)), dim=1))
        return tokens[:, p:].unflatten(1, grid.shape[1:3]), tokens[:, :p]

    def _attend(self, queries: Float[Tensor, "b t c"], keys: Float[Tensor, "b m c"]) -> Float[Tensor, "b t c"]:
        kv = self.kv(self.finish(keys.unsqueeze(2)).squeeze(2))
        return self.projection(attend_to_keys(self.q(queries), kv, self.head_dim))
