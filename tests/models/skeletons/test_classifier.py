"""What all skeletons share: features of chosen layers, and a sentence about what a skeleton must define."""

import pytest
import torch

from vitmodels.skeletons.classifier import ImageClassifier, chosen_layers


@pytest.mark.parametrize(
    ("indices", "chosen"),
    [(None, [0, 1, 2, 3]), (1, [3]), (4, [0, 1, 2, 3]), ([0, 2], [0, 2]), ([-1, 1], [3, 1]), ((-4,), [0])],
)
def test_indices_choose_the_last_layers_or_those_that_they_name(indices, chosen):
    assert chosen_layers(4, indices) == chosen


@pytest.mark.parametrize("indices", [0, 5, -1, [4], [-5], []])
def test_indices_out_of_range_are_refused(indices):
    with pytest.raises(ValueError, match=r"indices must choose among 4 layers, got indices="):
        chosen_layers(4, indices)


@pytest.mark.parametrize(
    ("use", "lacks"),
    [
        (lambda model: model.pools, "pools"),
        (lambda model: next(model.walk(torch.zeros(1))), "walk"),
        (lambda model: model.pool(torch.zeros(1)), "pool"),
    ],
)
def test_the_error_names_what_a_skeleton_must_define(use, lacks):
    with pytest.raises(TypeError, match=f"ImageClassifier does not define {lacks}"):
        use(ImageClassifier(in_chans=3, width=8, drop_rate=0.0))
