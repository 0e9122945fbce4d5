import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.golden_records import OpRecord
from vitcore import EfficientChannel, LocalityFeedForward, SqueezeExcite

ORDER = {
    "none": ["expand.0", "expand.1", None, "channel_attention", "contract.0", "contract.1"],
    "middle": [
        "expand.0",
        "expand.1",
        None,
        "middle.0",
        "middle.1",
        None,
        "channel_attention",
        "contract.0",
        "contract.1",
    ],
}
INSIDE = {"fc.0": "squeeze", "fc.2": "excite", "conv": "mix"}


def rename(name: str, placement: str, gated: bool, prefix: str = "conv.") -> str:
    """The public code numbers the layers of one nn.Sequential: conv.<number>.<rest>."""
    number, rest = name.removeprefix(prefix).split(".", 1)
    order = [place for place in ORDER[placement] if gated or place != "channel_attention"]
    for old, new in INSIDE.items():
        rest = rest.replace(old + ".", new + ".")
    return f"{order[int(number)]}.{rest}"


RECORDS = {
    "localvit_ff_relu6": {"activation": nn.ReLU6},
    "localvit_ff_hs": {},
    "localvit_ff_hs_eca": {"channel_attention": EfficientChannel},
    "localvit_ff_hs_se_r4": {"channel_attention": functools.partial(SqueezeExcite, reduction=4)},
    "localvit_ff_hs_se_r4_wo_dp_conv": {
        "channel_attention": functools.partial(SqueezeExcite, reduction=4),
        "placement": "none",
    },
}


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", RECORDS)
def test_it_computes_what_the_public_code_computes(name, mode):
    record, arguments = OpRecord(name), RECORDS[name]
    op = LocalityFeedForward(32, ratio=4.0, **arguments)
    placement, gated = arguments.get("placement", "middle"), "channel_attention" in arguments
    record.load(op, lambda key: rename(key, placement, gated))
    op.train(mode == "train")
    record.assert_matches(lambda x: x + op(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), mode=mode)
    if mode == "train":
        for key in (key for key in record.arrays.files if key.startswith("after_train:")):
            buffer = op.get_buffer(rename(key.removeprefix("after_train:"), placement, gated))
            torch.testing.assert_close(buffer, record.tensor(key), rtol=1e-5, atol=1e-6)


def feed_forward_by_loops(op: LocalityFeedForward, grid: torch.Tensor, act) -> torch.Tensor:
    """Equations 5-7 token by token, with BatchNorm at its running statistics; no channel attention."""

    def norm(bn, x):
        return (x - bn.running_mean) / (bn.running_var + bn.eps).sqrt() * bn.weight + bn.bias

    def neighbours(place, x):
        conv, bn = place[0], place[1]
        r = conv.weight.shape[-1] // 2
        h, w = x.shape[1:3]
        out = torch.zeros_like(x)
        for i in range(h):
            for j in range(w):
                for di in range(-r, r + 1):
                    for dj in range(-r, r + 1):
                        if 0 <= i + di < h and 0 <= j + dj < w:
                            tap = torch.zeros_like(out)
                            tap[:, i, j] = x[:, i + di, j + dj] * conv.weight[:, 0, di + r, dj + r]
                            out = out + tap
        return act(norm(bn, out))

    x = neighbours(op.first, grid) if len(op.first) else grid
    x = act(norm(op.expand[1], x @ op.expand[0].weight[:, :, 0, 0].T))
    x = neighbours(op.middle, x) if len(op.middle) else x
    return norm(op.contract[1], x @ op.contract[0].weight[:, :, 0, 0].T)


@pytest.mark.parametrize(("h", "w"), [(4, 3), (1, 5), (1, 1)])
@pytest.mark.parametrize(("placement", "kernel_size"), [("none", 3), ("first", 3), ("middle", 3), ("middle", 5)])
def test_it_equals_the_equations_token_by_token(h, w, placement, kernel_size):
    op = randomise(LocalityFeedForward(4, 2.0, kernel_size, placement, activation=nn.Tanh))
    assert_same_function(op, lambda grid: feed_forward_by_loops(op, grid, torch.tanh), random_grid(h, w, 4))


@pytest.mark.parametrize(
    ("placement", "kernel_size", "reach"), [("none", 3, 0), ("first", 3, 1), ("middle", 3, 1), ("middle", 5, 2)]
)
def test_a_token_sees_its_neighbours_within_the_kernel_and_no_other(placement, kernel_size, reach):
    op = randomise(LocalityFeedForward(4, 2.0, kernel_size, placement, activation=nn.Tanh))
    square = {
        (i, j) for i in range(3 - reach, 4 + reach) for j in range(2 - reach, 3 + reach) if 0 <= i < 7 and 0 <= j < 6
    }
    assert seen_tokens(op, 7, 6, 4, query=(3, 2)) == square


def test_a_centre_tap_of_one_reduces_the_depthwise_form_to_the_form_without():
    plain, local = LocalityFeedForward(8, placement="none"), LocalityFeedForward(8, activation=nn.Identity)
    plain.expand[2] = nn.Identity()
    randomise(plain), randomise(local)
    local.load_state_dict(plain.state_dict(), strict=False)
    conv, bn = local.middle[0], local.middle[1]
    conv.weight.data.zero_()
    conv.weight.data[:, :, 1, 1] = 1
    bn.weight.data.copy_((bn.running_var + bn.eps).sqrt())
    bn.bias.data.copy_(bn.running_mean)
    grid = random_grid(5, 4, 8)
    torch.testing.assert_close(local(grid), plain(grid))


def test_the_class_token_is_left_alone():
    op = randomise(LocalityFeedForward(8))
    assert op.forward_prefixed(random_grid(4, 4, 8), random_grid(1, 1, 8).squeeze(1))[1] is None


def test_each_place_has_an_activation_of_its_own():
    op = LocalityFeedForward(8, activation=nn.PReLU)
    assert op.expand[2] is not op.middle[2]


ACTIVATIONS = [nn.Hardswish, nn.ReLU, nn.ReLU6, nn.SiLU, functools.partial(nn.SiLU, inplace=True), nn.GELU]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_gradients_activations_overwrite_the_hidden_map_and_never_the_input(activation):
    op, grid, maps = randomise(LocalityFeedForward(8, activation=activation)), random_grid(5, 4, 8), {}
    for norm in ("expand.1", "middle.1"):
        op.get_submodule(norm).register_forward_hook(lambda *call, norm=norm: maps.update({norm: call[2]}))
    for follower in ("middle.0", "channel_attention"):
        op.get_submodule(follower).register_forward_pre_hook(
            lambda *call, name=follower: maps.update({name: call[1][0]})
        )
    before, expected = grid.clone(), op(grid)
    with torch.no_grad():
        torch.testing.assert_close(op(grid), expected, rtol=0, atol=0)
    torch.testing.assert_close(grid, before, rtol=0, atol=0)
    pairs = [("expand.1", "middle.0"), ("middle.1", "channel_attention")]
    shared = [maps[norm].data_ptr() == maps[follower].data_ptr() for norm, follower in pairs]
    assert shared == 2 * [activation is not nn.GELU]


def test_inference_writes_to_no_module_so_that_no_other_thread_sees_a_change(monkeypatch):
    op, grid, written = randomise(LocalityFeedForward(8)), random_grid(5, 4, 8), []
    with torch.no_grad(), monkeypatch.context() as patched:
        patched.setattr(nn.Module, "__setattr__", lambda module, name, value: written.append(name))
        op(grid)
    assert written == []


def test_a_hook_on_an_activation_is_called_with_the_module_as_it_was_made_and_may_raise():
    op, grid, seen = randomise(LocalityFeedForward(8)), random_grid(5, 4, 8), []

    def hook(module, inputs, output):
        seen.append((module, module.inplace, torch.equal(output, functional.hardswish(inputs[0]))))
        raise RuntimeError("stop here")

    op.middle[2].register_forward_hook(hook)
    with torch.no_grad(), pytest.raises(RuntimeError, match="stop here"):
        op(grid)
    assert seen == [(op.middle[2], False, True)]
    assert not any(getattr(part, "inplace", False) for part in op.modules())


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"LocalityFeedForward: kernel_size must be odd and positive, got kernel_size=4\."
    ):
        LocalityFeedForward(8, kernel_size=4)
    with pytest.raises(ValueError, match=r"ratio must give at least one hidden channel, got width=8, ratio=0\.1\."):
        LocalityFeedForward(8, ratio=0.1)
