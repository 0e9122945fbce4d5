"""Products with shifted views: the arithmetic of slide attention, on maps laid out so that a shift is an offset in memory."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

CACHED = 2**19
"""Elements of a map that each CPU thread works on at a time: few enough for its core's cache, and enough that threads seldom
wait for each other."""


def flatten_queries(grid: Float[Tensor, "b h w n d"], kernel_size: int) -> Float[Tensor, "bn d t"]:
    """Lay each channel of each head out as flat rows of w + kernel_size // 2 entries, the last ones zero."""
    return pad(grid.permute(0, 3, 4, 1, 2), (0, kernel_size // 2)).flatten(3).flatten(0, 1)


def flatten_keys(grid: Float[Tensor, "b h w n d"], kernel_size: int) -> Float[Tensor, "bn d s"]:
    """Lay keys out as ``flatten_queries`` does, with kernel_size // 2 + 1 rows of zeros above and below.

    The zeros at the end of a row also lie to the left of the next one: padding on one side is enough.
    """
    reach = kernel_size // 2
    return pad(grid.permute(0, 3, 4, 1, 2), (0, reach, reach + 1, reach + 1)).flatten(3).flatten(0, 1)


def unflatten_queries(flat: Float[Tensor, "bn d t"], h: int, w: int, heads: int) -> Float[Tensor, "b h w n d"]:
    """Crop the flat rows to the map, as a view: the inverse of ``flatten_queries``."""
    return flat.unflatten(2, (h, -1))[..., :w].unflatten(0, (-1, heads)).permute(0, 3, 4, 1, 2)


def shift_starts(kernel_size: int, w: int) -> tuple[int, ...]:
    """Return, for each tap of the kernel in raster order, the offset at which its view of the flat keys begins."""
    reach = kernel_size // 2
    return tuple(
        row * (w + reach) + column - reach for row in range(1, kernel_size + 1) for column in range(kernel_size)
    )


def shifted_scores(
    q: Float[Tensor, "m d t"],
    k: Float[Tensor, "m d s"],
    starts: tuple[int, ...],
    kernel: Float[Tensor, "o d o"] | None = None,
) -> Float[Tensor, "m o t"]:
    """Return the scores of o keys, each a sum of shifted views of ``k`` weighted by channel, without making the keys.

    The score of key o is the sum over taps p and channels of kernel[p, :, o] * q * (view p of ``k``): for each tap a product of
    the size of the map and a small matrix product. Without a kernel, key o is view o.
    """
    return _Scores.apply(q, k, starts, kernel)


def shifted_mixture(
    weights: Float[Tensor, "m o t"],
    v: Float[Tensor, "m d s"],
    starts: tuple[int, ...],
    kernel: Float[Tensor, "o d o"] | None = None,
) -> Float[Tensor, "m d t"]:
    """Return the weighted sum of o values, each a sum of shifted views of ``v`` weighted by channel, without making them."""
    return _Mixture.apply(weights, v, starts, kernel)


# Both are partial derivatives of one form, the sum over p, o and channels of a * (view p of b) * kernel[p] * c: the scores are
# the derivative in c for a = q, b = k, the mixture that in a for b = v, c = weights. Autograd would keep a map for each tap.
class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, starts: tuple[int, ...], kernel: Tensor | None) -> Tensor:
        ctx.save_for_backward(q, k, kernel)
        ctx.starts = starts
        scores = q.new_zeros(q.shape[0], len(starts), q.shape[2])
        for part in _chunks(q):
            work = _workspace(q[part])
            for tap, view in enumerate(_views(starts, part, q)):
                _add_over_channels(scores[part], torch.mul(q[part], k[view], out=work), tap, kernel)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dscores: Tensor) -> tuple[Tensor | None, ...]:
        q, k, kernel = ctx.saved_tensors
        dq = torch.zeros_like(q)
        dk, dkernel = _derivatives(q, k, dscores, ctx.starts, kernel, da=dq)
        return dq, dk, None, dkernel


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, v: Tensor, starts: tuple[int, ...], kernel: Tensor | None) -> Tensor:
        ctx.save_for_backward(weights, v, kernel)
        ctx.starts = starts
        mixture = v.new_zeros(*v.shape[:2], weights.shape[2])
        for part in _chunks(mixture):
            work = _workspace(mixture[part])
            for tap, view in enumerate(_views(starts, part, mixture)):
                mixture[part].addcmul_(_spread_over_channels(weights[part], tap, kernel, work), v[view])
        return mixture

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dmixture: Tensor) -> tuple[Tensor | None, ...]:
        weights, v, kernel = ctx.saved_tensors
        dweights = torch.zeros_like(weights)
        dv, dkernel = _derivatives(dmixture, v, weights, ctx.starts, kernel, dc=dweights)
        return dweights, dv, None, dkernel


def _derivatives(
    a: Tensor,
    b: Tensor,
    c: Tensor,
    starts: tuple[int, ...],
    kernel: Tensor | None,
    da: Tensor | None = None,
    dc: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return the derivatives of the form in b and the kernel; add those in a and c to ``da`` and ``dc`` where given."""
    db, dkernel = torch.zeros_like(b), None if kernel is None else torch.zeros_like(kernel)
    for part in _chunks(a):
        work = _workspace(a[part])
        for tap, view in enumerate(_views(starts, part, a)):
            share = _spread_over_channels(c[part], tap, kernel, work)
            db[view].addcmul_(share, a[part])
            if da is not None:
                da[part].addcmul_(share, b[view])
            if dc is not None or dkernel is not None:
                product = torch.mul(a[part], b[view], out=work)
            if dc is not None:
                _add_over_channels(dc[part], product, tap, kernel)
            if dkernel is not None:
                dkernel[tap] += torch.bmm(product, c[part].mT).sum(0)
    return db, dkernel


def _add_over_channels(scores: Tensor, product: Tensor, tap: int, kernel: Tensor | None) -> None:
    if kernel is None:
        scores[:, tap] += product.sum(1)
        return
    weight = kernel[tap].mT.expand(product.shape[0], -1, -1)
    if torch.compiler.is_compiling():
        scores += torch.bmm(weight, product)
    else:
        torch.baddbmm(scores, weight, product, out=scores)


def _spread_over_channels(weights: Tensor, tap: int, kernel: Tensor | None, work: Tensor | None) -> Tensor:
    if kernel is None:
        return weights[:, tap, None]
    return torch.bmm(kernel[tap].expand(weights.shape[0], -1, -1), weights, out=work)


def _workspace(chunk: Tensor) -> Tensor | None:
    """Return memory that the product with each tap reuses; None under a compiler, whose exported graph may be differentiated."""
    return None if torch.compiler.is_compiling() else torch.empty_like(chunk)


def _chunks(flat: Tensor) -> list[slice]:
    if flat.device.type != "cpu" or torch.compiler.is_compiling():
        return [slice(None)]
    maps = max(1, CACHED * torch.get_num_threads() // (flat.shape[1] * flat.shape[2]))
    return [slice(first, first + maps) for first in range(0, flat.shape[0], maps)]


def _views(starts: tuple[int, ...], part: slice, flat: Tensor) -> list[tuple[slice, slice, slice]]:
    """Return the slices that cut each tap's view from the flat keys of a chunk, for queries shaped like ``flat``."""
    return [(part, slice(None), slice(start, start + flat.shape[2])) for start in starts]
