"""Measure which tokens a query sees: the gradient of an op's output at the query with respect to every token, in float64.

The maps are random and contain objects, so that ops that look for similar tokens find some.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SEEN = 1e-13
"""A token is seen if its gradient exceeds this share of the largest gradient; smaller ones are rounding errors."""

SEED, IMAGES, DIRECTIONS = 20, 8, 2
"""The seed, the number of random maps, and for each map the number of random directions in which the output's change is measured.
The first map is the one that is drawn where the tokens depend on the content; with this seed it holds two objects of the default
query's kind."""

SIZE, BIAS = 0.12, 0.02
"""Size of the tokens and of the random biases: small, so that attention is nearly even and the picture shows the mechanism and
not random scores."""

KINDS, OBJECTS, NOISE = 4, 8, 0.4
"""Kinds of objects in a scene, number of objects, and how much the tokens of a kind differ relative to what they share."""


@dataclass(frozen=True)
class Sight:
    """The tokens that an op's output at a query depends on.

    Args:
        query: Row and column.
        strengths: (images, h, w), for each random map the size of each token's gradient relative to the map's largest;
            0 where the token is not seen.
        objects: (h, w), the kind of object at each token of the first map.
    """

    query: tuple[int, int]
    strengths: NDArray[np.float64]
    objects: NDArray[np.int64]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(h, w): the tokens that are seen in at least one map."""
        return np.asarray((self.strengths > 0).any(0))

    @property
    def depends_on_content(self) -> bool:
        """Whether different tokens are seen in different maps: clusters and deformed points move, windows do not."""
        seen = self.strengths > 0
        return bool((seen != seen[0]).any())

    @property
    def strength(self) -> NDArray[np.float64]:
        """(h, w): the strengths of the first map if the tokens depend on the content, else the root mean square over the maps."""
        if self.depends_on_content:
            return np.asarray(self.strengths[0])
        mean = np.sqrt(np.square(self.strengths).mean(0))
        return np.asarray(mean / (mean.max() or 1.0))

    @property
    def elsewhere(self) -> NDArray[np.bool_]:
        """(h, w): the tokens that are not seen in the first map but in another."""
        return np.asarray(self.seen & (self.strengths[0] == 0))


def measure(op: nn.Module, h: int, w: int, channels: int, query: tuple[int, int]) -> Sight:
    """Measure what ``op`` sees at ``query`` in random maps; its weights are overwritten with random ones.

    Raises:
        ValueError: The op does not return a map of h x w tokens.
    """
    draw_weights(op.double().eval(), torch.Generator().manual_seed(0))
    # The maps have their own generator, so that every op is shown the same ones.
    generator = torch.Generator().manual_seed(SEED)
    strengths, objects = [], []
    for _ in range(IMAGES):
        grid, kinds = random_scene(h, w, channels, generator)
        strengths.append(_strength(op, grid.mul_(SIZE).requires_grad_(), query, generator))
        objects.append(kinds)
    return Sight(query, torch.stack(strengths).numpy(), objects[0].numpy())


def random_scene(h: int, w: int, channels: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut a map into objects at random and give each kind of object a random vector, plus noise for every token.

    Args:
        h: Rows.
        w: Columns.
        channels: Channels of a token.
        generator: Source of the random numbers.

    Returns:
        grid (1, h, w, channels) in float64, and the kind of object at each token (h, w). An object is the area
        nearest to one of a few random points; each kind has two objects, so that similar tokens lie in two places.
    """
    points = torch.rand(OBJECTS, 2, generator=generator) * torch.tensor([h, w])
    places = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"), dim=-1) + 0.5
    nearest = (places[:, :, None] - points).square().sum(-1).argmin(-1)
    kinds = nearest % KINDS
    shared = torch.randn(KINDS, channels, generator=generator, dtype=torch.float64)
    noise = torch.randn(h, w, channels, generator=generator, dtype=torch.float64)
    return (shared[kinds] + NOISE * noise).unsqueeze(0), kinds


def draw_weights(op: nn.Module, generator: torch.Generator) -> None:
    """Give every parameter a generic value, so that nothing is hidden by an initial zero; scales of norms lie around 1."""
    for name, parameter in op.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        if not name.endswith("weight"):
            parameter.data = BIAS * noise
        elif parameter.ndim == 1:
            parameter.data = 1 + 0.1 * noise
        else:
            parameter.data = noise / math.sqrt(parameter[0].numel())


def _strength(op: nn.Module, grid: Tensor, query: tuple[int, int], generator: torch.Generator) -> Tensor:
    output = op(grid)
    h, w = grid.shape[1:3]
    if not isinstance(output, Tensor) or output.ndim != 4 or output.shape[1:3] != (h, w):
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"{type(op).__name__} returns {shape} for a map {tuple(grid.shape)}; expected (1, {h}, {w}, ...)."
        )
    squares = torch.zeros(h, w, dtype=torch.float64)
    for _ in range(DIRECTIONS if output.requires_grad else 0):
        direction = torch.randn(output.shape[-1], generator=generator, dtype=torch.float64)
        change = output[0, query[0], query[1]] @ direction
        (gradient,) = torch.autograd.grad(change, grid, retain_graph=True, allow_unused=True)
        if gradient is not None:
            squares += gradient[0].square().sum(-1)
    strength = squares.sqrt()
    relative = strength / strength.max().clamp_min(torch.finfo(torch.float64).tiny)
    return relative * (relative > SEEN)
