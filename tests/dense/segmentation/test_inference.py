"""Sliding windows and averages over sizes and mirrors."""

import functools

import pytest
import torch

from tests.models.small_pyramids import by_timm
from vittasks import Segmentation, SemanticFPN, SlidingWindow, WholeImage
from vittasks.segmentation.inference import probabilities


def doubled(image):
    """A network that looks at each pixel alone: logits of two classes."""
    return torch.cat((image, 2 * image), 1)


def knows_its_place(image):
    """A network whose answer depends on where a pixel lies in what it sees."""
    places = torch.arange(image.shape[3], dtype=image.dtype).expand_as(image)
    return torch.cat((places, image), 1)


def test_a_window_that_covers_the_image_is_the_whole_image():
    image = torch.randn(2, 1, 9, 13)
    whole = WholeImage().logits(knows_its_place, image)
    assert torch.equal(SlidingWindow(13, 4).logits(knows_its_place, image), whole)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 2), (6, 1)])
def test_windows_reach_every_pixel_and_their_logits_are_averaged(window, stride):
    image = torch.randn(1, 1, 9, 13)
    assert torch.allclose(SlidingWindow(window, stride).logits(doubled, image), doubled(image))


def test_the_last_window_ends_with_the_image():
    found = SlidingWindow(4, 4).logits(knows_its_place, torch.zeros(1, 1, 4, 6))
    # Columns 2 and 3 lie in both windows, at places 2, 3 and 0, 1.
    assert found[0, 0, 0].tolist() == [0, 1, 1, 2, 2, 3]


def test_probabilities_are_averaged_over_sizes_and_mirrors():
    image = torch.randn(1, 1, 8, 8)
    mirrored = probabilities(WholeImage(), knows_its_place, image, (8, 8), flip="horizontal")
    one = knows_its_place(image).softmax(1)
    other = knows_its_place(image.flip(3)).flip(3).softmax(1)
    assert torch.allclose(mirrored, (one + other) / 2)
    several = probabilities(WholeImage(), doubled, torch.ones(1, 1, 8, 8), (8, 8), ratios=(0.5, 1.0, 1.75))
    assert torch.allclose(several, doubled(torch.ones(1, 1, 8, 8)).softmax(1))


def test_a_stride_longer_than_the_window_is_refused():
    with pytest.raises(ValueError, match=r"stride must lie in 1\.\.window, got window=4, stride=5"):
        SlidingWindow(4, 5)


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_a_window_that_covers_the_image_gives_a_task_the_answer_of_the_whole_image(size):
    head = functools.partial(SemanticFPN, pyramid_channels=8, channels=8)
    pyramid = by_timm("pvt_tiny", in_chans=1, num_classes=0)
    task, image = Segmentation(pyramid, 5, head).eval(), torch.randn(1, 1, *size)
    with torch.no_grad():
        assert torch.equal(SlidingWindow(96, 32).logits(task, image), WholeImage().logits(task, image))
