"""Every op becomes an ONNX graph with a free batch that onnxruntime computes as PyTorch does."""

import pytest
import torch

from tests.core.cases import CASES
from tests.core.checks import random_grid, randomise
from tests.core.test_every_embedding import CASES as EMBEDDINGS

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install vitcore[export]")

QUICK = ("locality_se", "window_shifted", "pale")
"""A convolution with norms and a gate, windows with a learned bias and a mask, and half-heads in interlaced groups."""

EXPORTED = [
    pytest.param(case, size, marks=() if case.name in QUICK and size == case.sizes[0] else pytest.mark.slow)
    for case in CASES
    if "onnx" in case.exports
    for size in case.sizes[:2]
]


def assert_onnxruntime_agrees(module, exported_on, run_on):
    """Export with a dynamic batch on some inputs and compare on others, to 1e-4 of the largest entry in float32."""
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        module, exported_on, dynamo=True, dynamic_shapes=tuple({0: batch} for _ in exported_on), verbose=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [argument.name for argument in session.get_inputs()]
    theirs = session.run(None, {name: x.numpy() for name, x in zip(names, run_on, strict=True)})
    ours = module(*run_on)
    for a, b in zip(theirs, ours if isinstance(ours, tuple) else (ours,), strict=True):
        bar = 1e-4 * b.abs().max().item() + 1e-12
        torch.testing.assert_close(torch.from_numpy(a), b.detach(), rtol=0, atol=bar)


@pytest.mark.parametrize(
    ("case", "size"), EXPORTED, ids=lambda value: value.name if hasattr(value, "name") else "x".join(map(str, value))
)
def test_onnxruntime_computes_an_op_as_pytorch_does_at_another_batch_size(case, size):
    op = randomise(case.make(case.width)).float()
    first, second = (random_grid(*size, case.width, b=b, seed=b).detach().float() for b in (2, 5))
    assert_onnxruntime_agrees(op, (first,), (second,))


@pytest.mark.slow
@pytest.mark.parametrize("case", EMBEDDINGS, ids=lambda case: case.name)
def test_onnxruntime_computes_an_embedding_as_pytorch_does_at_another_batch_size(case):
    module = randomise(case.make()).float()
    first, second = (tuple(x.detach().float() for x in case.inputs(b=b)) for b in (2, 5))
    assert_onnxruntime_agrees(module, first, second)
