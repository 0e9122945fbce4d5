"""Scores against a confusion matrix that numpy counts."""

import numpy as np
import pytest
import torch

from vittasks.segmentation.scores import pixel_scores


def test_scores_are_those_of_one_confusion_matrix_over_the_whole_set():
    draw = np.random.default_rng(0)
    truth = draw.choice([0, 1, 2, 4, 255], (4, 9, 7))  # class 3 never occurs in the truth, class 5 nowhere
    said = draw.choice([0, 1, 2, 3, 4], truth.shape)
    scores = pixel_scores(6, 255, "test/")
    for half in (slice(0, 1), slice(1, 4)):
        scores.update(torch.from_numpy(said[half]), torch.from_numpy(truth[half]))
    counts = np.zeros((6, 6))
    np.add.at(counts, (truth[truth != 255], said[truth != 255]), 1)
    hits, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    found = {name: value.item() for name, value in scores.compute().items()}
    assert found == pytest.approx(
        {
            "test/mIoU": (hits[:5] / union[:5]).mean(),
            "test/mAcc": (hits / counts.sum(1).clip(1))[[0, 1, 2, 4]].mean(),
            "test/aAcc": hits.sum() / counts.sum(),
        }
    )
    assert len(scores.compute_groups) == 1


def test_a_set_without_a_labelled_pixel_scores_zero():
    scores = pixel_scores(3, 255, "")
    scores.update(torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), 255))
    assert {value.item() for value in scores.compute().values()} == {0.0}
