"""Properties of every module that changes the shape of a map: stems, mergings and the layers of T2T and TNT."""

import functools
import inspect
import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import vitcore
from tests.core.checks import randomise
from vitcore import (
    ConvStem,
    NestedTransformer,
    OverlapPatchEmbedding,
    OverlapPatchMerging,
    PatchEmbedding,
    PatchMerging,
    PerformerAttention,
    PixelEmbedding,
    SeparateAttention,
    SoftSplit,
    TokenAttention,
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One module: ``inputs`` -> ``outputs``, shapes without the batch; the first pair of ``shapes`` is the ordinary size."""

    name: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[tuple[Shape, ...], tuple[Shape, ...]], ...]
    exact_costs: int = 3

    def inputs(self, which: int = 0, b: int = 2) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        shapes = self.shapes[which][0]
        return [torch.randn(b, *s, dtype=torch.float64, generator=generator).requires_grad_() for s in shapes]


def one(name: str, make: Callable[[], nn.Module], *shapes: tuple[Shape, Shape], exact_costs: int = 3) -> Case:
    return Case(name, make, tuple(((source,), (target,)) for source, target in shapes), exact_costs)


def nested(h: int, w: int) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    return (((h, w, 4, 4), (h, w, 8)),) * 2


CASES = [
    one(
        "patch_embedding",
        lambda: PatchEmbedding(3, 16, patch_size=4),
        ((3, 8, 12), (2, 3, 16)),
        ((3, 9, 15), (2, 3, 16)),
        ((3, 4, 4), (1, 1, 16)),
    ),
    one(
        "overlap_embedding",
        lambda: OverlapPatchEmbedding(3, 16),
        ((3, 8, 12), (2, 3, 16)),
        ((3, 9, 15), (3, 4, 16)),
        ((3, 1, 1), (1, 1, 16)),
    ),
    one(
        "overlap_embedding_less_padding",
        lambda: OverlapPatchEmbedding(3, 16, padding=2),
        ((3, 8, 12), (2, 3, 16)),
        ((3, 9, 15), (2, 4, 16)),
        ((3, 3, 3), (1, 1, 16)),
    ),
    one(
        "overlap_merging",
        lambda: OverlapPatchMerging(8, 16),
        ((8, 6, 8), (4, 3, 16)),
        ((9, 7, 8), (5, 4, 16)),
        ((1, 1, 8), (1, 1, 16)),
    ),
    one(
        "disjoint_merging_without_norm",
        lambda: OverlapPatchMerging(8, 16, kernel_size=2, padding=0, norm=nn.Identity),
        ((8, 6, 8), (4, 3, 16)),
        ((9, 7, 8), (4, 3, 16)),
        ((2, 2, 8), (1, 1, 16)),
    ),
    one(
        "patch_merging",
        lambda: PatchMerging(8, 16),
        ((8, 6, 8), (4, 3, 16)),
        ((9, 7, 8), (5, 4, 16)),
        ((1, 1, 8), (1, 1, 16)),
    ),
    one(
        "conv_stem",
        lambda: ConvStem(3, 16),
        ((3, 8, 12), (2, 3, 16)),
        ((3, 9, 15), (3, 4, 16)),
        ((3, 1, 1), (1, 1, 16)),
        exact_costs=1,
    ),
    one(
        "soft_split",
        lambda: SoftSplit(4),
        ((8, 6, 4), (4, 3, 36)),
        ((9, 7, 4), (5, 4, 36)),
        ((1, 1, 4), (1, 1, 36)),
    ),
    one(
        "soft_split_disjoint",
        lambda: SoftSplit(4, kernel_size=2, stride=2, padding=0),
        ((8, 6, 4), (4, 3, 16)),
        ((9, 7, 4), (4, 3, 16)),
        ((2, 2, 4), (1, 1, 16)),
    ),
    one(
        "performer",
        lambda: PerformerAttention(12, 16),
        ((7, 5, 12), (7, 5, 16)),
        ((4, 4, 12), (4, 4, 16)),
        ((1, 1, 12), (1, 1, 16)),
    ),
    one(
        "token_attention",
        lambda: TokenAttention(12, 16),
        ((7, 5, 12), (7, 5, 16)),
        ((4, 4, 12), (4, 4, 16)),
        ((1, 1, 12), (1, 1, 16)),
    ),
    one(
        "pixel_embedding",
        lambda: PixelEmbedding(3, 4, patch_size=8),
        ((3, 16, 24), (2, 3, 4, 4)),
        ((3, 17, 33), (2, 4, 4, 4)),
        ((3, 5, 5), (1, 1, 4, 4)),
        exact_costs=1,
    ),
    Case(
        "nested",
        lambda: NestedTransformer(8, 4, functools.partial(SeparateAttention, head_dim=2), pixels=4),
        (nested(7, 5), nested(4, 4), nested(1, 1)),
    ),
]

every_embedding = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def outputs_of(module, *inputs) -> tuple[torch.Tensor, ...]:
    y = module(*inputs)
    return y if isinstance(y, tuple) else (y,)


def loss_of(module, *inputs) -> torch.Tensor:
    return sum((y.square() * torch.linspace(1, 2, y.shape[-1])).sum() for y in outputs_of(module, *inputs))


def assert_all_close(ours, theirs, tolerance=1e-10):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@every_embedding
def test_the_shapes_are_those_of_a_convolution_at_any_height_and_width(case):
    module = randomise(case.make())
    for which, (_, wanted) in enumerate(case.shapes):
        outputs = outputs_of(module, *case.inputs(which))
        assert [y.shape[1:] for y in outputs] == list(wanted)
        assert all(y.isfinite().all() for y in outputs)


@every_embedding
def test_one_image_does_not_depend_on_the_others_of_its_batch(case):
    module = randomise(case.make())
    for which in range(len(case.shapes)):
        inputs = case.inputs(which, b=3)
        together, alone = outputs_of(module, *inputs), outputs_of(module, *(x[1:2] for x in inputs))
        assert_all_close([y[1:2] for y in together], alone)


@every_embedding
def test_every_parameter_and_input_receives_a_gradient(case):
    module, inputs = randomise(case.make()), case.inputs()
    loss_of(module, *inputs).backward()
    assert all(x.grad.abs().sum() > 0 for x in inputs)
    assert not [name for name, p in module.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]


@every_embedding
def test_the_stated_cost_of_an_output_grid_is_what_torch_counts(case):
    module = case.make().eval()
    for which, (shapes, ((h, w, *_), *_)) in enumerate(case.shapes[: case.exact_costs]):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(*(torch.zeros(1, *shape) for shape in shapes))
        assert module.macs(h, w) == counter.get_total_flops() / 2, which


@every_embedding
def test_the_state_dict_round_trips_through_a_file(case):
    module, other = randomise(case.make()), case.make().double().eval()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    inputs = case.inputs()
    for a, b in zip(outputs_of(module, *inputs), outputs_of(other, *inputs), strict=True):
        assert torch.equal(a, b)


@every_embedding
def test_every_parameter_can_be_initialised_again(case):
    module = case.make()
    for tensor in module.parameters():
        tensor.data.fill_(torch.nan)
    for part in module.modules():
        if list(part.parameters(recurse=False)):
            part.reset_parameters()
    assert all(tensor.isfinite().all() for tensor in module.parameters())


@every_embedding
def test_a_checkpointed_module_has_the_same_gradients(case):
    module, inputs = randomise(case.make()), case.inputs()
    leaves = [*inputs, *module.parameters()]
    plain = torch.autograd.grad(loss_of(module, *inputs), leaves)
    again = torch.autograd.grad(loss_of(functools.partial(checkpoint, module, use_reentrant=False), *inputs), leaves)
    for a, b in zip(plain, again, strict=True):
        assert torch.equal(a, b)


@every_embedding
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_near_float32(case, dtype):
    module, inputs = randomise(case.make()).float(), [x.detach().float() for x in case.inputs()]
    high = outputs_of(module, *inputs)
    with torch.autocast("cpu", dtype=dtype):
        low = outputs_of(module, *inputs)
    for a, b in zip(low, high, strict=True):
        assert (a.float() - b).abs().max() <= 0.1 * b.abs().max()


@every_embedding
def test_strides_of_the_input_do_not_matter(case):
    module, inputs = randomise(case.make()), [x.detach() for x in case.inputs()]
    strided = [x.movedim(-1, 1).contiguous().movedim(1, -1) for x in inputs]
    assert any(not x.is_contiguous() for x in strided)
    assert_all_close(outputs_of(module, *strided), outputs_of(module, *inputs))


@every_embedding
def test_it_compiles_to_one_graph(case):
    module, inputs = randomise(case.make()), case.inputs()
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert_all_close(outputs_of(compiled, *inputs), outputs_of(module, *inputs), 1e-9)


@every_embedding
def test_it_exports_with_a_dynamic_batch(case):
    module = randomise(case.make())
    examples = tuple(x.detach() for x in case.inputs())
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module, examples, dynamic_shapes=tuple({0: batch} for _ in examples))
    inputs = [x.detach() for x in case.inputs(b=5)]
    assert_all_close(outputs_of(program.module(), *inputs), outputs_of(module, *inputs), 1e-9)


def test_every_public_module_that_changes_the_width_is_checked():
    modules = [cls for cls in vars(vitcore).values() if inspect.isclass(cls) and issubclass(cls, nn.Module)]
    changing = {cls for cls in modules if {"in_chans", "in_width"} & set(inspect.signature(cls).parameters)}
    assert changing <= {type(case.make()) for case in CASES}
