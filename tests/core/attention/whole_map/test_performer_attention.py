import pytest
import torch
from torch import nn

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import linear
from tests.golden_records import OpRecord
from vitcore import PerformerAttention, performer_attention

NAMES = {"w": "attention.directions", "kqv": "attention.kqv", "proj": "attention.projection"}


def test_with_its_norm_and_mlp_it_computes_what_the_public_code_computes():
    record = OpRecord("localvit_t2t_token_performer")
    parts = nn.ModuleDict(
        {
            "norm1": nn.LayerNorm(27),
            "attention": PerformerAttention(27, 32),
            "norm2": nn.LayerNorm(32),
            "mlp": nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 32)),
        }
    )

    def rename(name):
        layer, dot, kind = name.partition(".")
        return f"{NAMES.get(layer, layer)}{dot}{kind}"

    record.load(parts, rename)

    def token_performer(x):
        tokens = parts["attention"](parts["norm1"](x.unflatten(1, (14, 14)))).flatten(1, 2)
        return tokens + parts["mlp"](parts["norm2"](tokens))

    record.assert_matches(token_performer)


def performer_by_loops(op: PerformerAttention, grid: torch.Tensor) -> torch.Tensor:
    """The t x t weights that the linear form never makes, from the random features of each pair."""
    b, h, w, _ = grid.shape
    k, q, v = linear(op.kqv, grid.flatten(1, 2)).chunk(3, -1)
    m = len(op.directions)

    def features(x):
        return torch.stack([(x @ direction - (x * x).sum(-1) / 2).exp() / m**0.5 for direction in op.directions], -1)

    tokens = []
    for query in range(h * w):
        weights = [(features(q[:, query]) * features(k[:, key])).sum(-1) for key in range(h * w)]
        mixed = sum(weight[:, None] * v[:, key] for key, weight in enumerate(weights)) / (sum(weights) + 1e-8)[:, None]
        tokens.append(v[:, query] + linear(op.projection, mixed))
    return torch.stack(tokens, 1).view(b, h, w, -1)


@pytest.mark.parametrize(("h", "w"), [(3, 4), (1, 5), (1, 1)])
def test_it_equals_a_loop_over_all_pairs(h, w):
    op = randomise(PerformerAttention(5, 6))
    assert_same_function(op, lambda grid: performer_by_loops(op, grid), random_grid(h, w, 5))


def test_many_random_features_approach_softmax_attention_without_a_scale():
    q, k, v = (random_grid(1, 6, 4, seed=seed).detach().flatten(1, 2) for seed in (1, 2, 3))
    directions = torch.randn(100_000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores = 0.09 * q @ k.transpose(1, 2)
    estimate = performer_attention(0.3 * q, 0.3 * k, v, directions)
    assert (estimate - scores.softmax(-1) @ v).abs().max() < 0.01
    assert (estimate - (scores / 2).softmax(-1) @ v).abs().max() > 0.05


def test_every_token_is_seen():
    op = randomise(PerformerAttention(4, 6))
    assert seen_tokens(op, 3, 4, 4, query=(1, 2)) == all_tokens(3, 4)


def test_the_directions_are_orthogonal_of_length_root_m_saved_and_not_trained():
    op = PerformerAttention(147, 64)
    first = op.directions.clone()
    op.reset_parameters()
    assert not torch.equal(op.directions, first)
    for directions in (first, op.directions):
        torch.testing.assert_close(directions @ directions.T, 32 * torch.eye(32), rtol=0, atol=1e-4)
    assert "directions" in op.state_dict()
    assert "directions" not in dict(op.named_parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_averages_in_float32(dtype):
    op = randomise(PerformerAttention(8, 16)).float()
    grid = random_grid(56, 56, 8, b=1).detach().float()
    exact = op(grid)
    with torch.autocast("cpu", dtype=dtype):
        assert (op(grid) - exact).abs().max() < 0.05 * exact.abs().max()
    assert op.to(dtype)(grid.to(dtype)).isfinite().all()


def test_features_that_underflow_give_no_nan():
    v = random_grid(1, 3, 4).detach().flatten(1, 2)
    y = performer_attention(100 * v, 100 * v, v, torch.eye(4, dtype=torch.float64))
    assert torch.equal(y, torch.zeros_like(v))


def test_too_few_features_are_refused():
    with pytest.raises(
        ValueError,
        match=r"PerformerAttention: feature_ratio must give at least one feature, got width=8, feature_ratio=0\.1\.",
    ):
        PerformerAttention(4, 8, feature_ratio=0.1)
