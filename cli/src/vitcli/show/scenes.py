"""Random maps of tokens that hold objects, so that ops which look for what is alike have something to find."""

import torch
from torch import Tensor

KINDS, OBJECTS, NOISE = 4, 8, 0.4
"""Kinds of objects in a scene, objects, and how much tokens of a kind differ from each other relative to what they share."""


def random_scene(h: int, w: int, channels: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut a map into objects at random and give each kind of object a random vector, plus noise for every token.

    Args:
        h: Rows.
        w: Columns.
        channels: Channels of a token.
        generator: Source of the random numbers.

    Returns:
        grid (1, h, w, channels) in float64, and the kind of object at each token (h, w). An object is what lies nearest to
        one of a few random points; each kind has two, so that like tokens are found in two places.
    """
    points = torch.rand(OBJECTS, 2, generator=generator) * torch.tensor([h, w])
    places = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"), dim=-1) + 0.5
    nearest = (places[:, :, None] - points).square().sum(-1).argmin(-1)
    kinds = nearest % KINDS
    shared = torch.randn(KINDS, channels, generator=generator, dtype=torch.float64)
    noise = torch.randn(h, w, channels, generator=generator, dtype=torch.float64)
    return (shared[kinds] + NOISE * noise).unsqueeze(0), kinds
