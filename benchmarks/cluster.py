"""The cost of clustering against that of the attention after it, and this package's forms against a textbook form.

    OMP_NUM_THREADS=1 python benchmarks/cluster.py

Times are CPU times of one thread, medians of interleaved rounds, so that a busy machine disturbs them little;
a ratio is the median of the rounds' ratios. Map 56 x 56, width 96, batch 8: BOAT-Swin-T's first stage at 224 pixels.
"""

import argparse
import platform
import statistics
import time

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vitcore import ClusterAttention
from vitcore.attention.content.cluster_attention import attend_clusters
from vitcore.attention.content.clusters import balanced_clusters
from vitcore.attention.heads import split_qkv


def textbook_clusters(q: Tensor, cluster_size: int, iterations: int = 2) -> Tensor:
    """The levels one after the other with torch.gather, softmax over the last axis and argsort: (b, n, t) -> order."""
    b, n, t, d = q.shape
    q = q.detach().reshape(b * n, t, d)
    order = torch.arange(t).expand(b * n, t)
    while q.shape[1] > cluster_size:
        half = q.shape[1] // 2
        unit = normalize(q, dim=-1)
        centres = normalize(torch.stack((q[:, :half].mean(1), q[:, half:].mean(1)), 1), dim=-1)
        for _ in range(iterations):
            weight = (100 * unit @ centres.mT).softmax(-1)
            centres = normalize(weight.mT @ q, dim=-1)
        cosine = unit @ centres.mT + 1
        index = (cosine[..., 0] / cosine[..., 1]).argsort(-1)
        q = q.gather(1, index.unsqueeze(-1).expand_as(q)).view(-1, half, d)
        order = order.gather(1, index).view(-1, half)
    return order.view(b, n, t)


def textbook_attention(q: Tensor, k: Tensor, v: Tensor, order: Tensor, size: int, overlap: int) -> Tensor:
    """Gather, concatenate the siblings' tokens, softmax written out, scatter by argsort."""
    b, n, t, d = q.shape
    index = order.unsqueeze(-1).expand(b, n, t, d)
    q, k, v = (x.gather(2, index).reshape(-1, 2, size, d) for x in (q, k, v))
    k, v = (
        torch.stack((torch.cat((x[:, 0], x[:, 1, :overlap]), 1), torch.cat((x[:, 1], x[:, 0, -overlap:]), 1)), 1)
        for x in (k, v)
    )
    attended = ((q @ k.mT) * d**-0.5).softmax(-1) @ v
    back = order.argsort(-1).unsqueeze(-1).expand(b, n, t, d)
    return attended.reshape(b, n, t, d).gather(2, back).transpose(1, 2).reshape(b, t, n * d)


def interleaved(rounds: int, **functions) -> dict[str, list[float]]:
    """Seconds of each function in each round."""
    for function in functions.values():
        function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.thread_time()
            function()
            times[name].append(time.thread_time() - start)
    return times


def train(op: torch.nn.Module, grid: Tensor) -> None:
    op(grid).sum().backward()
    op.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=56, help="h = w, 7 * 2**k for the textbook form")
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=21)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    op = ClusterAttention(arguments.width, head_dim=32)
    grid = torch.randn(arguments.batch, arguments.side, arguments.side, arguments.width)
    with torch.no_grad():
        q, k, v = split_qkv(op.qkv(grid).flatten(1, 2), 32)
        q = q.contiguous()  # As in the op: one copy serves both steps.
        clusters, order = balanced_clusters(q, 49), textbook_clusters(q, 49)
        agreement = (clusters.flatten(2) == order).double().mean().item()
        times = interleaved(
            arguments.rounds,
            cluster=lambda: balanced_clusters(q, 49),
            attend=lambda: attend_clusters(q, k, v, clusters, 20),
            textbook_cluster=lambda: textbook_clusters(q, 49),
            textbook_attend=lambda: textbook_attention(q, k, v, order, 49, 20),
            whole_op=lambda: op(grid),
        )
    times |= interleaved(max(arguments.rounds // 4, 3), whole_op_training=lambda: train(op, grid))
    print(f"{platform.processor() or platform.machine()}, one thread, torch {torch.__version__}, {vars(arguments)}")
    for name, seconds in times.items():
        print(f"{name:20} {1e3 * statistics.median(seconds):9.1f} ms")

    def ratio(above: str, below: str) -> float:
        return statistics.median(a / b for a, b in zip(times[above], times[below], strict=True))

    print(f"clustering / gather + attention + scatter   {ratio('cluster', 'attend'):.2f}   (bar 1.50)")
    print(f"textbook / ours, clustering                 {ratio('textbook_cluster', 'cluster'):.2f}")
    print(f"textbook / ours, attention                  {ratio('textbook_attend', 'attend'):.2f}")
    print(f"tokens in the textbook's order (float32)    {100 * agreement:.2f} %")


if __name__ == "__main__":
    main()
