"""Scores against a confusion matrix that numpy counts."""

import numpy as np
import pytest
import torch

from vittasks.segmentation.scores import pixel_scores


def test_scores_are_those_of_one_confusion_matrix_over_the_whole_set():
    draw = np.random.default_rng(0)
    truth = draw.choice([0, 1, 2, 4, 255], (4, 9, 7))  # class 3 never occurs in the truth, class 5 nowhere
    predicted = draw.choice([0, 1, 2, 3, 4], truth.shape)
    scores = pixel_scores(6, 255, "test/")
    for half in (slice(0, 1), slice(1, 4)):
        scores.update(torch.from_numpy(predicted[half]), torch.from_numpy(truth[half]))
    counts = np.zeros((6, 6))
    np.add.at(counts, (truth[truth != 255], predicted[truth != 255]), 1)
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


def test_scores_over_two_processes_are_those_of_the_whole_set(tmp_path):
    draw = np.random.default_rng(1)
    truth, predicted = draw.choice([0, 1, 2, 255], (4, 9, 7)), draw.choice([0, 1, 2, 3], (4, 9, 7))
    whole = pixel_scores(4, 255, "")
    whole.update(torch.from_numpy(predicted), torch.from_numpy(truth))
    expected = {name: value.item() for name, value in whole.compute().items()}
    context = torch.multiprocessing.get_context("fork")
    answers = context.Queue()
    parts = [slice(0, 3), slice(3, 4)]
    processes = [
        context.Process(target=_score_a_part, args=(rank, tmp_path / "meeting", predicted[part], truth[part], answers))
        for rank, part in enumerate(parts)
    ]
    for one in processes:
        one.start()
    found = [answers.get(timeout=60) for _ in processes]
    for one in processes:
        one.join()
    assert found == [expected, expected]


def _score_a_part(rank, meeting, predicted, truth, answers):
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    scores = pixel_scores(4, 255, "")
    scores.update(torch.from_numpy(predicted), torch.from_numpy(truth))
    answers.put({name: value.item() for name, value in scores.compute().items()})
    torch.distributed.destroy_process_group()
