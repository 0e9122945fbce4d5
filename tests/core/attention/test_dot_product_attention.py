import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from tests.core.checks import random_grid
from tests.core.textbook import attend_one
from vitcore.attention.dot_product_attention import FEW_KEYS, attend, group_attention


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


@pytest.mark.parametrize("keys", [1, FEW_KEYS.start - 1, FEW_KEYS.start, FEW_KEYS.stop - 1, FEW_KEYS.stop])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_to_few_keys_equals_torchs_kernel_in_values_and_gradients(keys, scale):
    shapes = ((2, 3, 5, 4), (2, 3, keys, 4), (2, 3, keys, 4))
    first = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    second = [x.detach().clone().requires_grad_() for x in first]
    spelled, fused = attend(*first, scale), scaled_dot_product_attention(*second, scale=scale)
    cotangent = torch.randn_like(spelled)
    spelled.backward(cotangent)
    fused.backward(cotangent)
    assert_close(spelled, fused)
    for a, b in zip(first, second, strict=True):
        assert_close(a.grad, b.grad)
    with torch.no_grad():
        assert_close(attend(*first, scale), fused)
