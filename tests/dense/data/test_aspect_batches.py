"""Batches of one aspect: the same for every seed and epoch, each image once, over any number of processes."""

import pytest

from vittasks.data.dense.aspect_batches import AspectSampler
from vittasks.data.sampling import EpochSampler

KINDS = [number % 3 == 0 for number in range(50)]


def order(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_batch_is_of_one_kind_and_no_image_comes_twice():
    sampler = AspectSampler(KINDS, 4, seed=1)
    pairs = order(sampler)
    assert len(pairs) == len(sampler) == 48  # 17 and 33 images make 4 and 8 batches of 4
    indices = [index for _, index in pairs]
    assert len(set(indices)) == 48
    for start in range(0, 48, 4):
        assert len({KINDS[index] for index in indices[start : start + 4]}) == 1
    assert pairs == order(sampler)
    assert {epoch for epoch, _ in order(sampler, 1)} == {1}
    assert [index for _, index in order(sampler, 1)] != indices


def test_images_of_one_kind_come_in_the_usual_order():
    assert order(AspectSampler([0] * 12, 4, seed=1), 2) == order(EpochSampler(12, seed=1), 2)


def test_a_continued_epoch_leaves_out_what_was_given():
    sampler = AspectSampler(KINDS, 4, seed=1)
    whole = order(sampler)
    sampler.skip = 8
    assert list(sampler) == whole[8:]


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_see_the_same_kind_at_once(monkeypatch, rank):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda *_: 2)
    samplers = []
    for one in (0, 1):
        monkeypatch.setattr("torch.distributed.get_rank", lambda *_, one=one: one)
        samplers.append(AspectSampler(KINDS, 4, seed=1))
    mine, other = order(samplers[rank]), order(samplers[1 - rank])
    assert len(mine) == len(other) == len(samplers[0]) == 24
    assert not set(mine) & set(other)
    for start in range(0, 24, 4):
        assert len({KINDS[index] for _, index in mine[start : start + 4] + other[start : start + 4]}) == 1
