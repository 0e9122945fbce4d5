"""The cases to compare: every op on maps of its paper's first stages, with its textbook form and timm's.

Left out are the ops that only return a table or nothing: AbsolutePosition, SinusoidalPosition and Nothing.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cluster
import library_ops as library
import slide
import textbook_attention as attention
import textbook_maps as maps
import torch
from measure import Function
from torch import Tensor, nn

import vitcore
from vitcore.attention.neighborhood.deformed_shift import one_hot_shifts

SIDES, IMAGE = (56, 28, 14), (3, 224, 224)
DEIT, SWIN, PVT, CSWIN, CVT = (192,), (96, 192, 384), (64, 128, 320), (64, 128, 256), (64, 192, 384)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One op on inputs of some shapes, batch not counted. ``textbook`` and ``timm`` compute what ``ours`` computes."""

    op: str
    of: str
    ours: nn.Module
    shapes: tuple[Shape, ...]
    textbook: Callable
    timm: nn.Module | None = None

    def forms(self) -> dict[str, Function]:
        """Name -> function of the inputs. Messengers travel as prefix tokens."""
        prefixed = len(self.shapes) == 2 and isinstance(self.ours, vitcore.FeatureOp)
        forms = {"ours": self.ours.forward_prefixed if prefixed else self.ours}
        forms["textbook"] = functools.partial(self.textbook, self.ours)
        return forms if self.timm is None else forms | {"timm": self.timm}

    def modules(self) -> list[nn.Module]:
        return [self.ours] if self.timm is None else [self.ours, self.timm]


def stages(
    of: str,
    make: Callable[[int], nn.Module],
    textbook: Callable,
    widths: tuple[int, ...],
    timm: Callable | None = None,
    sides: tuple[int, ...] = SIDES,
    op: str = "",
) -> Iterator[Case]:
    """Cases of an op that keeps the shape; ``make`` is given the number of the stage, from 0."""
    for stage, (width, side) in enumerate(zip(widths, sides, strict=True)):
        ours = make(stage)
        theirs = None if timm is None else timm(ours)
        yield Case(op or type(ours).__name__, of, ours, ((side, side, width),), textbook, theirs)


def global_attentions() -> Iterator[Case]:
    yield from stages(
        "DeiT-T",
        lambda _: vitcore.GlobalAttention(192),
        attention.global_attention,
        DEIT,
        library.global_attention,
        (14,),
    )
    yield from stages(
        "TNT-S",
        lambda _: vitcore.SeparateAttention(384),
        attention.separate_attention,
        (384,),
        library.separate_attention,
        (14,),
    )
    yield from stages(
        "PVT-T",
        lambda s: vitcore.SpatialReductionAttention(PVT[s], reduction=(8, 4, 2)[s]),
        attention.reduction_attention,
        PVT,
        library.reduction_attention,
    )
    yield from stages(
        "PVTv2-B2-Li",
        lambda s: vitcore.PooledReductionAttention(PVT[s]),
        attention.reduction_attention,
        PVT,
        library.reduction_attention,
    )
    halved = functools.partial(vitcore.SeparableProjection, reduction=2, bias="pointwise")
    yield from stages(
        "CvT-13", lambda s: vitcore.ProjectedAttention(CVT[s], projection=halved), attention.projected_attention, CVT
    )
    yield from stages(
        "DAT++-T",
        lambda s: vitcore.DeformableAttention(
            CSWIN[s], 32, (1, 2, 4)[s], (8, 4, 2)[s], (9, 7, 5)[s], grid_size=(SIDES[s], SIDES[s])
        ),
        attention.deformable_attention,
        CSWIN,
    )
    yield from stages(
        "Swin-T's maps",
        lambda s: vitcore.KMeansAttention(SWIN[s + 1]),
        attention.kmeans_attention,
        SWIN[1:],
        sides=SIDES[1:],
    )


def window_attentions() -> Iterator[Case]:
    for shift in (0, 3):
        for width, side in zip(SWIN, SIDES, strict=True):
            op = vitcore.WindowAttention(width, shift=shift)
            theirs = library.window_attention(op, side, side)
            name = f"WindowAttention, shift {shift}"
            yield Case(name, "Swin-T", op, ((side, side, width),), attention.window_attention, theirs)
    yield from stages(
        "Swin-T's maps",
        lambda s: vitcore.WindowAttention(SWIN[s], position=vitcore.ContinuousPositionBias),
        attention.window_attention,
        SWIN,
        op="WindowAttention, continuous",
    )
    yield from stages(
        "Shuffle-T",
        lambda s: vitcore.ShuffledWindowAttention(SWIN[s]),
        attention.shuffled_window_attention,
        SWIN,
    )
    for width, side, shuffle in zip(CSWIN, SIDES, (4, 4, 2), strict=True):
        shapes = ((side, side, width), ((side // 7) ** 2, width))
        op = vitcore.MessengerAttention(width, messengers="prefix")
        yield Case("MessengerAttention", "MSG-T", op, shapes, attention.messenger_attention)
        exchange = vitcore.MessengerExchange(width, shuffle=shuffle)
        yield Case("MessengerExchange", "MSG-T", exchange, shapes, attention.messenger_exchange)
    yield from stages(
        "CSWin-T",
        lambda s: vitcore.CrossWindowAttention(CSWIN[s], stripe=(1, 2, 7)[s]),
        attention.cross_window_attention,
        CSWIN,
    )
    yield from stages("Pale-T", lambda s: vitcore.PaleAttention(CSWIN[s]), attention.pale_attention, CSWIN)
    yield from stages(
        "Pale-T", lambda s: vitcore.VanillaPaleAttention(CSWIN[s]), attention.vanilla_pale_attention, CSWIN
    )
    yield from stages("Swin-T's maps", lambda s: vitcore.AxialAttention(SWIN[s]), attention.axial_attention, SWIN)
    yield from stages(
        "Swin-T's maps",
        lambda s: vitcore.PositionSensitiveAxialAttention(SWIN[s]),
        attention.position_sensitive_attention,
        SWIN,
        op="PositionSensitiveAxial",
    )


def local_attentions() -> Iterator[Case]:
    yield from stages(
        "NAT-Mini", lambda s: vitcore.NeighborhoodAttention(CSWIN[s]), attention.neighborhood_attention, CSWIN
    )
    for h, w, width in slide.STAGES.values():
        shapes = ((h, w, width),)
        yield Case("SlideAttention", "Slide-Swin-T", vitcore.SlideAttention(width), shapes, two_convolutions)
        fixed = vitcore.SlideAttention(width, shift="fixed", position="none")
        yield Case("SlideAttention, fixed", "Slide-Swin-T", fixed, shapes, slide.im2col)
    yield from stages("BOAT-Swin-T", lambda s: vitcore.ClusterAttention(SWIN[s]), cluster_textbook, SWIN)


def two_convolutions(op: vitcore.SlideAttention, grid: Tensor) -> Tensor:
    """The fixed shift as a convolution of its own beside the learned one."""
    fixed = fixed_filters(op.head_dim, op.kernel_size, grid.dtype, grid.device)
    return slide.textbook(op, grid, [(fixed, op.shift.fixed_bias), (op.shift.weight, op.shift.bias)])


@functools.cache
def fixed_filters(head_dim: int, kernel_size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return one_hot_shifts(head_dim, kernel_size).to(dtype=dtype, device=device)


def cluster_textbook(op: vitcore.ClusterAttention, grid: Tensor) -> Tensor:
    """Level by level with gathers, the attention matrix written out, the values convolved as a channels-first map."""
    _, h, w, _ = grid.shape
    qkv = op.qkv(grid.flatten(1, 2))
    q, k, v = attention.to_heads(qkv, op.head_dim)
    size = h * w
    while size > op.cluster_size:
        size //= 2
    order = cluster.textbook_clusters(q, op.cluster_size)
    mixed = cluster.textbook_attention(q, k, v, order, size, op.overlap)
    return op.projection(mixed + attention.lepe(op, qkv, h, w)).view(grid.shape)


def maps_of_tokens() -> Iterator[Case]:
    """Feed-forwards, positions and channel attentions."""
    yield from stages("DeiT-T", lambda _: vitcore.Mlp(192), maps.mlp, DEIT, library.mlp, (14,))
    yield from stages(
        "PVTv2-B2",
        lambda s: vitcore.ConvolutionalFeedForward(PVT[s], (8.0, 8.0, 4.0)[s]),
        maps.convolutional_feed_forward,
        PVT,
        library.convolutional_feed_forward,
    )
    yield from stages(
        "LocalViT-PVT",
        lambda s: vitcore.LocalityFeedForward(
            PVT[s],
            (8.0, 8.0, 4.0)[s],
            channel_attention=functools.partial(vitcore.SqueezeExcite, reduction=PVT[s]),
        ),
        maps.locality_feed_forward,
        PVT,
        library.locality_feed_forward,
    )
    hidden = (512, 1024, 1280)
    for make, textbook, theirs in (
        (vitcore.SqueezeExcite, maps.squeeze_excite, library.squeeze_excite),
        (vitcore.EfficientChannel, maps.efficient_channel, library.efficient_channel),
        (vitcore.EffectiveSqueezeExcite, maps.effective_squeeze, library.effective_squeeze),
        (vitcore.GlobalResponseNorm, maps.response_norm, library.response_norm),
    ):
        yield from stages("LocalViT-PVT's maps", lambda s, make=make: make(hidden[s]), textbook, hidden, theirs)
    yield from stages("Pale-T", lambda s: vitcore.ConditionalPosition(CSWIN[s]), maps.conditional_position, CSWIN)


def embeddings() -> Iterator[Case]:
    patches = vitcore.PatchEmbedding(3, 192)
    theirs = library.patch_embedding(patches, IMAGE[1])
    yield Case("PatchEmbedding", "DeiT-T", patches, (IMAGE,), maps.patch_embedding, theirs)
    overlap = vitcore.OverlapPatchEmbedding(3, 64)
    theirs = library.overlap_embedding(overlap)
    yield Case("OverlapPatchEmbedding", "PVTv2-B2", overlap, (IMAGE,), maps.patch_embedding, theirs)
    yield Case("ConvStem", "Shuffle-T", vitcore.ConvStem(3, 96), (IMAGE,), maps.conv_stem)
    for side, narrow, wide in ((56, 64, 128), (28, 128, 320)):
        op = vitcore.OverlapPatchMerging(narrow, wide)
        theirs = library.overlap_merging(op)
        yield Case("OverlapPatchMerging", "PVTv2-B2", op, ((side, side, narrow),), maps.overlap_merging, theirs)
    for side, narrow, wide in ((56, 96, 192), (28, 192, 384)):
        op = vitcore.PatchMerging(narrow, wide)
        theirs = library.patch_merging(op)
        yield Case("PatchMerging", "Swin-T", op, ((side, side, narrow),), maps.patch_merging, theirs)
    for side, narrow in ((224, 3), (56, 64)):
        arguments = (7, 4, 2) if side == 224 else (3, 2, 1)
        op = vitcore.SoftSplit(narrow, *arguments)
        yield Case("SoftSplit", "T2T-ViT-7", op, ((side, side, narrow),), maps.soft_split)
    for side, wide in ((56, 147), (28, 576)):
        shapes = ((side, side, wide),)
        performer, token = vitcore.PerformerAttention(wide, 64), vitcore.TokenAttention(wide, 64)
        yield Case("PerformerAttention", "T2T-ViT-7", performer, shapes, attention.performer_attention)
        yield Case("TokenAttention", "T2T-ViT_t-14", token, shapes, attention.token_attention)
    pixels = vitcore.PixelEmbedding(3, 24)
    theirs = library.pixel_embedding(pixels, IMAGE[1])
    yield Case("PixelEmbedding", "TNT-S", pixels, (IMAGE,), maps.pixel_embedding, theirs)
    inner = vitcore.NestedTransformer(384, 24, functools.partial(vitcore.SeparateAttention, head_dim=6))
    yield Case("NestedTransformer", "TNT-S", inner, ((14, 14, 16, 24), (14, 14, 384)), maps.nested_transformer)


def all_cases(name: str = "") -> Iterator[Case]:
    """Those whose op's name contains ``name``."""
    groups = (global_attentions, window_attentions, local_attentions, maps_of_tokens, embeddings)
    return (case for group in groups for case in group() if name in case.op)
