"""Global multi-head self-attention: every token sees every token."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.op import FeatureOp
from vitcore.sequence import as_one_sequence


def count_heads(owner: str, width: int, head_dim: int) -> int:
    """Return width / head_dim, or raise a ValueError in the name of ``owner`` if that is no whole number."""
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


def split_qkv(qkv: Float[Tensor, "b t c3"], head_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split a joint projection ordered [q | k | v][head][channel] into q, k, v of shape (b, heads, t, head_dim)."""
    b, t, width3 = qkv.shape
    q, k, v = qkv.view(b, t, 3, width3 // (3 * head_dim), head_dim).permute(2, 0, 3, 1, 4)
    return q, k, v


FEW_KEYS = range(16, 33)
"""Numbers of keys with which attention is faster spelled out on a CPU than by its kernel; with fewer, in training alone."""


def attend(
    q: Float[Tensor, "b n t d"], k: Float[Tensor, "b n s d"], v: Float[Tensor, "b n s d"], scale: float | None = None
) -> Float[Tensor, "b n t d"]:
    """Return softmax(q @ k * scale) @ v, ``scale`` d ** -0.5 if it is None; every query sees every key.

    With few keys on a CPU as two products and the softmax: the scores are then no larger than queries and keys themselves.
    """
    keys = k.shape[2]
    few = keys in FEW_KEYS or (keys < FEW_KEYS.stop and q.requires_grad and torch.is_grad_enabled())
    if few and _written_here_on_a_cpu(q):
        factor = q.shape[3] ** -0.5 if scale is None else scale
        # Scores or queries are scaled: the fewer numbers.
        scores = (q @ k.mT).mul_(factor) if keys < q.shape[3] else (q * factor) @ k.mT
        return scores.softmax(-1) @ v
    return scaled_dot_product_attention(q, k, v, scale=scale)


def _written_here_on_a_cpu(q: Tensor) -> bool:
    """Whether attention is computed as it is written here: a compiler would fuse it, and half precision is left to torch."""
    return q.device.type == "cpu" and q.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()


def has_no_kernel(q: Tensor, bias: Tensor) -> bool:
    """Whether attention with this bias is faster spelled out than by ``scaled_dot_product_attention``.

    On a CPU no fused kernel takes a bias that requires a gradient. What is called instead scales queries and keys apart and looks
    for rows without any key: passes over the scores that ``spelled_out_attention`` does without. Compilers fuse them. In half
    precision torch keeps the scores in float32, which is left to it.
    """
    return bias.requires_grad and torch.is_grad_enabled() and _written_here_on_a_cpu(q)


def spelled_out_attention(
    q: Float[Tensor, "b n t d"],
    k: Float[Tensor, "b n s d"],
    v: Float[Tensor, "b n s d"],
    bias: Float[Tensor, "#b n t s"],
    barred: Float[Tensor, "g 1 t s"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "b n t d"]:
    """Return softmax(q @ k * scale + bias) @ v, ``scale`` d ** -0.5 if it is None; see ``has_no_kernel``.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        bias: Added to the scores.
        barred: Added to the scores of each of g consecutive entries of the batch; each query needs a key that is not at -inf.
        scale: Factor on q * k.
    """
    scores = (q * (q.shape[3] ** -0.5 if scale is None else scale)) @ k.mT
    scores += bias
    if barred is not None:
        scores.unflatten(0, (-1, barred.shape[0])).add_(barred)
    return scores.softmax(-1).to(v.dtype) @ v


def settle_strides(mixed: Float[Tensor, "b n t d"]) -> Float[Tensor, "b n t d"]:
    """Return the result of an attention with a learned bias: itself, or a copy of it while a graph is exported.

    The kernel, and with it the strides of the result, depends on whether the bias requires a gradient. The passes of an exporter
    differ in that, so that what one takes for a view is none to the next, which stops with an error. ONNX knows no copies.
    """
    return mixed.clone(memory_format=torch.contiguous_format) if torch.compiler.is_exporting() else mixed


def merge_heads(heads: Float[Tensor, "b n t d"]) -> Float[Tensor, "b t c"]:
    """Concatenate heads: (b, n, t, d) -> (b, t, n * d)."""
    return heads.transpose(1, 2).flatten(2)


class GlobalAttention(FeatureOp):
    """Each token attends to all tokens of its image, prefix tokens included.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): the prefix joins the sequence in front of the grid in raster order.

    Cost: t * 4 * width**2 + 2 * t**2 * width multiply-adds, t = h * w + p.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, appendix A, Eqs. 5-8.
    """

    def __init__(self, width: int, head_dim: int = 64, bias: Literal["all", "projection"] = "all") -> None:
        super().__init__()
        count_heads("GlobalAttention", width, head_dim)
        self.width = width
        self.head_dim = head_dim
        self.qkv = nn.Linear(width, 3 * width, bias=bias == "all")
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend over the whole grid."""
        return self._attend(grid.flatten(1, 2)).view(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
        """Attend over the prefix and the grid as one sequence."""
        return as_one_sequence(self._attend, grid, prefix)

    def _attend(self, tokens: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        q, k, v = split_qkv(self.qkv(tokens), self.head_dim)
        return self.projection(merge_heads(scaled_dot_product_attention(q, k, v)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Projections and the two products with the attention matrix."""
        t = h * w + prefix
        return 4 * t * self.width**2 + 2 * t**2 * self.width
