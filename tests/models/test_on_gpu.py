"""The smallest model of every family on a GPU, in float32 and under bfloat16, against the CPU.

``--gpu_on_cpu`` runs the same on a CPU.
"""

import copy

import pytest
import timm
import torch

from tests.models.every_model import smallest

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIDE = 64


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.bfloat16, 0.15)], ids=["float32", "bfloat16"]
)
@smallest
def test_a_model_computes_on_a_gpu_what_it_computes_on_a_cpu(name, dtype, tolerance):
    here = timm.create_model(name, num_classes=10, img_size=SIDE).eval()
    there = copy.deepcopy(here).to(DEVICE)
    image = torch.randn(2, 3, SIDE, SIDE)
    expected = here(image)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        with torch.autocast(DEVICE.type, dtype, enabled=dtype != torch.float32):
            found = there(image.to(DEVICE))
        found.float().square().mean().backward()
    assert (found.float().cpu() - expected).norm() < tolerance * expected.norm()
    expected.square().mean().backward()
    norms = [torch.nn.utils.get_total_norm([p.grad for p in one.parameters()]).item() for one in (here, there)]
    assert norms[1] == pytest.approx(norms[0], rel=3 * tolerance)
