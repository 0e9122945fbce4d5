import pytest
import torch
from torch.nn.functional import linear, pad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.golden_records import OpRecord
from vitcore import SlideAttention, local_attention_im2col, one_hot_shifts, slide_attention
from vitcore.attention.neighborhood import shifted_products

HEADS = 4


def slide_by_loops(op: SlideAttention, grid: torch.Tensor) -> torch.Tensor:
    """For each query: the keys of all places from the patch around it, a softmax over places, the values likewise."""
    b, h, w, width = grid.shape
    size, d = op.kernel_size, op.head_dim
    reach, places = size // 2, size**2
    q, k, v = (grid @ op.qkv.weight.T + op.qkv.bias).view(b, h, w, 3, width // d, d).unbind(3)
    k, v = (pad(x, (0, 0, 0, 0, reach, reach, reach, reach)) for x in (k, v))

    def shifted_maps(patch):
        maps = torch.zeros(b, width // d, places, d, dtype=grid.dtype)
        for place in range(places):
            row, column = divmod(place, size)
            if op.shift.kind != "learned":
                maps[:, :, place] += patch[:, row, column]
            if op.shift.kind != "fixed":
                filters = op.shift.weight.view(d, places, size, size)[:, place]
                taps = [patch[:, i, j] * filters[:, i, j] for i in range(size) for j in range(size)]
                maps[:, :, place] += sum(taps) + op.shift.bias.view(d, places)[:, place]
            if op.shift.kind == "both":
                maps[:, :, place] += op.shift.fixed_bias.view(d, places)[:, place]
        return maps

    out = torch.zeros(b, h, w, width, dtype=grid.dtype)
    for i in range(h):
        for j in range(w):
            patch = (slice(None), slice(i, i + size), slice(j, j + size))
            keys, values = shifted_maps(k[patch]), shifted_maps(v[patch])
            if op.position == "on_keys":
                keys = keys + op.position_bias[:, :, None]
            scores = (q[:, i, j, :, None] * keys).sum(-1) * d**-0.5
            if op.position == "on_scores":
                scores = scores + op.position_bias
            for place in range(places):
                inside = 0 <= i + place // size - reach < h and 0 <= j + place % size - reach < w
                if op.borders == "masked" and not inside:
                    scores[:, :, place] = -torch.inf
            weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
            out[:, i, j] = (weights[..., None] * values).sum(2).flatten(1)
    return out @ op.projection.weight.T + op.projection.bias


@pytest.mark.parametrize(("h", "w"), [(4, 3), (1, 5), (1, 1)])
@pytest.mark.parametrize("shift", ["fixed", "learned", "both"])
@pytest.mark.parametrize(("position", "borders"), [("on_keys", "zero"), ("on_scores", "masked"), ("none", "masked")])
def test_slide_attention_equals_a_loop_over_neighbours(h, w, shift, position, borders):
    op = randomise(SlideAttention(8, 4, 3, shift, position, borders))
    assert_same_function(op, lambda grid: slide_by_loops(op, grid), random_grid(h, w, 8))


@pytest.mark.parametrize(("kernel_size", "borders"), [(1, "zero"), (5, "zero"), (5, "masked")])
def test_other_kernels_equal_the_loop_too(kernel_size, borders):
    op = randomise(SlideAttention(4, 2, kernel_size, borders=borders))
    assert_same_function(op, lambda grid: slide_by_loops(op, grid), random_grid(2, 4, 4))


def rename(name: str):
    """The public joint projection is ordered [head][q | k | v][channel]; its bias table has axes of length 1."""
    if name.startswith("qkv."):
        return name, lambda value: value.unflatten(0, (HEADS, 3, -1)).transpose(0, 1).flatten(0, 2)
    if name == "relative_position_bias_table":
        return "position_bias", lambda value: value.view(HEADS, -1)
    for old, new in {"dep_conv1.": "shift.", "dep_conv.bias": "shift.fixed_bias", "proj.": "projection."}.items():
        name = name.replace(old, new)
    return name


class WithoutOneHot(OpRecord):
    """The record without the fixed filters, which are not weights here."""

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value for name, value in super().weights().items() if name != "dep_conv.weight"}


def test_it_computes_what_the_public_code_computes():
    record = WithoutOneHot("slide_attention_ka3")
    op = record.load(SlideAttention(32, head_dim=8), rename)
    record.assert_matches(lambda x: op(x.unflatten(1, (14, 14))).flatten(1, 2))
    op(record.x.unflatten(1, (14, 14))).square().mean().backward()
    for name, norm in record.meta["grad_l2_fp64"].items():
        if norm is not None:
            new = rename(name) if isinstance(rename(name), str) else rename(name)[0]
            assert op.get_parameter(new).grad.norm().item() == pytest.approx(norm, rel=1e-6), name


def test_the_fixed_filters_are_the_public_codes():
    assert torch.equal(one_hot_shifts(8, 3).double(), OpRecord("slide_attention_ka3").tensor("w:dep_conv.weight"))


@pytest.mark.parametrize("shift", ["fixed", "learned", "both"])
@pytest.mark.parametrize("borders", ["zero", "masked"])
@pytest.mark.parametrize(("kernel_size", "query"), [(3, (2, 3)), (3, (0, 0)), (3, (4, 5)), (5, (0, 4)), (1, (2, 3))])
def test_a_token_sees_its_neighbours_within_the_kernel_and_no_other(shift, borders, kernel_size, query):
    op = randomise(SlideAttention(8, 4, kernel_size, shift, borders=borders))
    reach = kernel_size // 2
    near = {(i, j) for i, j in all_tokens(5, 6) if max(abs(i - query[0]), abs(j - query[1])) <= reach}
    assert seen_tokens(op, 5, 6, 8, query) == near


@pytest.mark.parametrize("borders", ["zero", "masked"])
def test_with_kernel_1_and_a_fixed_shift_each_token_gets_its_own_value(borders):
    op = randomise(SlideAttention(8, 4, 1, "fixed", borders=borders))
    grid = random_grid(3, 4, 8)
    value = linear(grid, op.qkv.weight[16:], op.qkv.bias[16:])
    torch.testing.assert_close(op(grid), op.projection(value))


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("borders", ["zero", "masked"])
def test_a_fixed_shift_is_local_attention(kernel_size, borders):
    q, k, v = (random_grid(4, 6, 8, seed=seed).unflatten(3, (2, 4)) for seed in range(3))
    bias = torch.randn(2, kernel_size**2, dtype=torch.float64)
    ours = slide_attention(q, k, v, kernel_size, score_bias=bias, borders=borders)
    torch.testing.assert_close(ours, local_attention_im2col(q, k, v, kernel_size, bias, borders))


def test_one_hot_filters_are_the_fixed_shift():
    q, k, v = (random_grid(4, 6, 8, seed=seed).unflatten(3, (2, 4)) for seed in range(3))
    filtered = slide_attention(q, k, v, 3, one_hot_shifts(4, 3))
    torch.testing.assert_close(filtered, slide_attention(q, k, v, 3))


def test_merging_the_shifts_changes_nothing_and_unmerging_restores_the_filters():
    op, grid = randomise(SlideAttention(8, 4)), random_grid(5, 4, 8)
    before, filters = op(grid), op.shift.weight.clone()
    op.shift.merge()
    assert (op(grid) - before).abs().max() < 1e-12
    other = SlideAttention(8, 4, shift="learned").double().eval()
    other.load_state_dict(op.state_dict())
    assert torch.equal(other(grid), op(grid))
    op.shift.unmerge()
    assert (op(grid) - before).abs().max() < 1e-12
    assert (op.shift.weight - filters).abs().max() < 1e-15
    assert op.macs(5, 4) == other.macs(5, 4)


def test_the_result_does_not_depend_on_the_size_of_a_chunk(monkeypatch):
    op, grid = randomise(SlideAttention(8, 4)), random_grid(5, 4, 8, b=3)
    results = []
    for elements in (1, 4 * 5 * 5 * 4, 10**9):
        monkeypatch.setattr(shifted_products, "CACHED", elements)
        results.append(torch.autograd.grad(op(grid).square().sum(), [grid, *op.parameters()]))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


class LargestTensor(TorchDispatchMode):
    """Keeps the number of elements of the largest tensor that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [x.untyped_storage().nbytes() // x.element_size() for x in tree_leaves(out) if torch.is_tensor(x)]
        self.largest = max([self.largest, *sizes])
        return out


@pytest.mark.parametrize("shift", ["fixed", "both"])
def test_no_step_copies_keys_or_values_for_the_places(shift):
    op, grid = SlideAttention(64, 32, shift=shift), torch.randn(2, 24, 24, 64, requires_grad=True)
    with LargestTensor() as seen:
        op(grid).square().sum().backward()
    assert seen.largest == 3 * grid.numel()  # the joint projection


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_under_autocast_stay_near_those_in_float32(dtype):
    op, grid = randomise(SlideAttention(16, 8)).float(), random_grid(7, 5, 16).detach().float().requires_grad_()
    high = torch.autograd.grad(op(grid).square().mean(), [grid, *op.parameters()])
    with torch.autocast("cpu", dtype=dtype):
        loss = op(grid).float().square().mean()
    low = torch.autograd.grad(loss, [grid, *op.parameters()])
    for ours, exact in zip(low, high, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - exact).abs().max() <= 0.1 * exact.abs().max()


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(ValueError, match=r"SlideAttention: head_dim must divide width, got width=96, head_dim=28\."):
        SlideAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"SlideAttention: kernel_size must be odd and positive, got kernel_size=4\."):
        SlideAttention(32, kernel_size=4)
    q, k = torch.zeros(1, 4, 4, 2, 3), torch.zeros(1, 4, 5, 2, 3)
    with pytest.raises(ValueError, match=r"got q \(1, 4, 4, 2, 3\), k \(1, 4, 5, 2, 3\), v \(1, 4, 5, 2, 3\)\."):
        slide_attention(q, k, k)
