"""Checks that tests of ops share: compare an op with its twin, measure the tokens that a query sees, fill weights."""

import torch


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every parameter and floating buffer a generic value, so that nothing is hidden by zeros or ones; float64, eval."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.data = 1 + 0.1 * noise.abs() if name.endswith("running_var") else 0.3 * noise
    return module


def random_grid(h: int, w: int, width: int, b: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randn(
        b, h, w, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    ).requires_grad_()


def assert_same_function(op, twin, *inputs: torch.Tensor, tolerance: float = 1e-9) -> None:
    """Assert that ``op`` and ``twin`` agree in values and in the gradients of inputs and of the op's parameters.

    ``twin`` must read the op's own parameters, so that one backward pass through each fills comparable gradients.
    """
    wanted = [x for x in inputs if x.requires_grad]
    parameters = list(op.parameters()) if isinstance(op, torch.nn.Module) else []
    ours, theirs = op(*inputs), twin(*inputs)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    weight = torch.randn(ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(7))
    ours = torch.autograd.grad((ours * weight).sum(), [*wanted, *parameters], allow_unused=True)
    theirs = torch.autograd.grad((theirs * weight).sum(), [*wanted, *parameters], allow_unused=True)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


def seen_tokens(op, h: int, w: int, width: int, query: tuple[int, int]) -> set[tuple[int, int]]:
    """Return the tokens (row, column) whose change moves the op's output at ``query``: measured by gradient in float64."""
    grid = random_grid(h, w, width, b=1)
    (gradient,) = torch.autograd.grad(op(grid)[0, query[0], query[1]].square().sum(), grid)
    strength = gradient[0].abs().amax(-1)
    return {(int(i), int(j)) for i, j in (strength > 1e-13 * strength.max()).nonzero()}


def all_tokens(h: int, w: int) -> set[tuple[int, int]]:
    return {(i, j) for i in range(h) for j in range(w)}
