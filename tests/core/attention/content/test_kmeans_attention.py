import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.cluster_twins import kmeans_by_loops
from tests.core.textbook import attend_one, depthwise_at, linear
from vitcore import ClusterAttention, KMeansAttention, attend_labels


def attention_by_loops(op: KMeansAttention, grid: torch.Tensor) -> torch.Tensor:
    """For each image, head and query a softmax over the tokens of the query's cluster, written out."""
    b, h, w, width = grid.shape
    t, d = h * w, op.head_dim
    q, k, v = linear(op.qkv, grid.flatten(1, 2)).split(width, -1)
    images = []
    for image in range(b):
        heads = []
        for start in range(0, width, d):
            qs, ks, vs = (x[image, :, start : start + d] for x in (q, k, v))
            label = kmeans_by_loops(qs.detach(), -(-t // op.cluster_size), op.iterations)
            rows = []
            for i in range(t):
                keys = [j for j in range(t) if label[j] == label[i]]
                rows.append(
                    attend_one(qs[i : i + 1], [ks[j : j + 1] for j in keys], [vs[j : j + 1] for j in keys], d, op.scale)
                )
            heads.append(torch.cat(rows))
        images.append(torch.cat(heads, -1))
    values = v.view(b, h, w, width)
    neighbours = [depthwise_at(op.position, values, i, j, range(h), range(w)) for i in range(h) for j in range(w)]
    return linear(op.projection, torch.stack(images) + torch.stack(neighbours, 1)).view(grid.shape)


@pytest.mark.parametrize(("h", "w"), [(4, 4), (3, 5), (1, 7), (1, 1)])
@pytest.mark.parametrize("scale", ["head_dim**-0.5", 0.7])
def test_it_equals_loops_over_images_heads_and_queries(h, w, scale):
    op = randomise(KMeansAttention(8, head_dim=4, cluster_size=4, iterations=3, scale=scale))
    assert_same_function(op, lambda grid: attention_by_loops(op, grid), random_grid(h, w, 8))


def test_a_token_sees_its_clusters_and_its_neighbours_and_no_other():
    op = randomise(KMeansAttention(8, head_dim=4, cluster_size=7))
    q = op.qkv(random_grid(6, 6, 8, b=1)).flatten(1, 2)[0, :, :8].detach()
    declared = {(y, x) for y, x in all_tokens(6, 6) if max(abs(y - 2), abs(x - 3)) <= 1}
    for start in (0, 4):
        label = kmeans_by_loops(q[:, start : start + 4], 6, 10)
        declared |= {divmod(token, 6) for token in range(36) if label[token] == label[2 * 6 + 3]}
    assert seen_tokens(op, 6, 6, 8, query=(2, 3)) == declared
    assert declared < all_tokens(6, 6)


@pytest.mark.parametrize(("h", "w"), [(7, 7), (5, 3)])
def test_one_cluster_equals_one_balanced_cluster(h, w):
    op, balanced = randomise(KMeansAttention(8, head_dim=4)), randomise(ClusterAttention(8, head_dim=4))
    balanced.load_state_dict(op.state_dict())
    grid = random_grid(h, w, 8)
    torch.testing.assert_close(op(grid), balanced(grid))


def test_one_label_for_all_is_global_attention_and_one_label_for_each_returns_the_values():
    q, k, v = (random_grid(2, 9, 4, seed=seed).detach() for seed in (1, 2, 3))
    everywhere = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attend_labels(q, k, v, torch.zeros(2, 2, 9, dtype=torch.long)), everywhere)
    torch.testing.assert_close(attend_labels(q, k, v, torch.arange(9).expand(2, 2, 9)), v)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head_dim": 28}, r"KMeansAttention: head_dim must divide width, got width=96, head_dim=28\."),
        (
            {"cluster_size": 0},
            r"cluster_size must be positive and iterations not negative, got cluster_size=0, iterations=10\.",
        ),
        ({"iterations": -1}, r"got cluster_size=49, iterations=-1\."),
    ],
)
def test_bad_arguments_are_refused_with_their_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        KMeansAttention(96, **arguments)
