"""The smallest model of each family under the compilers and exporters, in half precision, and image by image."""

import pytest
import timm
import torch

from tests.core.test_export_onnx import assert_onnxruntime_agrees
from tests.models.every_model import SMALLEST

QUICK = ("deit_tiny", "pvt_tiny", "swin_tiny", "pale_tiny")
"""A class token, one in the last stage only, windows that are masked, and norms with running statistics."""

every_family = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.exhaustive) for name in SMALLEST]
)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    """The models share their code: without a reset the compiler gives up after eight of them."""
    torch.compiler.reset()


def small(name, **more):
    """The model for 64 pixels and 10 classes with few blocks; all kinds of block are there."""
    arguments = {"img_size": 64, "num_classes": 10, **more}
    if name.startswith(("deit", "localvit_tiny", "t2t", "localvit_t2t", "tnt", "localvit_tnt")):
        return timm.create_model(name, depth=3, **arguments)
    stages = {f"stage{i}": {"depth": 2} for i in range(1, 5)}
    return timm.create_model(name, **stages, **arguments)


@every_family
def test_one_images_logits_do_not_depend_on_the_others(name):
    model = small(name).double().eval()
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(model(images), alone, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@every_family
def test_the_model_compiles_without_a_graph_break(name):
    model = small(name).eval()
    image = torch.randn(2, 3, 64, 64)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), model(image))


@pytest.mark.slow
@every_family
def test_a_compiled_training_step_has_the_same_gradients(name):
    image = torch.randn(4, 3, 64, 64)
    results = []
    for compiled in (False, True):
        torch.manual_seed(3)
        model = small(name, drop_path_rate=0.1).train()
        step = torch.compile(model, backend="aot_eager", fullgraph=True) if compiled else model
        step(image).square().mean().backward()
        results.append([*(parameter.grad for parameter in model.parameters()), *model.buffers()])
    for eager, graph in zip(*results, strict=True):
        torch.testing.assert_close(graph, eager, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@every_family
def test_the_exported_program_takes_any_batch_size(name):
    model = small(name).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.randn(2, 3, 64, 64),), dynamic_shapes=({0: batch},)).module()
    for b in (1, 5):
        image = torch.randn(b, 3, 64, 64)
        torch.testing.assert_close(program(image), model(image))


@every_family
def test_a_training_step_in_bfloat16_stays_near_float32(name):
    model = small(name, drop_path_rate=0.1).train()
    # On a map of one token, the messengers of 64 pixels, oneDNN's bfloat16 convolution (3 x 3, stride 2) leaves the gradients
    # of the taps outside unset.
    side = 128 if name.startswith("msg") else 64
    image = torch.randn(8, 3, side, side)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(image)
        assert logits.dtype == torch.bfloat16
        logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        half = model(image).float()
    single = model(image)
    assert (half - single).abs().max() < 0.03 * single.abs().max()


@pytest.mark.slow
@every_family
def test_onnxruntime_computes_the_same_logits_at_another_batch_size(name):
    model = small(name).eval()
    assert_onnxruntime_agrees(model, (torch.randn(2, 3, 64, 64),), (torch.randn(3, 3, 64, 64),))
