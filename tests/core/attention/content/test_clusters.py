import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.cluster_twins import clusters_by_recursion, kmeans_by_loops
from tests.golden_records import OpRecord
from vitcore.attention.content.clusters import balanced_clusters, cluster_shape, inverse_permutation, kmeans_clusters
from vitcore.attention.heads import split_qkv

BOAT_RECORDS = [
    "boat_swin_content_attention_196",
    "boat_cswin_content_attention_196",
    "boat_cswin_content_attention_196_scale1",
]


def features(t, b=2, n=2, d=4, seed=0):
    return torch.randn(b, n, t, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", BOAT_RECORDS)
def test_the_permutation_is_that_of_the_public_code(name):
    record = OpRecord(name)
    weights = record.weights()
    qkv = record.x @ weights["qkv.weight"].T + weights["qkv.bias"]
    order = balanced_clusters(split_qkv(qkv, 8)[0], 49)
    assert order.shape == (2, 4, 4, 49)
    assert torch.equal(order.flatten(2), record.tensor("perm").long())


@pytest.mark.parametrize(("t", "cluster_size"), [(16, 4), (13, 4), (7, 2), (9, 8), (5, 3), (1, 2)])
@pytest.mark.parametrize(("assignment", "rounds"), [("soft", 0), ("soft", 2), ("hard", 1), ("hard", 3)])
def test_balanced_clusters_equal_a_recursion_over_lists_of_tokens(t, cluster_size, assignment, rounds):
    points = features(t)
    ours = balanced_clusters(points, cluster_size, rounds, assignment)
    levels, size = cluster_shape(t, cluster_size)
    for image in range(2):
        for head in range(2):
            slots = list(range(size << levels))
            twin = clusters_by_recursion(points[image, head], slots, levels, t, 0, rounds, assignment)
            assert ours[image, head].tolist() == twin


@settings(max_examples=60, deadline=None)
@given(
    t=st.integers(1, 90),
    cluster_size=st.integers(2, 40),
    assignment=st.sampled_from(["soft", "hard"]),
    kind=st.sampled_from(["random", "equal", "zero", "opposite", "float32"]),
    seed=st.integers(0, 1000),
)
def test_clusters_are_a_partition_into_equal_sizes_whatever_the_tokens(t, cluster_size, assignment, kind, seed):
    points = features(t, seed=seed)
    if kind == "equal":
        points = points[:, :, :1].expand_as(points)
    elif kind == "zero":
        points = torch.zeros_like(points)
    elif kind == "opposite":
        points = points[:, :, :1] * torch.where(points[..., :1] > 0, 1.0, -1.0)
    elif kind == "float32":
        points = points.float()
    order = balanced_clusters(points, cluster_size, assignment=assignment)
    splits, size = cluster_shape(t, cluster_size)
    assert order.shape == (2, 2, 2**splits, size)
    assert size <= cluster_size
    flat = order.flatten(2)
    assert torch.equal(flat.sort(-1).values, torch.arange(flat.shape[2]).expand_as(flat))
    real = (order < t).sum(-1)
    assert real.max() == size
    assert real.max() - real.min() <= 1
    inverse = inverse_permutation(flat)
    assert torch.equal(flat.gather(-1, inverse), torch.arange(flat.shape[2]).expand_as(flat))
    assert torch.equal(inverse.gather(-1, flat), torch.arange(flat.shape[2]).expand_as(flat))


@settings(max_examples=20, deadline=None)
@given(t=st.integers(3, 60), cluster_size=st.integers(2, 20), seed=st.integers(0, 1000))
def test_padding_lies_at_the_outer_ends_of_a_pair_of_clusters(t, cluster_size, seed):
    order = balanced_clusters(features(t, seed=seed), cluster_size)
    if order.shape[2] > 1:
        assert (order[:, :, 0::2, 1:] < t).all()
        assert (order[:, :, 1::2, :-1] < t).all()


@pytest.mark.parametrize(
    ("t", "cluster_size", "expected"), [(3136, 49, (6, 49)), (784, 49, (4, 49)), (49, 49, (0, 49))]
)
def test_the_paper_s_stages_have_clusters_of_49(t, cluster_size, expected):
    assert cluster_shape(t, cluster_size) == expected


def test_other_maps_have_the_fewest_clusters_that_are_small_enough():
    assert cluster_shape(50, 49) == (1, 25)
    assert cluster_shape(4096, 49) == (7, 32)
    assert cluster_shape(35, 8) == (3, 5)


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_groups_of_like_tokens_become_the_clusters(assignment):
    group = torch.randperm(32, generator=torch.Generator().manual_seed(3)) % 4
    points = torch.eye(4, dtype=torch.float64)[group] + 0.01 * features(32, 1, 1)
    order = balanced_clusters(points, 8, assignment=assignment)
    assert all(len(set(group[cluster].tolist())) == 1 for cluster in order[0, 0])


def test_each_image_and_head_is_clustered_by_itself():
    points = features(40, b=3, n=2)
    order = balanced_clusters(points, 10)
    assert torch.equal(order[1:2], balanced_clusters(points[1:2], 10))
    assert torch.equal(order[:, 1:], balanced_clusters(points[:, 1:], 10))
    assert not torch.equal(order[:, 0], order[:, 1])


def test_the_length_of_all_features_does_not_matter():
    points = features(40)
    assert torch.equal(balanced_clusters(points, 10), balanced_clusters(7.5 * points, 10))


def test_the_temperature_decides_between_a_mean_of_all_and_of_the_nearer_half():
    points = features(64)
    assert not torch.equal(balanced_clusters(points, 16), balanced_clusters(points, 16, temperature=1.0))


@pytest.mark.parametrize("cluster", [lambda x: balanced_clusters(x, 5), lambda x: kmeans_clusters(x, 4)])
def test_no_gradient_passes_through_a_clustering(cluster):
    assert not cluster(features(20).requires_grad_()).requires_grad


@pytest.mark.parametrize("cluster", [lambda x: balanced_clusters(x, 5), lambda x: kmeans_clusters(x, 4)])
def test_half_precision_rounds_the_features_and_nothing_else(cluster):
    points = features(40).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cluster(points), cluster(points.float()))
    assert torch.equal(cluster(points), cluster(points.float()))


@pytest.mark.parametrize(("t", "k"), [(12, 3), (13, 5), (7, 7), (4, 1), (1, 1)])
@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_kmeans_equals_loops_over_tokens_and_centres(t, k, rounds):
    points = features(t)
    ours = kmeans_clusters(points, k, rounds)
    for image in range(2):
        for head in range(2):
            assert ours[image, head].tolist() == kmeans_by_loops(points[image, head], k, rounds)


def test_kmeans_finds_groups_of_unequal_size():
    group = torch.tensor([0] * 20 + [1] * 12)
    points = torch.eye(2, dtype=torch.float64)[group] + 0.01 * features(32, 1, 1, 2)
    assert torch.equal(kmeans_clusters(points, 2)[0, 0], group)


def test_kmeans_is_finite_where_a_centre_has_no_token():
    points = torch.ones(1, 1, 6, 2, dtype=torch.float64)
    assert kmeans_clusters(points, 3, 4).unique().tolist() == [0]


def test_a_cluster_of_one_slot_is_refused():
    with pytest.raises(ValueError, match=r"balanced_clusters: cluster_size must be at least 2, got cluster_size=1\."):
        balanced_clusters(features(4), 1)
