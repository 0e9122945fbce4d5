"""Every op compiles to one graph with inductor, forward and backward, and computes what it computes uncompiled."""

import pytest
import torch

from tests.core.cases import CASES
from tests.core.checks import random_grid, randomise
from tests.core.test_every_embedding import CASES as EMBEDDINGS

pytestmark = pytest.mark.slow

TYPICAL = ("locality_se", "window", "pale", "slide", "cluster", "spatial_reduction_3")
"""A gated convolution, a learned bias, groups that are padded and masked, shifted views, sorting, and a shorter list of keys."""

COMPILED = [
    pytest.param(case, id=case.name, marks=() if case.name in TYPICAL else pytest.mark.exhaustive)
    for case in CASES
    if "compile" in case.exports
]


def assert_compiled_agrees(module, inputs):
    """Values and gradients, in float32, to 1e-4 of the largest entry of each tensor.

    A gradient that is zero but for rounding (of a key's bias under the softmax, of a bias in front of a BatchNorm) is held to
    1e-6 of the largest entry of all.
    """
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True)
    leaves = [*inputs, *(p for p in module.parameters() if p.requires_grad)]
    ours, theirs = (values_and_gradients(function, inputs, leaves) for function in (compiled, module))
    floor = 1e-6 * max(b.abs().max().item() for b in theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * b.abs().max().item() + floor)


def values_and_gradients(function, inputs, leaves):
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weighted = [(y * torch.linspace(1, 2, y.shape[-1])).sum() for y in outputs]
    if not any(loss.requires_grad for loss in weighted):
        return outputs
    gradients = torch.autograd.grad(sum(weighted), leaves, allow_unused=True, materialize_grads=True)
    return [*(y.detach() for y in outputs), *gradients]


@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_op_has_the_values_and_gradients_of_the_op(case):
    op = randomise(case.make(case.width)).float()
    assert_compiled_agrees(op, [random_grid(*case.sizes[0], case.width).detach().float().requires_grad_()])


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", EMBEDDINGS, ids=lambda case: case.name)
def test_a_compiled_embedding_has_the_values_and_gradients_of_the_embedding(case):
    module = randomise(case.make()).float()
    assert_compiled_agrees(module, [x.detach().float().requires_grad_() for x in case.inputs()])
