"""Softmax attention on given queries, keys and values: by torch's kernel, or spelled out where that is faster."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

FEW_KEYS = range(16, 33)
"""Numbers of keys for which spelled-out attention is faster than torch's kernel on a CPU; below this range only in training."""

torch.fx.wrap("attend")  # torch.fx cannot trace a decision that depends on the number of keys


def attend(
    q: Float[Tensor, "b n t d"], k: Float[Tensor, "b n s d"], v: Float[Tensor, "b n s d"], scale: float | None = None
) -> Float[Tensor, "b n t d"]:
    """Return softmax(q @ k * scale) @ v, where every query sees every key; ``scale`` None means d ** -0.5.

    With few keys on a CPU it is computed as two products and a softmax: the scores are then no larger than queries and keys.
    """
    keys = k.shape[2]
    few = keys in FEW_KEYS or (keys < FEW_KEYS.stop and q.requires_grad and torch.is_grad_enabled())
    if few and _runs_as_written_on_a_cpu(q):
        factor = q.shape[3] ** -0.5 if scale is None else scale
        # Scale whichever has fewer numbers, the scores or the queries.
        scores = (q @ k.mT).mul_(factor) if keys < q.shape[3] else (q * factor) @ k.mT
        return scores.softmax(-1) @ v
    return scaled_dot_product_attention(q, k, v, scale=scale)


def attend_with_bias(
    q: Float[Tensor, "b n t d"],
    k: Float[Tensor, "b n s d"],
    v: Float[Tensor, "b n s d"],
    bias: Shaped[Tensor, "#b n t s"] | None,
    scale: float | None = None,
) -> Float[Tensor, "b n t d"]:
    """Return softmax(q @ k * scale + bias) @ v; ``scale`` None means d ** -0.5.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        bias: Added to the scores; or truth values that say which keys a query may see; or None.
        scale: Factor on q * k.
    """
    if bias is not None and is_faster_spelled_out(q, bias):
        return spelled_out_attention(q, k, v, bias, scale=scale)
    return copy_for_export(scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale))


def is_faster_spelled_out(q: Tensor, bias: Tensor) -> bool:
    """Return whether attention with this bias is faster spelled out than by ``scaled_dot_product_attention``.

    On a CPU no fused kernel accepts a bias that requires a gradient. The fallback scales queries and keys separately and looks
    for rows without any key; ``spelled_out_attention`` saves these passes over the scores. A compiler fuses them away. Half
    precision is left to torch, which then keeps the scores in float32.
    """
    return bias.requires_grad and torch.is_grad_enabled() and _runs_as_written_on_a_cpu(q)


def spelled_out_attention(
    q: Float[Tensor, "b n t d"],
    k: Float[Tensor, "b n s d"],
    v: Float[Tensor, "b n s d"],
    bias: Float[Tensor, "#b n t s"],
    barred: Float[Tensor, "g 1 t s"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "b n t d"]:
    """Return softmax(q @ k * scale + bias) @ v, written as two products and a softmax.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        bias: Added to the scores.
        barred: Added to the scores of every g consecutive entries of the batch: -inf bars a pair. Each query must keep a key.
        scale: Factor on q * k; None means d ** -0.5.
    """
    scores = (q * (q.shape[3] ** -0.5 if scale is None else scale)) @ k.mT
    scores += bias
    if barred is not None:
        scores.unflatten(0, (-1, barred.shape[0])).add_(barred)
    return scores.softmax(-1).to(v.dtype) @ v


def copy_for_export(attended: Float[Tensor, "b n t d"]) -> Float[Tensor, "b n t d"]:
    """Return a contiguous copy while a graph is exported, and otherwise the tensor itself.

    The kernel, and with it the strides of its result, depends on whether the bias requires a gradient. An exporter's passes
    differ in that: a step that is a view in one pass is not a view in the next, and the export fails. ONNX drops the copy.
    """
    return attended.clone(memory_format=torch.contiguous_format) if torch.compiler.is_exporting() else attended


def group_attention(
    q: Float[Tensor, "g *t n d"],
    k: Float[Tensor, "g *s n d"],
    v: Float[Tensor, "g *s n d"],
    real: Bool[Tensor, "m *s"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "g *t n d"]:
    """Let each token attend to the tokens of its own group in n heads; a group is a stripe, a row, a pale or a whole map.

    Args:
        q: Queries, with any number of token axes.
        k: Keys.
        v: Values.
        real: Which keys are tokens of the map and not padding, for the m groups of one image; the g groups are those of g / m
            images. None if all keys are real.
        scale: Factor on the scores; None means d ** -0.5.
    """
    queries, keys, values = (part.flatten(1, -3).transpose(1, 2) for part in (q, k, v))
    if real is None:
        attended = attend(queries, keys, values, scale)
    else:
        mask = real.flatten(1)[:, None, None].repeat(q.shape[0] // real.shape[0], 1, 1, 1)
        attended = scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scale)
    return attended.transpose(1, 2).reshape(q.shape)


def _runs_as_written_on_a_cpu(q: Tensor) -> bool:
    """Return whether the operations run one by one on a CPU: a compiler would fuse them, half precision is left to torch."""
    return q.device.type == "cpu" and q.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()
