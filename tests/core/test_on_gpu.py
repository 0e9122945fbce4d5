"""Every op forward and backward on a GPU, in float32 and bfloat16, against float64 on the CPU.

``--gpu_on_cpu`` runs the same on a CPU.
"""

import copy

import pytest
import torch
from torch import nn

from tests.core.checks import random_grid, randomise
from tests.core.test_every_op import every_class

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CHOOSING = ("cluster", "kmeans", "deformable")
"""Parts of the names of ops that choose tokens or places: rounding makes another choice now and then."""


def passes(op: nn.Module, grid: torch.Tensor) -> list[torch.Tensor]:
    """The output and all gradients of an op."""
    grid = grid.detach().requires_grad_()
    output = op(grid)
    wanted = [grid, *op.parameters()]
    return [output, *torch.autograd.grad(output.float().square().sum(), wanted, allow_unused=True)]


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Norm of the difference, as a part of the norm."""
    return float((one.double().cpu() - other.double()).norm() / other.double().norm().clamp(min=1e-6))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.08)], ids=["float32", "bfloat16"]
)
@every_class
def test_an_op_computes_on_a_gpu_what_it_computes_on_a_cpu(case, dtype, tolerance):
    exact = randomise(case.make(case.width))
    grid = random_grid(8, 8, case.width).detach()
    # Both begin with the same numbers, those that the narrow type can hold.
    for tensor in [*exact.parameters(), *(b for b in exact.buffers() if b.is_floating_point())]:
        tensor.data = tensor.data.to(dtype).double()
    grid = grid.to(dtype).double()
    there = copy.deepcopy(exact).to(DEVICE, dtype)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found = passes(there, grid.to(DEVICE, dtype))
    for mine, expected in zip(found, passes(exact, grid), strict=True):
        if expected is None:
            assert mine is None
        elif dtype == torch.bfloat16 and any(part in case.name for part in CHOOSING):
            assert mine.isfinite().all()
        else:
            assert distance(mine, expected) < tolerance
