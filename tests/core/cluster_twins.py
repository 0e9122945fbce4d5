"""Clusterings of one image and head, written over lists of tokens. Nothing here comes from vitcore."""

import math

import torch


def unit(vector):
    return vector / max(math.sqrt(sum(float(x) ** 2 for x in vector)), 1e-12)


def clusters_by_recursion(points, slots, levels, t, level=0, rounds=2, assignment="soft"):
    """The paper's tree for one image and head, token by token; ``points`` (t, d), ``slots`` numbers of tokens in order.

    Numbers from t upwards are padding: zeros to every mean, sorted by their binary digits.
    """
    if level == levels:
        return [slots]
    half = len(slots) // 2

    def point(i):
        return points[i] if i < t else torch.zeros_like(points[0])

    def ratio(i, centres):
        if i >= t:
            return -math.inf if (i - t) >> level & 1 else math.inf
        near = [float(unit(point(i)) @ c) for c in centres]
        return (near[0] + 1) / (near[1] + 1)

    def mean(members, weights):
        return unit(sum(w * point(i) for i, w in zip(members, weights, strict=True)))

    centres = [mean(slots[:half], [1.0] * half), mean(slots[half:], [1.0] * half)]
    for _ in range(rounds):
        if assignment == "soft":
            near = [[math.exp(100 * float(unit(point(i)) @ c)) for c in centres] for i in slots]
            centres = [mean(slots, [row[side] / sum(row) for row in near]) for side in (0, 1)]
        else:
            ranked = sorted(slots, key=lambda i: ratio(i, centres))
            centres = [mean(ranked[half:], [1.0] * half), mean(ranked[:half], [1.0] * half)]
    ranked = sorted(slots, key=lambda i: ratio(i, centres))
    parts = (ranked[:half], ranked[half:])
    return [leaf for p in parts for leaf in clusters_by_recursion(points, p, levels, t, level + 1, rounds, assignment)]


def kmeans_by_loops(points, k, rounds):
    t = len(points)
    centres = [unit(sum(points[i] for i in range(t) if i * k // t == c)) for c in range(k)]

    def nearest(i):
        near = [float(points[i] @ c) for c in centres]
        return near.index(max(near))

    for _ in range(rounds):
        label = [nearest(i) for i in range(t)]
        members = [[points[i] for i in range(t) if label[i] == c] for c in range(k)]
        centres = [unit(sum(m)) if m else old for m, old in zip(members, centres, strict=True)]
    return [nearest(i) for i in range(t)]
