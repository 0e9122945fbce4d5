"""Heads: the channels of queries, keys and values are split into heads and merged again."""

from jaxtyping import Float
from torch import Tensor


def count_heads(owner: str, width: int, head_dim: int) -> int:
    """Return width / head_dim, or raise a ValueError in the name of ``owner`` if that is not a whole number."""
    if head_dim < 1 or width % head_dim:
        raise ValueError(f"{owner}: head_dim must divide width, got width={width}, head_dim={head_dim}.")
    return width // head_dim


def require_one_shape(owner: str, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise a ValueError in the name of ``owner`` if queries, keys and values (b, h, w, n, d) differ in size."""
    if not q.shape == k.shape == v.shape:
        raise ValueError(
            f"{owner}: q, k and v must have one shape (b, h, w, n, d), "
            f"got q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}."
        )


def split_heads(tokens: Float[Tensor, "b t c"], heads: int) -> Float[Tensor, "b n t d"]:
    """Split channels into heads: (b, t, n * d) -> (b, n, t, d)."""
    return tokens.unflatten(2, (heads, -1)).transpose(1, 2)


def split_qkv(qkv: Float[Tensor, "b t c3"], head_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split a joint projection ordered [q | k | v][head][channel] into q, k, v of shape (b, heads, t, head_dim)."""
    b, t, width3 = qkv.shape
    q, k, v = qkv.view(b, t, 3, width3 // (3 * head_dim), head_dim).permute(2, 0, 3, 1, 4)
    return q, k, v


def merge_heads(heads: Float[Tensor, "b n t d"]) -> Float[Tensor, "b t c"]:
    """Concatenate heads: (b, n, t, d) -> (b, t, n * d)."""
    return heads.transpose(1, 2).flatten(2)
