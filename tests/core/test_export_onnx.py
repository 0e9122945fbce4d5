"""Every op becomes an ONNX graph with a free batch that onnxruntime computes as PyTorch does."""

import onnxruntime
import pytest
import torch

from tests.core.cases import CASES
from tests.core.checks import random_grid, randomise
from tests.core.test_every_embedding import CASES as EMBEDDINGS

QUICK = (("locality_se", (7, 5)), ("window", (8, 8)), ("pale", (7, 5)))
"""Convolutions with norms and a gate, attention with a learned bias, and groups that are filled up and masked."""

# The first size is awkward and the second, for most ops, one that needs no filling up and takes other ways through them.
EXPORTED = [
    pytest.param(
        case,
        size,
        id=f"{case.name}-{size[0]}x{size[1]}",
        marks=() if (case.name, size) in QUICK else pytest.mark.exhaustive,
    )
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
        torch.testing.assert_close(torch.from_numpy(a), b.detach(), rtol=0, atol=1e-4 * b.abs().max().item())


def test_every_quick_case_is_one_of_the_cases():
    sizes = {case.name: case.sizes for case in CASES}
    assert all(size in sizes[name][:2] for name, size in QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "size"), EXPORTED)
def test_onnxruntime_computes_an_op_as_pytorch_does_at_another_batch_size(case, size):
    op = randomise(case.make(case.width)).float()
    first, second = (random_grid(*size, case.width, b=b, seed=b).detach().float() for b in (2, 5))
    assert_onnxruntime_agrees(op, (first,), (second,))


# The exporter gives the two inputs of the nested transformer one name for their one batch, and says so.
@pytest.mark.filterwarnings("ignore:# The axis name. batch will not be used:UserWarning")
@pytest.mark.exhaustive
@pytest.mark.parametrize("case", EMBEDDINGS, ids=lambda case: case.name)
def test_onnxruntime_computes_an_embedding_as_pytorch_does_at_another_batch_size(case):
    module = randomise(case.make()).float()
    first, second = (tuple(x.detach().float() for x in case.inputs(b=b)) for b in (2, 5))
    assert_onnxruntime_agrees(module, first, second)
