import pytest
import torch

from tests.core.checks import assert_same_function, random_grid
from vitcore import local_attention_im2col


def local_attention_by_loops(q, k, v, kernel_size, bias, borders):
    b, h, w, n, d = q.shape
    reach = kernel_size // 2
    out = torch.zeros_like(q)
    for i in range(h):
        for j in range(w):
            scores, values = [], []
            for place in range(kernel_size**2):
                row, column = i + place // kernel_size - reach, j + place % kernel_size - reach
                inside = 0 <= row < h and 0 <= column < w
                if not inside and borders == "masked":
                    continue
                key = k[:, row, column] if inside else torch.zeros(b, n, d, dtype=q.dtype)
                scores.append((q[:, i, j] * key).sum(-1) * d**-0.5 + bias[:, place])
                values.append(v[:, row, column] if inside else torch.zeros(b, n, d, dtype=q.dtype))
            weights = torch.stack(scores).softmax(0)[..., None]
            out[:, i, j] = (weights * torch.stack(values)).sum(0)
    return out


@pytest.mark.parametrize(("h", "w", "kernel_size"), [(4, 3, 3), (1, 6, 5), (3, 2, 1)])
@pytest.mark.parametrize("borders", ["zero", "masked"])
def test_local_attention_equals_a_loop_over_neighbours(h, w, kernel_size, borders):
    heads = [random_grid(h, w, 6, seed=seed).detach().unflatten(3, (2, 3)).requires_grad_() for seed in range(3)]
    bias = torch.randn(2, kernel_size**2, dtype=torch.float64, requires_grad=True)
    assert_same_function(
        lambda q, k, v, bias: local_attention_im2col(q, k, v, kernel_size, bias, borders),
        lambda q, k, v, bias: local_attention_by_loops(q, k, v, kernel_size, bias, borders),
        *heads,
        bias,
    )


def test_an_even_kernel_is_refused():
    q = torch.zeros(1, 2, 2, 1, 1)
    with pytest.raises(
        ValueError, match=r"local_attention_im2col: kernel_size must be odd and positive, got kernel_size=2"
    ):
        local_attention_im2col(q, q, q, 2)
