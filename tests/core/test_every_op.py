"""Properties that every op has. The list of ops is in cases.py."""

import inspect
import io

import jaxtyping
import pytest
import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import vitcore
from tests.core.cases import CASES
from tests.core.checks import random_grid, randomise

every_op = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


COMPILED_BY_DEFAULT = ("locality", "pale", "window", "cluster", "slide")
"""Convolutions, and attention of four kinds: by stripes, windows, content and neighbourhoods."""


def one_of_each_class(cases):
    """Leave the other classes to the slow tests, and all arguments of a class but the first ones to the exhaustive tests."""
    seen = set()
    for case in cases:
        made = getattr(case.make, "func", case.make)
        marks = pytest.mark.exhaustive if made in seen else pytest.mark.slow
        yield pytest.param(case, id=case.name, marks=[] if case.name in COMPILED_BY_DEFAULT else [marks])
        seen.add(made)


every_class = pytest.mark.parametrize("case", list(one_of_each_class(CASES)))


def run(op, case, grid):
    return op(grid)


@every_op
def test_the_shape_stays_at_any_height_and_width(case):
    op = randomise(case.make(case.width))
    for h, w in case.sizes:
        y = op(random_grid(h, w, case.width))
        assert y.shape == (2, h, w, case.width)
        assert y.isfinite().all()


@every_op
def test_one_image_does_not_depend_on_the_others_of_its_batch(case):
    op = randomise(case.make(case.width))
    for h, w in case.sizes:
        grid = random_grid(h, w, case.width, b=3)
        torch.testing.assert_close(op(grid)[1:2], op(grid[1:2]), rtol=1e-10, atol=1e-10)


@every_op
def test_every_parameter_and_the_grid_receive_a_gradient(case):
    op = randomise(case.make(case.width))
    h, w = case.sizes[0]
    grid = random_grid(h, w, case.width)
    if not list(op.parameters()):
        return
    op(grid).square().sum().backward()
    assert grid.grad.abs().sum() > 0
    assert not [name for name, p in op.named_parameters() if p.grad is None]


@every_op
def test_the_stated_cost_is_what_torch_counts(case):
    op = case.make(case.width).eval()
    for h, w in case.sizes:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            op(torch.zeros(1, h, w, case.width))
        assert op.macs(h, w) == counter.get_total_flops() / 2


@every_op
def test_the_stated_cost_with_prefix_tokens_is_what_torch_counts(case):
    if not case.prefix:
        return
    op = case.make(case.width).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        op.forward_prefixed(torch.zeros(1, 4, 6, case.width), torch.zeros(1, case.prefix, case.width))
    assert op.macs(4, 6, prefix=case.prefix) == counter.get_total_flops() / 2


@every_op
def test_prefix_tokens_have_a_rule_or_are_refused_in_a_sentence(case):
    op = randomise(case.make(case.width))
    grid, prefix = random_grid(4, 6, case.width), random_grid(1, case.prefix or 1, case.width).squeeze(1)
    if not case.prefix and type(op).forward_prefixed is vitcore.FeatureOp.forward_prefixed:
        with pytest.raises(TypeError, match=f"{type(op).__name__} has no rule for prefix tokens"):
            op.forward_prefixed(grid, prefix)
        return
    new_grid, new_prefix = op.forward_prefixed(grid, prefix)
    assert new_grid.shape == grid.shape
    assert new_prefix is None or new_prefix.shape == prefix.shape


@every_op
def test_the_state_dict_round_trips_through_a_file(case):
    op, other = randomise(case.make(case.width)), case.make(case.width).double().eval()
    file = io.BytesIO()
    torch.save(op.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    grid = random_grid(*case.sizes[0], case.width)
    assert torch.equal(op(grid), other(grid))


@every_op
def test_a_checkpointed_op_has_the_same_gradients(case):
    op = randomise(case.make(case.width))
    if not list(op.parameters()):
        return
    grid = random_grid(*case.sizes[0], case.width)
    plain = torch.autograd.grad(op(grid).square().sum(), [grid, *op.parameters()])
    again = torch.autograd.grad(checkpoint(op, grid, use_reentrant=False).square().sum(), [grid, *op.parameters()])
    for a, b in zip(plain, again, strict=True):
        assert torch.equal(a, b)


@every_op
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_near_float32(case, dtype):
    op = randomise(case.make(case.width)).float()
    grid = random_grid(*case.sizes[0], case.width).detach().float()
    with torch.autocast("cpu", dtype=dtype):
        low = op(grid).float()
    high = op(grid)
    assert low.isfinite().all()
    assert (low - high).abs().max() <= 0.1 * high.abs().max() + 1e-6


@every_op
def test_a_channels_last_image_gives_what_a_contiguous_grid_gives(case):
    op = randomise(case.make(case.width))
    h, w = case.sizes[0]
    grid = random_grid(h, w, case.width).detach()
    strided = grid.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    torch.testing.assert_close(op(strided), op(grid), rtol=1e-10, atol=1e-10)


@every_class
def test_it_compiles_to_one_graph(case):
    if "compile" not in case.exports:
        return
    op = randomise(case.make(case.width))
    grid = random_grid(*case.sizes[0], case.width)
    torch.compiler.reset()
    torch.testing.assert_close(
        torch.compile(op, fullgraph=True, backend="aot_eager")(grid), op(grid), rtol=1e-9, atol=1e-9
    )


@every_class
def test_it_exports_with_a_dynamic_batch(case):
    if "export" not in case.exports:
        return
    op = randomise(case.make(case.width))
    h, w = case.sizes[0]
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(op, (random_grid(h, w, case.width, b=2).detach(),), dynamic_shapes=({0: batch},))
    grid = random_grid(h, w, case.width, b=5).detach()
    torch.testing.assert_close(program.module()(grid), op(grid), rtol=1e-9, atol=1e-9)


def test_every_op_of_the_package_is_checked():
    ops = {
        cls
        for cls in vars(vitcore).values()
        if inspect.isclass(cls) and issubclass(cls, vitcore.FeatureOp) and cls is not vitcore.FeatureOp
    }
    assert ops - {type(case.make(case.width)) for case in CASES} <= {vitcore.AbsolutePosition}


def test_all_names_every_public_name():
    public = {name for name, value in vars(vitcore).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert set(vitcore.__all__) == public
    assert jaxtyping is not None
