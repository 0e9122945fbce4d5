"""The skeleton with pixel tokens: two streams, one depth; TNT and LocalViT on it."""

import pytest
import timm
import torch
from timm.models._manipulate import group_parameters
from torch.utils.flop_counter import FlopCounterMode

from tests.core.checks import randomise
from vitcore import LocalityFeedForward, SeparateAttention
from vitmodels import part
from vitmodels.presets import tnt
from vitmodels.skeletons.checkpoint import translate
from vitmodels.skeletons.nested_column import nested_column
from vitmodels.skeletons.timm_interface import PRESETS

SMALL = {"img_size": 64, "depth": 3, "num_classes": 5}
SIZES = {
    "tnt_tiny": ("6.070", 1.404),
    "tnt_small": ("23.755", 5.217),
    "tnt_base": ("65.407", 14.049),
    "localvit_tnt_tiny": ("6.261", 1.417),
    "localvit_tnt_small": ("24.138", 5.235),
}


def images(h=64, w=64, b=2):
    return torch.randn(b, 3, h, w, dtype=torch.float64)


def small(name="tnt_tiny", **arguments):
    return randomise(timm.create_model(name, **(SMALL | arguments)))


@pytest.mark.parametrize("name", SIZES)
def test_parameters_and_cost_are_the_published_ones(name):
    model = timm.create_model(name, device="meta")
    parameters, gmacs = SIZES[name]
    assert f"{sum(p.numel() for p in model.parameters()) / 1e6:.3f}" == parameters
    assert model.macs(224, 224) / 1e9 == pytest.approx(gmacs, abs=6e-4)


@pytest.mark.parametrize("name", ["tnt_tiny", "localvit_tnt_tiny"])
def test_the_stated_cost_is_what_torch_counts(name):
    model = small(name)
    with FlopCounterMode(display=False) as counter:
        model(images(64, 96, b=1))
    assert model.macs(64, 96) == counter.get_total_flops() / 2


@pytest.mark.parametrize("training", [False, True])
def test_tnt_small_computes_what_timms_does(training):
    theirs = randomise(timm.create_model("tnt_s_legacy_patch16_224", img_size=(64, 96), num_classes=5)).train(training)
    ours = timm.create_model("tnt_small", img_size=(64, 96), num_classes=5).double().train(training)
    ours.load_state_dict(translate(theirs.state_dict(), PRESETS["tnt_small"].rules, ours))
    image = images(64, 96)
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-9, atol=1e-9)
    for prefixes in (False, True):
        arguments = {"indices": [0, 7], "norm": True, "intermediates_only": True, "return_prefix_tokens": prefixes}
        one, two = (model.forward_intermediates(image, **arguments) for model in (ours, theirs))
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


def test_the_public_table_of_pixel_positions_is_read_row_by_row():
    public = torch.arange(12.0 * 16).view(1, 12, 4, 4)
    table = tnt.in_our_order("pixels.position", public, None)
    assert table.shape == (16, 12)
    assert all(table[4 * i + j, c] == public[0, c, i, j] for i in range(4) for j in range(4) for c in range(12))


@pytest.mark.parametrize(("size", "grid"), [((64, 96), (4, 6)), ((50, 33), (3, 2)), ((13, 160), (1, 10))])
def test_an_image_of_any_size_has_the_patches_that_map_size_states(size, grid):
    model = small()
    assert model.stem.map_size(*size) == grid
    (feature_map,) = model.forward_intermediates(images(*size), indices=1, intermediates_only=True)
    assert feature_map.shape == (2, 192, *grid)
    assert model(images(*size)).isfinite().all()


def test_an_image_smaller_than_a_patch_is_refused_with_its_size():
    with pytest.raises(
        ValueError, match=r"PixelEmbedding: the image must hold at least one patch, got image=\(8, 64\)"
    ):
        small()(images(8, 64))
    with pytest.raises(ValueError, match=r"img_size must hold at least one patch, got img_size=8, patch_size=16"):
        timm.create_model("tnt_tiny", img_size=8)


def test_without_outer_blocks_a_patch_sees_its_own_pixels_and_the_stems_margin():
    model = randomise(nested_column(width=16, depth=2, img_size=64))
    image = images(64, 64, b=1).requires_grad_()
    (grid,) = model.forward_intermediates(image, indices=1, intermediates_only=True)
    (gradient,) = torch.autograd.grad(grid[0, :, 1, 2].square().sum(), image)
    rows, columns = (gradient[0].abs().amax((0, axis)).nonzero().flatten().tolist() for axis in (2, 1))
    assert (rows, columns) == (list(range(16 - 3, 32)), list(range(32 - 3, 48))), "7 x 7 pixels, every 4"


def test_without_outer_blocks_the_class_token_sees_nothing_for_it_has_no_pixels():
    model = randomise(nested_column(width=16, depth=2, img_size=64, num_classes=0))
    assert model(images()).equal(model(images()))
    features = model.forward_features(images())
    assert not features[:, 1:].equal(model.forward_features(images())[:, 1:])


def test_the_grid_of_each_layer_is_told_before_its_block():
    model = small()
    image = images()
    pixels = model.pixels(image)
    grid, prefix = model.embed(pixels)
    for inner, block in zip(model.inner, model.blocks, strict=True):
        pixels, grid = inner(pixels, grid)
        grid, prefix = block(grid, prefix)
    features = model.norm(torch.cat((prefix, grid.flatten(1, 2)), dim=1))
    assert model.forward_features(image).equal(features)
    assert model(image).equal(model.head(features[:, 0]))


def test_stochastic_depth_rises_alike_in_both_streams():
    model = timm.create_model("tnt_tiny", drop_path_rate=0.22, device="meta")
    rates = pytest.approx([0.02 * index for index in range(12)])
    assert [block.mixer.drop_path_rate for block in model.blocks] == rates
    assert [block.feed_forward.drop_path_rate for block in model.blocks] == rates
    assert [layer.drop_path.drop_prob for layer in model.inner] == rates
    still = timm.create_model("tnt_tiny", drop_path_rate=0.22, device="meta", inner={"drop_path_scale": 0.0})
    assert {layer.drop_path.drop_prob for layer in still.inner} == {0.0}
    local = timm.create_model("localvit_tnt_tiny", drop_path_rate=0.22, device="meta")
    assert {block.feed_forward.drop_path_rate for block in local.blocks} == {0.0}
    assert [layer.drop_path.drop_prob for layer in local.inner] == rates


def test_stochastic_depth_draws_patches_in_the_inner_layer():
    model = small(drop_path_rate=0.9, depth=2).train()
    layer = model.inner[1]
    pixels, grid = torch.randn(4, 4, 4, 16, 12).double(), torch.zeros(4, 4, 4, 192).double()
    changed = (layer(pixels, grid)[0] != pixels).flatten(3).any(-1)
    assert 0 < changed.sum() < changed.numel()
    assert any(0 < image.sum() < image.numel() for image in changed), "patches of one image differ"


def test_stopping_early_leaves_the_later_layers_of_both_streams_out():
    model = small(depth=6)
    image = images()
    ran = []
    for name in ("inner", "blocks"):
        for index, module in enumerate(getattr(model, name)):
            module.register_forward_hook(lambda *_, name=name, index=index: ran.append((name, index)))
    final, maps = model.forward_intermediates(image, indices=[0, 2], stop_early=True, output_fmt="NLC")
    assert ran == [(name, index) for index in range(3) for name in ("inner", "blocks")]
    torch.testing.assert_close(final[:, 1:], model.norm(maps[-1]))


def test_pruning_drops_the_layers_of_both_streams():
    model = small(depth=6)
    image = images()
    before = model.forward_intermediates(image, indices=[1, 3], intermediates_only=True)
    assert model.prune_intermediate_layers([1, 3], prune_norm=True) == [1, 3]
    assert len(model.blocks) == len(model.inner) == 4
    after = model.forward_intermediates(image, indices=[1, 3], intermediates_only=True)
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


def test_tokens_and_positions_take_no_weight_decay():
    assert small().no_weight_decay() == {"prefix", "position.table", "pixels.position"}


def test_a_layer_of_the_pixel_tokens_has_the_depth_of_its_block():
    model = timm.create_model("tnt_tiny", device="meta")
    groups = group_parameters(model, model.group_matcher())
    found = [{".".join(name.split(".")[:2]) for name in group} for group in groups.values()]
    middle = [{f"inner.{index}", f"blocks.{index}"} for index in range(12)]
    assert found[1:12] == middle[:11]
    assert found[12] == middle[11] | {"norm.weight", "norm.bias"}
    assert found[13] == {"head.weight", "head.bias"}
    assert {name.split(".")[0] for name in groups[0]} == {"prefix", "position", "stem", "pixels"}


@pytest.mark.parametrize("name", ["tnt_tiny", "localvit_tnt_tiny"])
def test_gradient_checkpointing_changes_no_output_gradient_or_statistic(name):
    image, results = images(), []
    for enable in (False, True):
        torch.manual_seed(11)
        model = timm.create_model(name, **SMALL, drop_path_rate=0.3).double().train()
        model.set_grad_checkpointing(enable)
        torch.manual_seed(5)
        model(image).square().mean().backward()
        results.append([*(parameter.grad for parameter in model.parameters()), *model.buffers()])
    assert all(plain.equal(recomputed) for plain, recomputed in zip(*results, strict=True))


def test_the_stages_address_the_outer_layers_and_inner_all_inner_ones():
    local = {"op": part("vitcore.LocalityFeedForward", ratio=2.0), "norm": "torch.nn.Identity"}
    inner = {"feed_forward": {"init_args": {"activation": "torch.nn.ReLU6"}}}
    model = timm.create_model("tnt_tiny", **SMALL, stage2={"feed_forward": local}, inner=inner)
    assert [isinstance(block.feed_forward.op, LocalityFeedForward) for block in model.blocks] == [False, True, False]
    assert all(isinstance(layer.feed_forward.activation, torch.nn.ReLU6) for layer in model.inner)
    assert all(isinstance(layer.mixer, SeparateAttention) for layer in model.inner)
    with pytest.raises(ValueError, match=r"tnt_tiny: inner.mixr has no entry 'mixr' in inner; did you mean mixer\?"):
        timm.create_model("tnt_tiny", inner={"mixr": {}})


def test_two_arms_share_every_weight_that_they_share_by_name_and_shape():
    weights = []
    for name in ("tnt_tiny", "localvit_tnt_tiny"):
        torch.manual_seed(3)
        weights.append(dict(timm.create_model(name, **SMALL).named_parameters()))
    plain, local = weights
    shared = {key for key in plain.keys() & local.keys() if plain[key].shape == local[key].shape}
    assert shared == {key for key in plain if not (key.startswith("blocks.") and ".feed_forward." in key)}
    assert all(plain[key].equal(local[key]) for key in shared)


def test_the_model_compiles_without_a_graph_break():
    model = small(depth=2)
    image = images()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), model(image))


def test_patches_and_pixels_of_other_sizes():
    pixels = {"init_args": {"patch_size": 8, "stride": 4}}
    model = small(img_size=32, pixels=pixels)
    assert (model.stem.reduction, model.inner[0].side) == (8, 2)
    assert model(images(32, 48)).shape == (2, 5)
    assert {info["reduction"] for info in model.feature_info} == {8}
