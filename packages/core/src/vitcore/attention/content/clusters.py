"""Clusters of similar tokens: balanced hierarchical clustering and plain k-means. No gradient passes through either."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize, pad

from vitcore.precision import full_precision


def cluster_shape(tokens: int, cluster_size: int) -> tuple[int, int]:
    """Return how many times ``tokens`` tokens are halved, and how many slots each cluster then has.

    The fewest halvings that leave at most ``cluster_size`` tokens in a cluster: 3136 tokens and 49 give 6 halvings and 49
    slots, 50 tokens and 49 give one halving and 25 slots.

    Raises:
        ValueError: ``cluster_size`` is below 2: a cluster could hold nothing but padding.
    """
    if cluster_size < 2:
        raise ValueError(f"balanced_clusters: cluster_size must be at least 2, got cluster_size={cluster_size}.")
    splits = 0
    while cluster_size << splits < tokens:
        splits += 1
    return splits, -(-tokens // 2**splits)


def balanced_clusters(
    features: Float[Tensor, "b n t d"],
    cluster_size: int,
    iterations: int = 2,
    assignment: Literal["soft", "hard"] = "soft",
    temperature: float = 0.01,
) -> Int[Tensor, "b n g s"]:
    """Halve the tokens of each image and head repeatedly, similar tokens together, until the clusters are small enough.

    One split takes the tokens in their present order (at first raster order). Two centres start as the normalised means of
    the first and the second half and are refined by ``iterations`` rounds of k-means on the cosine. The tokens are then
    sorted by (cosine to centre 0 + 1) / (cosine to centre 1 + 1), ascending, and split at the median; the order of
    equal tokens is left to torch.sort. The result also depends on the order of the tokens in the map.

    Where t is not a multiple of the number of clusters, the numbers from t upwards stand for padding. They lie at the outer
    ends of a cluster's pair, never at the split, and take no part in a centre: the sizes of two clusters, padding not counted,
    differ by one at most.

    Args:
        features: What tokens are compared by; computed in float32 or better, also under autocast.
        cluster_size: Tokens in a cluster at most; at least 2.
        iterations: Rounds of k-means in each split.
        assignment: ``soft``: a centre is the mean of all tokens, weighted by softmax(cosine / temperature) over the two
            centres. ``hard``: a centre is the mean of the tokens in its half of the sorted order.
        temperature: Temperature of the softmax; ``hard`` does not use it.

    Returns:
        Which token is in each slot of each cluster: g = 2**splits clusters of s slots (see ``cluster_shape``). Flattened over
        g and s it is a permutation of 0 .. g * s - 1. Clusters 2i and 2i + 1 are the two sides of a last split.

    Raises:
        ValueError: ``cluster_size`` is below 2.

    Source: Yu et al., BOAT: Bilateral Local Attention Vision Transformer, BMVC 2022, section 3.2; ``soft`` follows the public
    code, ``hard`` the paper, whose ratio of bare cosines may change sign: here both are shifted by 1, as in the public code.
    """
    b, n, t, _ = features.shape
    splits, size = cluster_shape(t, cluster_size)
    slots = size * 2**splits
    order = torch.arange(slots, device=features.device).expand(b * n, slots)
    if splits == 0:
        return order.view(b, n, 1, size)
    with full_precision(features):  # in half precision many cosines are equal, and their order would be arbitrary
        tokens = features.detach().flatten(0, 1)
        tokens = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        tokens = pad(tokens, (0, 0, 0, slots - t)) if slots > t else tokens
        scale = torch.linalg.vector_norm(tokens, dim=-1).clamp_min(1e-12).reciprocal()
        for split in range(splits):
            # A node of the tree is a row: (b * n * 2**split, slots of a node).
            order = order.reshape(-1, slots // 2**split)
            ends = _padding_ends(order, t, split) if slots > t else None
            key = _split_key(tokens, scale, order, ends, iterations, assignment, temperature)
            # stable=True has no ONNX form; it would matter for equal keys only.
            order = order.flatten().index_select(0, _row_numbers(key.sort(dim=-1).indices, order.shape[1]))
    return order.view(b, n, -1, size)


def kmeans_clusters(features: Float[Tensor, "b n t d"], clusters: int, iterations: int = 10) -> Int[Tensor, "b n t"]:
    """Sort the tokens of each image and head into clusters of any size by k-means on the cosine.

    Centres start as the normalised means of ``clusters`` equal stretches of the raster order; a centre that loses all its
    tokens stays where it is. The number of rounds is fixed, so that the graph is the same for every image.

    Args:
        features: What tokens are compared by; computed in float32 or better, also under autocast.
        clusters: Number of clusters, at most t.
        iterations: Rounds of assigning tokens and moving centres, after which tokens are assigned for the last time.

    Returns:
        The cluster of each token, 0 .. clusters - 1.

    Source: Lloyd, Least Squares Quantization in PCM, IEEE Transactions on Information Theory 1982, on unit vectors.
    """
    b, n, t, _ = features.shape
    numbers = torch.arange(clusters, device=features.device).unsqueeze(1)
    label = (torch.arange(t, device=features.device) * clusters // t).expand(b * n, t)
    with full_precision(features):  # in half precision many cosines are equal, and their order would be arbitrary
        tokens = features.detach().flatten(0, 1)
        tokens = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        centres = normalize((label.unsqueeze(1) == numbers).to(tokens.dtype) @ tokens, dim=-1)
        for _ in range(iterations):
            nearest = (centres @ tokens.mT).max(1, keepdim=True).indices  # on a CPU argmax takes ten times as long
            member = (nearest == numbers).to(tokens.dtype)
            moved = normalize(member @ tokens, dim=-1)
            centres = torch.where(member.sum(-1, keepdim=True) > 0, moved, centres)
        return (centres @ tokens.mT).max(1).indices.view(b, n, t)


def inverse_permutation(order: Int[Tensor, "*b t"]) -> Int[Tensor, "*b t"]:
    """Return the place of each number in ``order``: ``order.gather(-1, inverse)`` counts 0, 1, 2, ..."""
    places = torch.arange(order.shape[-1], device=order.device).expand(order.shape)
    return torch.zeros_like(order).scatter(-1, order, places)


def _split_key(
    tokens: Float[Tensor, "i t d"],
    scale: Float[Tensor, "i t"],
    order: Int[Tensor, "r m"],
    ends: Int[Tensor, "r m"] | None,
    iterations: int,
    assignment: Literal["soft", "hard"],
    temperature: float,
) -> Int[Tensor, "r m"]:
    """Return what the tokens of each row of ``order`` are sorted by: small for those near centre 1.

    Tokens keep their length, which is their weight in a mean; ``scale``, its reciprocal, turns products into cosines.
    """
    # Sorted here from the map and dropped at the end, so that two copies never exist at the same time.
    if order.shape[1] < tokens.shape[1]:
        places = _row_numbers(order.view(tokens.shape[0], -1), tokens.shape[1])
        tokens = tokens.flatten(0, 1).index_select(0, places).view(*order.shape, -1)
        scale = scale.flatten().index_select(0, places)
    scale = scale.view(-1, 1, order.shape[1])
    centres = normalize(tokens.unflatten(1, (2, -1)).sum(2), dim=-1)
    for _ in range(iterations):
        if assignment == "soft":
            # The softmax of two numbers needs only their difference: one product with the tokens instead of two.
            lead = (centres[:, :1] - centres[:, 1:]) / temperature @ tokens.mT * scale
            weight = torch.cat((lead, -lead), 1).sigmoid()
        else:
            weight = _halves(_ratio_key(centres @ tokens.mT * scale, ends)).to(tokens.dtype)
        centres = normalize(weight @ tokens, dim=-1)
    return _ratio_key(centres @ tokens.mT * scale, ends)


def _ratio_key(cosine: Float[Tensor, "r 2 m"], ends: Int[Tensor, "r m"] | None) -> Int[Tensor, "r m"]:
    """Return whole numbers in the order of (cosine to centre 0 + 1) / (cosine to centre 1 + 1) = x / y.

    x / (x + y) has the same order and lies in 0 .. 1. Whole numbers are sorted in two thirds of the time of floating-point
    ones, whose comparison must check for NaN; the factor keeps their digits.
    """
    x, y = (cosine + 1).unbind(1)
    share = x / (x + y).clamp_min(torch.finfo(cosine.dtype).eps)
    key = (share * 2**30).int() if cosine.dtype == torch.float32 else (share * 2**53).long()
    return key if ends is None else torch.where(ends == 0, key, ends.to(key.dtype) * torch.iinfo(key.dtype).max)


def _halves(key: Int[Tensor, "r m"]) -> Int[Tensor, "r 2 m"]:
    """Return 1 for the members of each centre's half: the small keys are centre 1's."""
    second = (inverse_permutation(key.sort(dim=-1).indices) < key.shape[-1] // 2).long()
    return torch.stack((1 - second, second), 1)


def _padding_ends(order: Int[Tensor, "r m"], t: int, split: int) -> Int[Tensor, "r m"]:
    """Return 0 for tokens, and for padding the end that it is sorted to in this split: -1 the first, 1 the last.

    It is one binary digit of the padding's number. Padding numbers differ by less than 2**splits, so that no two of them go
    the same way to the same cluster.
    """
    return torch.where(order < t, 0, 1 - (order - t) // 2**split % 2 * 2)


def _row_numbers(within: Int[Tensor, "r m"], length: int) -> Int[Tensor, " rm"]:
    """Turn places within rows of ``length`` into places in the rows laid end to end."""
    return (within + torch.arange(within.shape[0], device=within.device).unsqueeze(1) * length).flatten()
