import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu, scaled_dot_product_attention

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.cluster_twins import clusters_by_recursion
from tests.core.textbook import attend_one, depthwise_at, linear
from tests.golden_records import OpRecord
from vitcore import ClusterAttention, WindowAttention
from vitcore.attention.content.cluster_attention import (
    attend_clusters,
    extend_clusters,
    merge_shared,
    sort_tokens,
    unsort_tokens,
)
from vitcore.attention.content.clusters import balanced_clusters
from vitcore.attention.heads import merge_heads, split_qkv
from vitcore.convolution import on_map

RECORDS = {
    "boat_swin_content_attention_196": "head_dim**-0.5",
    "boat_cswin_content_attention_196": "head_dim**-0.5",
    "boat_cswin_content_attention_196_scale1": 1.0,
}


def rename(name: str) -> str:
    return name.replace("proj.", "projection.").replace("get_v.", "position.")


@pytest.mark.parametrize("name", RECORDS)
def test_it_computes_what_the_public_code_computes(name):
    record, op = OpRecord(name), ClusterAttention(32, head_dim=8, scale=RECORDS[name])
    record.load(op, rename)

    def function(x):
        return op(x.unflatten(1, (14, 14))).flatten(1, 2)

    record.assert_matches(function)
    function(record.x).square().mean().backward()
    for original, norm in record.meta["grad_l2_fp64"].items():
        assert float(op.get_parameter(rename(original)).grad.norm()) == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("name", RECORDS)
def test_each_cluster_has_the_keys_that_the_public_code_gives_it(name):
    record, op = OpRecord(name), ClusterAttention(32, head_dim=8)
    record.load(op, rename)
    q = split_qkv(op.qkv(record.x), 8)[0]
    assert torch.equal(extend_clusters(balanced_clusters(q, 49), 20), record.tensor("keys").long())
    images = record.tensor("keys_image").long()
    assert torch.equal(images, torch.arange(2).view(2, 1, 1, 1).expand_as(images))


def test_one_cluster_of_the_public_cswin_code_is_two_images_taken_for_one():
    """Its overlap leaks into the neighbouring image. The op refuses that; the functions can express it."""
    record, op = OpRecord("boat_cswin_content_attention_49"), ClusterAttention(32, head_dim=8, scale=1.0)
    record.load(op, rename)

    def leaking(x):
        qkv = op.qkv(x)
        pairs = [part.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2, 3) for part in split_qkv(qkv, 8)]
        clusters = torch.arange(98).view(1, 1, 2, 49).expand(1, 4, 2, 49)
        heads = attend_clusters(*pairs, clusters, overlap=20, scale=1.0)
        tokens = merge_heads(heads).view(2, 49, 32)
        return op.projection(tokens + on_map(op.position, qkv[..., 64:].unflatten(1, (7, 7))).flatten(1, 2))

    record.assert_matches(leaking)
    x = record.x
    assert not torch.allclose(op(x.unflatten(1, (7, 7))).flatten(1, 2), leaking(x))


def test_a_swin_block_with_the_content_branch_computes_what_the_public_code_computes():
    record = OpRecord("boat_swin_block_shift3")
    block = torch.nn.ModuleDict(
        {f"norm{number}": torch.nn.LayerNorm(32) for number in (1, 2, 4)}
        | {"attn": WindowAttention(32, window=7, shift=3, head_dim=8), "attnC": ClusterAttention(32, head_dim=8)}
        | {"mlp": torch.nn.ModuleDict({"fc1": torch.nn.Linear(32, 128), "fc2": torch.nn.Linear(128, 32)})}
    )
    state = {rename(name): value for name, value in record.weights().items() if name != "attn_mask"}
    state["attn.position.table"] = state.pop("attn.relative_position_bias_table")
    block.double().eval().load_state_dict(state)

    def function(x):
        grid = x.unflatten(1, (14, 14))
        for norm, op in (("norm1", "attn"), ("norm4", "attnC")):
            grid = grid + block[op](block[norm](grid))
        grid = grid + block["mlp"]["fc2"](gelu(block["mlp"]["fc1"](block["norm2"](grid))))
        return grid.flatten(1, 2)

    record.assert_matches(function)


def levels_and_size(t, cluster_size):
    levels = 0
    while 2**levels * cluster_size < t:
        levels += 1
    return levels, -(-t // 2**levels)


def clusters_of(op, q, t):
    levels, size = levels_and_size(t, op.cluster_size)
    slots = list(range(size << levels))
    return clusters_by_recursion(q, slots, levels, t, 0, op.iterations, op.assignment)


def overlap_of(op, clusters, number):
    """The tokens that a cluster takes from its sibling."""
    if len(clusters) == 1 or op.overlap == 0:
        return []
    sibling = clusters[number ^ 1]
    return sibling[: op.overlap] if number % 2 == 0 else sibling[-op.overlap :]


def attention_by_loops(op: ClusterAttention, grid: torch.Tensor) -> torch.Tensor:
    """For each image, head, cluster and query a softmax over the keys, written out."""
    b, h, w, width = grid.shape
    t, d = h * w, op.head_dim
    q, k, v = linear(op.qkv, grid.flatten(1, 2)).split(width, -1)
    images = []
    for image in range(b):
        heads = []
        for start in range(0, width, d):
            qs, ks, vs = (x[image, :, start : start + d] for x in (q, k, v))
            clusters = clusters_of(op, qs.detach(), t)
            results = [[] for _ in range(t)]
            for number, cluster in enumerate(clusters):
                keys = [i for i in cluster + overlap_of(op, clusters, number) if i < t]
                queries = keys if op.overlap_mode == "tokens" else [i for i in cluster if i < t]
                for i in queries:
                    one = attend_one(
                        qs[i : i + 1], [ks[j : j + 1] for j in keys], [vs[j : j + 1] for j in keys], d, op.scale
                    )
                    results[i].append(one[0])
            heads.append(torch.stack([sum(several) / len(several) for several in results]))
        images.append(torch.cat(heads, -1))
    values = v.view(b, h, w, width)
    neighbours = [depthwise_at(op.position, values, i, j, range(h), range(w)) for i in range(h) for j in range(w)]
    return linear(op.projection, torch.stack(images) + torch.stack(neighbours, 1)).view(grid.shape)


@pytest.mark.parametrize(("h", "w"), [(4, 4), (3, 5), (1, 7), (1, 1)])
@pytest.mark.parametrize(
    "arguments",
    [
        {"overlap": 2},
        {"overlap": 0, "assignment": "hard", "scale": 0.7},
        {"overlap": 1, "overlap_mode": "tokens", "iterations": 1},
        {"overlap": 9, "overlap_mode": "tokens"},
    ],
    ids=lambda arguments: "-".join(map(str, arguments.values())),
)
def test_it_equals_loops_over_images_heads_clusters_and_queries(h, w, arguments):
    op = randomise(ClusterAttention(8, head_dim=4, cluster_size=4, **arguments))
    assert_same_function(op, lambda grid: attention_by_loops(op, grid), random_grid(h, w, 8))


@pytest.mark.parametrize(("h", "w", "overlap"), [(6, 6, 0), (6, 6, 2), (7, 5, 2)])
def test_a_token_sees_its_clusters_their_overlaps_and_its_neighbours_and_no_other(h, w, overlap):
    op = randomise(ClusterAttention(8, head_dim=4, cluster_size=9, overlap=overlap))
    t, (i, j) = h * w, (2, 3)
    q = op.qkv(random_grid(h, w, 8, b=1)).flatten(1, 2)[0, :, :8].detach()
    declared = {(y, x) for y, x in all_tokens(h, w) if max(abs(y - i), abs(x - j)) <= 1}
    for start in (0, 4):
        clusters = clusters_of(op, q[:, start : start + 4], t)
        (own,) = [number for number, cluster in enumerate(clusters) if i * w + j in cluster]
        tokens = clusters[own] + overlap_of(op, clusters, own)
        declared |= {divmod(token, w) for token in tokens if token < t}
    assert seen_tokens(op, h, w, 8, query=(i, j)) == declared
    assert declared < all_tokens(h, w)


@pytest.mark.parametrize(("h", "w"), [(7, 7), (5, 3)])
def test_one_cluster_is_global_attention_with_the_neighbours_added(h, w):
    op = randomise(ClusterAttention(8, head_dim=4, cluster_size=49))

    def everywhere(grid):
        qkv = op.qkv(grid)
        heads = scaled_dot_product_attention(*split_qkv(qkv.flatten(1, 2), 4))
        return op.projection(merge_heads(heads).view(grid.shape) + on_map(op.position, qkv[..., 16:]))

    assert_same_function(op, everywhere, random_grid(h, w, 8, b=3))


@pytest.mark.parametrize("t", [32, 27])
def test_without_overlap_the_attention_is_block_diagonal_in_the_sorted_order(t):
    q, k, v = (random_grid(2, t, 4, seed=seed).detach() for seed in (1, 2, 3))
    clusters = balanced_clusters(q, 8)
    order = clusters.flatten(2)
    number = torch.empty_like(order)
    number.scatter_(-1, order, (torch.arange(order.shape[2]) // clusters.shape[3]).expand_as(order))
    same = number[:, :, :t, None] == number[:, :, None, :t]
    blocks = scaled_dot_product_attention(q, k, v, attn_mask=same)
    torch.testing.assert_close(attend_clusters(q, k, v, clusters), blocks)


@settings(max_examples=30, deadline=None)
@given(t=st.integers(1, 60), cluster_size=st.integers(2, 20), overlap=st.integers(0, 25), seed=st.integers(0, 1000))
def test_sorting_and_overlapping_are_undone_exactly(t, cluster_size, overlap, seed):
    tokens = random_grid(3, t, 4, seed=seed).detach()
    clusters = balanced_clusters(tokens, cluster_size)
    arranged = sort_tokens(tokens, clusters)
    assert torch.equal(unsort_tokens(arranged, clusters, t), tokens)
    extended = sort_tokens(tokens, extend_clusters(clusters, overlap))
    assert torch.equal(merge_shared(extended, clusters.shape[3]), arranged)


def test_padding_of_any_content_changes_nothing():
    q, k, v = (random_grid(1, 7, 4, b=1, seed=seed).detach() for seed in (1, 2, 3))
    here = attend_clusters(q, k, v, torch.tensor([[[[7, 0, 1, 2], [3, 4, 5, 6]]]]), overlap=2)
    there = attend_clusters(q, k, v, torch.tensor([[[[0, 1, 7, 2], [3, 4, 5, 6]]]]), overlap=1)
    torch.testing.assert_close(here[:, :, :3], scaled_dot_product_attention(q[:, :, :3], k[:, :, :5], v[:, :, :5]))
    torch.testing.assert_close(there[:, :, :3], scaled_dot_product_attention(q[:, :, :3], k[:, :, :4], v[:, :, :4]))


@pytest.mark.slow
def test_it_compiles_to_one_graph_that_takes_several_sizes():
    op = randomise(ClusterAttention(8, head_dim=4, cluster_size=9, overlap=2, iterations=1))
    torch.compiler.reset()
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager")
    for h, w, b in ((4, 4, 2), (3, 5, 3)):
        grid = random_grid(h, w, 8, b=b)
        torch.testing.assert_close(compiled(grid), op(grid), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head_dim": 28}, r"ClusterAttention: head_dim must divide width, got width=96, head_dim=28\."),
        ({"cluster_size": 1}, r"ClusterAttention: cluster_size must be at least 2, got cluster_size=1\."),
        (
            {"overlap": -1},
            r"ClusterAttention: overlap and iterations must not be negative, got overlap=-1, iterations=2\.",
        ),
        ({"iterations": -2}, r"must not be negative, got overlap=20, iterations=-2\."),
        ({"temperature": 0.0}, r"ClusterAttention: temperature must be positive, got temperature=0\.0\."),
    ],
)
def test_bad_arguments_are_refused_with_their_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClusterAttention(96, **arguments)
