import math

import pytest
import torch

from tests.core.checks import randomise
from tests.golden_records import OpRecord
from vitcore import AbsolutePositionBias, ContinuousPositionBias, NoPosition, RelativePositionBias, WindowPosition


def pairs(rows: int, columns: int):
    """Every query and key of a window in raster order, as (index, row, column)."""
    tokens = [(i * columns + j, i, j) for i in range(rows) for j in range(columns)]
    return [(query, key) for query in tokens for key in tokens]


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (2, 3), (1, 4), (1, 1)])
def test_the_relative_bias_is_the_tables_entry_at_query_minus_key(rows, columns):
    position = randomise(RelativePositionBias(4, heads=3))
    bias = position(rows, columns)
    assert bias.shape == (1, 3, rows * columns, rows * columns)
    for (q, qi, qj), (k, ki, kj) in pairs(rows, columns):
        assert torch.equal(bias[0, :, q, k], position.table[(qi - ki + 3) * 7 + qj - kj + 3])


def test_the_relative_bias_is_indexed_as_in_the_public_swin():
    record = OpRecord("swin_window_attention")
    position = RelativePositionBias(7, heads=4).double()
    position.table.data = record.tensor("w:relative_position_bias_table")
    index = record.tensor("w:relative_position_index").long()
    assert torch.equal(position(7, 7)[0].permute(1, 2, 0), position.table[index])


def test_each_entry_of_the_table_gets_the_gradient_of_all_its_pairs():
    position = randomise(RelativePositionBias(3, heads=1))
    position(3, 3).sum().backward()
    one_axis = torch.tensor([1.0, 2, 3, 2, 1], dtype=torch.float64)
    assert torch.equal(position.table.grad.view(5, 5), one_axis[:, None] * one_axis)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (2, 3), (1, 2)])
def test_the_absolute_bias_is_the_tables_entry_of_the_two_places(rows, columns):
    position = randomise(AbsolutePositionBias(3, heads=2))
    bias = position(rows, columns)
    assert bias.shape == (1, 2, rows * columns, rows * columns)
    for (q, qi, qj), (k, ki, kj) in pairs(rows, columns):
        assert torch.equal(bias[0, :, q, k], position.table[:, qi * 3 + qj, ki * 3 + kj])


def test_the_absolute_bias_can_be_every_relative_one():
    relative, absolute = randomise(RelativePositionBias(4, heads=2)), AbsolutePositionBias(4, heads=2).double()
    absolute.table.data = relative(4, 4)[0].data
    assert torch.equal(absolute(4, 4), relative(4, 4))
    assert torch.equal(absolute(3, 2), relative(3, 2))


def test_the_absolute_bias_needs_no_gradient_under_no_grad():
    """Attention takes its fused kernel only then."""
    with torch.no_grad():
        assert not AbsolutePositionBias(3, heads=2)(3, 3).requires_grad


@pytest.mark.parametrize("reference", [0, 3, 9])
def test_the_continuous_bias_is_a_network_of_log_spaced_displacements(reference):
    position = randomise(ContinuousPositionBias(5, heads=2, hidden=6, reference=reference))
    bias = position(5, 3)

    def coordinate(d):
        return math.copysign(math.log2(1 + abs(8 * d / ((reference or 5) - 1))) / math.log2(8), d)

    for (q, qi, qj), (k, ki, kj) in pairs(5, 3):
        place = torch.tensor([coordinate(qi - ki), coordinate(qj - kj)], dtype=torch.float64)
        hidden = (position.expand.weight @ place + position.expand.bias).clamp(min=0)
        expected = 16 / (1 + (-(position.contract.weight @ hidden)).exp())
        torch.testing.assert_close(bias[0, :, q, k], expected)


def test_the_continuous_bias_of_a_displacement_is_the_same_in_a_larger_window_of_one_reference():
    small = randomise(ContinuousPositionBias(4, heads=2, hidden=8))
    large = ContinuousPositionBias(8, heads=2, hidden=8, reference=4).double()
    large.load_state_dict(small.state_dict())
    torch.testing.assert_close(large(8, 8)[0].view(2, 8, 8, 8, 8)[:, :4, :4, :4, :4], small(4, 4).view(2, 4, 4, 4, 4))


def test_a_window_of_one_token_has_a_finite_continuous_bias():
    assert randomise(ContinuousPositionBias(1, heads=2))(1, 1).isfinite().all()


def test_no_position_adds_nothing():
    position = NoPosition(7, heads=4)
    assert position(7, 7) is None
    assert not list(position.parameters())


def test_only_the_continuous_bias_costs_multiply_adds():
    assert ContinuousPositionBias(7, heads=3).macs(7, 5) == 13 * 9 * 512 * 5
    for position in (RelativePositionBias, AbsolutePositionBias, NoPosition):
        assert position(7, 3).macs(7, 7) == 0


def test_bad_arguments_are_refused_with_both_values():
    message = r"hidden must be at least 1 and reference at least 0, got hidden=0, reference=-1\."
    with pytest.raises(ValueError, match=message):
        ContinuousPositionBias(7, heads=3, hidden=0, reference=-1)


def test_a_position_without_a_rule_says_so():
    with pytest.raises(TypeError, match=r"WindowPosition does not define forward\(rows, columns\)"):
        WindowPosition(7, heads=3)(7, 7)
