import pytest
import torch
from torch.nn.functional import conv2d

from tests.core.checks import randomise
from vitcore import DeformedShift, one_hot_shifts


def test_channel_c_of_place_o_is_channel_c_moved_by_o():
    maps = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    shifted = conv2d(maps, one_hot_shifts(2, 3).double(), padding=1, groups=2).view(2, 3, 3, 4, 5)
    assert torch.equal(shifted[1, 0, 2][1:, :-1], maps[0, 1][:-1, 1:])
    assert torch.equal(shifted[0, 1, 1], maps[0, 0])
    assert not shifted[:, 0, :, 0].any()


def test_the_two_convolutions_are_one():
    shift, maps = randomise(DeformedShift(4, 3)), torch.randn(2, 4, 5, 6, dtype=torch.float64)
    fixed = conv2d(maps, one_hot_shifts(4, 3).double(), shift.fixed_bias, padding=1, groups=4)
    learned = conv2d(maps, shift.weight, shift.bias, padding=1, groups=4)
    assert (conv2d(maps, *shift(), padding=1, groups=4) - fixed - learned).abs().max() < 1e-12
    shift.merge()
    assert (conv2d(maps, shift.weight, shift.bias, padding=1, groups=4) - fixed - learned).abs().max() < 1e-12


def test_the_initial_filters_are_those_of_a_depthwise_convolution():
    shift = DeformedShift(32, 3)
    convolution = torch.nn.Conv2d(32, 32 * 9, 3, padding=1, groups=32)
    assert shift.weight.shape == convolution.weight.shape
    for ours, theirs in ((shift.weight, convolution.weight), (shift.bias, convolution.bias)):
        assert ours.abs().max() <= 1 / 3
        torch.testing.assert_close(ours.std(), theirs.std(), rtol=0.1, atol=0)


def test_a_fixed_shift_has_no_parameters():
    assert not list(DeformedShift(4, 3, "fixed").parameters())


def test_merging_what_is_not_both_is_refused():
    with pytest.raises(ValueError, match=r"merge needs shift='both', got shift='fixed'\."):
        DeformedShift(4, 3, "fixed").merge()
    with pytest.raises(ValueError, match=r"unmerge needs shift='learned', got shift='both'\."):
        DeformedShift(4, 3).unmerge()
    with pytest.raises(ValueError, match=r"DeformedShift: kernel_size must be odd and positive, got kernel_size=2\."):
        DeformedShift(4, 2)
