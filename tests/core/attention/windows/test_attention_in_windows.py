import pytest
import torch

from vitcore import attend_windows


def random_parts(bn: int, t: int, s: int, heads: int = 2, d: int = 4):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(bn, n, heads, d, dtype=torch.float64, generator=generator) for n in (t, s, s)]


@pytest.mark.parametrize("masked", ["no", "pairs"])
@pytest.mark.parametrize("biased", ["no", "table"])
def test_each_window_attends_with_the_bias_and_the_pairs_of_its_place_in_the_image(masked, biased):
    q, k, v = random_parts(bn=6, t=3, s=5)
    generator = torch.Generator().manual_seed(1)
    bias = torch.randn(1, 2, 3, 5, dtype=torch.float64, generator=generator) if biased == "table" else None
    allowed = torch.rand(3, 1, 3, 5, generator=generator) < 0.6 if masked == "pairs" else None
    if allowed is not None:
        allowed[..., 0] = True
    ours = attend_windows(q, k, v, bias, allowed)
    assert ours.shape == (6, 3, 8)
    for window in range(6):
        for head in range(2):
            scores = q[window, :, head] @ k[window, :, head].T / 2
            if bias is not None:
                scores = scores + bias[0, head]
            if allowed is not None:
                scores = torch.where(allowed[window % 3, 0], scores, -torch.inf)
            expected = scores.softmax(1) @ v[window, :, head]
            torch.testing.assert_close(ours[window, :, head * 4 : head * 4 + 4], expected)
