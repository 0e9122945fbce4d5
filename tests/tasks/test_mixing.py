import numpy as np
import pytest
import torch

from vittasks import Mixing


def batch():
    return torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 8, 8).clone(), torch.tensor([0, 1, 2, 3])


def test_mixup_mixes_images_and_labels_by_the_same_share():
    images, labels = batch()
    mixed, soft = Mixing(mixup=1.0).apply(images, labels, 4, key=(0, 0, 0))
    share = soft[0, 0]
    torch.testing.assert_close(mixed[0], share * images[0] + (1 - share) * images[3])
    torch.testing.assert_close(soft.sum(1), torch.ones(4))
    assert 0 < share < 1


def test_cutmix_pastes_a_box_and_weighs_the_labels_by_its_area():
    images, labels = batch()
    mixed, soft = Mixing(cutmix=1.0).apply(images, labels, 4, key=(0, 0, 1))
    pasted = (mixed[0] == 3).float().mean()
    torch.testing.assert_close(soft[0, 3], pasted)
    assert set(mixed[0].unique().tolist()) <= {0.0, 3.0}


def test_the_draw_depends_on_the_key_alone_and_leaves_other_random_numbers_alone():
    images, labels = batch()
    np.random.seed(5)
    untouched = np.random.RandomState(5).rand()
    first, _ = Mixing(mixup=0.8, cutmix=1.0).apply(images, labels, 4, key=(1, 2, 3))
    assert np.random.rand() == untouched
    again, _ = Mixing(mixup=0.8, cutmix=1.0).apply(images, labels, 4, key=(1, 2, 3))
    other, _ = Mixing(mixup=0.8, cutmix=1.0).apply(images, labels, 4, key=(1, 2, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_batch_given_is_not_changed():
    images, labels = batch()
    Mixing(mixup=1.0).apply(images, labels, 4, key=(0,))
    assert torch.equal(images, batch()[0])


def test_an_odd_batch_is_refused():
    with pytest.raises(ValueError, match="needs an even number, got 3: set an even"):
        Mixing(mixup=1.0).apply(torch.zeros(3, 1, 4, 4), torch.zeros(3, dtype=torch.long), 2, key=(0,))


def test_nothing_is_mixed_by_default():
    assert not Mixing().active
    assert not Mixing(mixup=1.0, probability=0.0).active
    assert Mixing(cutmix=0.5).active
