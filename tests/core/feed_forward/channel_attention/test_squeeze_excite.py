import pytest
import torch

from tests.core.checks import assert_same_function, random_grid, randomise
from vitcore import SqueezeExcite


def test_squeeze_excite_equals_its_equations():
    op = randomise(SqueezeExcite(12, reduction=4))

    def twin(grid):
        z = sum(grid[:, i, j] for i in range(3) for j in range(5)) / 15
        hidden = torch.clamp(z @ op.squeeze.weight.T + op.squeeze.bias, min=0)
        s = torch.clamp(hidden @ op.excite.weight.T + op.excite.bias + 3, 0, 6) / 6
        return torch.stack([torch.stack([grid[:, i, j] * s for j in range(5)], 1) for i in range(3)], 1)

    # torch's hard sigmoid multiplies its gradient by a float32 sixth, in float64 too: 3e-8.
    assert_same_function(op, twin, random_grid(3, 5, 12), tolerance=1e-7)


@pytest.mark.parametrize("reduction", [0, 17])
def test_a_reduction_that_leaves_no_unit_is_refused(reduction):
    with pytest.raises(ValueError, match=f"got width=16, reduction={reduction}"):
        SqueezeExcite(16, reduction=reduction)


@pytest.mark.parametrize(("reduction", "units"), [(192, 4), (96, 8), (48, 16), (4, 192)])
def test_the_reductions_of_the_paper_keep_the_published_number_of_units(reduction, units):
    op = SqueezeExcite(768, reduction=reduction)
    assert op.squeeze.out_features == units
    assert sum(p.numel() for p in op.parameters()) == 2 * 768 * units + units + 768
