import torch

from tests.core.checks import random_grid
from tests.core.loops import attend_one
from vitcore.attention.group_attention import group_attention


def test_each_group_is_attention_over_its_real_keys():
    q, k, v = (random_grid(2, 3, 8, b=4, seed=seed).unflatten(3, (2, 4)) for seed in range(3))
    real = torch.tensor([[[True, True, False], [False, True, True]], [[True] * 3, [True, False, False]]])
    out = group_attention(q, k, v, real, scale=0.3)
    for group in range(4):
        places = [(i, j) for i in range(2) for j in range(3) if real[group % 2, i, j]]
        keys, values = ([part[group : group + 1, i, j].flatten(1) for i, j in places] for part in (k, v))
        for i in range(2):
            for j in range(3):
                expected = attend_one(q[group : group + 1, i, j].flatten(1), keys, values, head_dim=4, scale=0.3)
                torch.testing.assert_close(out[group : group + 1, i, j].flatten(1), expected)


def test_queries_and_keys_may_differ_in_number():
    q, k, v = (random_grid(1, t, 8, seed=t).squeeze(1).unflatten(2, (2, 4)) for t in (5, 3, 3))
    keys, values = ([token.flatten(1) for token in part.unbind(1)] for part in (k, v))
    out = group_attention(q, k, v)
    assert out.shape == q.shape
    for t in range(5):
        torch.testing.assert_close(out[:, t].flatten(1), attend_one(q[:, t].flatten(1), keys, values, head_dim=4))
