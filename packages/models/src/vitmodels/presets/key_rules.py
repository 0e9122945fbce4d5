"""Key rules: how the keys of public checkpoints are renamed, for each host and for every part that its blocks may hold.

The rules of a host cover all parts that public code puts into its blocks: the MLP, PVTv2's convolution, LocalViT's locality
feed-forward, BOAT's cluster attention, slide attention. A model therefore loads whichever of them it has, in any stage.
``others`` holds the names of timm, where they differ, and those of transformers, both as in its files and as in its modules.

The models of transformers use one epsilon in all norms, 1e-12 in ViT and DeiT and 1e-6 in PVT and PVTv2; ours use those of the
public code. At the image size of the checkpoint they compute the same otherwise.
"""

import re
from collections.abc import Container, Iterable

from torch import Tensor, nn

from vitcore import SlideAttention
from vitmodels.skeletons.checkpoint import KeyRules, Numbered

Renames = tuple[tuple[str, str | Numbered], ...]

GATE = (("fc.0.", "squeeze."), ("fc.2.", "excite."), ("conv.", "mix."))
"""Inside the gate of a locality feed-forward: squeeze-and-excitation, or the convolution of ECA."""
ATTENTION = (
    ("norm1.", "mixer.norm."),
    ("attn.qkv.", "mixer.op.qkv."),
    ("attn.proj.", "mixer.op.projection."),
)
MLP = (
    ("norm2.", "feed_forward.norm."),
    ("mlp.fc1.", "feed_forward.op.expand."),
    ("mlp.fc2.", "feed_forward.op.contract."),
)
REDUCTION = (
    ("norm1.", "mixer.norm."),
    ("attn.proj.", "mixer.op.projection."),
    ("attn.sr.", "mixer.op.reduce."),
    ("attn.", "mixer.op."),
)
SLIDE = (
    ("attn.relative_position_bias_table", "mixer.op.position_bias"),
    ("attn.dep_conv.bias", "mixer.op.shift.fixed_bias"),
    ("attn.dep_conv1.", "mixer.op.shift."),
)
HEAD: Renames = ((r"(norm\..+)", r"\1"), (r"(head\..+)", r"\1"))


def renames(theirs: str, ours: str, names: Iterable[tuple[str, str]]) -> Renames:
    """Return the renames inside a module; a name that ends in a dot stands for everything below it.

    Args:
        theirs: A regular expression for the name of their module, its last dot included.
        ours: The replacement for it.
        names: Pairs (their name inside, our name inside).
    """
    rest = re.compile(theirs).groups + 1
    return tuple(
        (f"{theirs}{re.escape(old)}(.+)", rf"{ours}{new}\{rest}")
        if old.endswith(".")
        else (f"{theirs}{re.escape(old)}", f"{ours}{new}")
        for old, new in names
    )


def locality(theirs: str, ours: str) -> Renames:
    """Return the rename of a locality feed-forward, whose layers the public code numbers from 0.

    Args:
        theirs: A regular expression for the name of their feed-forward, its last dot included.
        ours: The replacement for it, without a dot at its end.
    """
    return ((theirs + r"conv\.conv\.(?P<number>\d+)\.(?P<rest>.+)", Numbered(ours, locality_layer)),)


def locality_layer(op: str, number: int, rest: str, own: Container[str]) -> str:
    """Return the name below our locality feed-forward of a tensor in a numbered layer of the public code.

    The public code numbers the convolution, norm and activation of each convolution in turn, and the gate if there is one.

    Args:
        op: Our name of the feed-forward.
        number: The number of the layer.
        rest: The name of the tensor in the layer.
        own: The model's names, which show where the feed-forward has a convolution and whether it has a gate.
    """
    layers = ["expand.0.", "expand.1.", ""]
    if f"{op}.first.0.weight" in own:
        layers = ["first.0.", "first.1.", "", *layers]
    if f"{op}.middle.0.weight" in own:
        layers += ["middle.0.", "middle.1.", ""]
    if any(f"{op}.channel_attention.{name}weight" in own for _, name in GATE):
        layers += ["channel_attention."]
    layers += ["contract.0.", "contract.1."]
    layer = layers[number] if number < len(layers) else ""
    for old, new in GATE if layer == "channel_attention." else ():
        if rest.startswith(old):
            return layer + new + rest.removeprefix(old)
    return layer + rest


def blocks(theirs: str, ours: str, *names: Iterable[tuple[str, str]]) -> Renames:
    """Return the renames of a host's blocks: those given, and those of both kinds of feed-forward; see ``renames``."""
    named = [pair for group in names for pair in renames(theirs, ours, group)]
    return (*named, *renames(theirs, ours, MLP), *locality(theirs, f"{ours}feed_forward.op"))


def content(norm: str, attention: str) -> tuple[tuple[str, str], ...]:
    """Return the names of BOAT's branch of cluster attention, which its two hosts call differently."""
    inside = (("qkv.", "qkv."), ("proj.", "projection."), ("get_v.", "position."))
    return ((norm, "content.norm."), *((attention + old, f"content.op.{new}") for old, new in inside))


BASE = r"(?:\w+\.)?(?:encoder\.)?"
"""How names of transformers may begin: with the base model, which a file without a head omits, and its encoder."""
TRANSFORMERS_BLOCK = (
    ("layernorm_before.", "mixer.norm."),
    *((f"attention.{inside}qkv.", "mixer.op.qkv.") for inside in ("self.", "attention.", "")),
    *((f"attention.{name}.", "mixer.op.projection.") for name in ("output.dense", "o_proj")),
    ("layernorm_after.", "feed_forward.norm."),
    *((f"{name}.", "feed_forward.op.expand.") for name in ("intermediate.dense", "mlp.fc1")),
    *((f"{name}.", "feed_forward.op.contract.") for name in ("output.dense", "mlp.fc2")),
)
"""Names inside a block of ViT, DeiT, Swin and NAT, first as in files, then as in modules."""
TRANSFORMERS_JOINTS = (("qkv", ("query", "key", "value")), ("qkv", ("q_proj", "k_proj", "v_proj")))
TRANSFORMERS_HEAD: Renames = ((rf"{BASE}layernorm\.(.+)", r"norm.\1"), (r"classifier\.(.+)", r"head.\1"))

_COLUMN_TRANSFORMERS = KeyRules(
    (
        (rf"{BASE}embeddings\.cls_token", "prefix"),
        (rf"{BASE}embeddings\.distillation_token", "distillation_prefix"),
        (rf"{BASE}embeddings\.position_embeddings", "position.table"),
        (rf"{BASE}embeddings\.patch_embeddings\.(.+)", r"stem.\1"),
        *renames(rf"{BASE}layers?\.(\d+)\.", r"blocks.\1.", TRANSFORMERS_BLOCK),
        *TRANSFORMERS_HEAD,
        (r"cls_classifier\.(.+)", r"head.\1"),
        (r"distillation_classifier\.(.+)", r"distillation_head.\1"),
    ),
    structural=("*pooler.dense.*",),
    joints=TRANSFORMERS_JOINTS,
)
COLUMN = KeyRules(
    (
        (r"cls_token", r"prefix"),
        (r"dist_token", r"distillation_prefix"),
        (r"pos_embed", r"position.table"),
        (r"patch_embed\.proj\.(.+)", r"stem.projection.\1"),
        *blocks(r"(blocks\.\d+)\.", r"\1.", ATTENTION),
        (r"head_dist\.(.+)", r"distillation_head.\1"),
        *HEAD,
    ),
    others=(_COLUMN_TRANSFORMERS,),
)
"""DeiT and LocalViT on it."""

_PATCHES = (
    (r"patch_embed(?P<stage>\d)\.proj\.(.+)", r"stages.{stage}.downsample.projection.\2"),
    (r"patch_embed(?P<stage>\d)\.norm\.(.+)", r"stages.{stage}.downsample.norm.\2"),
)
_CONVOLUTION = (("mlp.dwconv.dwconv.", "feed_forward.op.middle."), ("mlp.dwconv.", "feed_forward.op.middle."))
_PVT_TIMM = KeyRules(
    (
        *renames(r"patch_embed\.", "stages.0.downsample.", (("proj.", "projection."), ("norm.", "norm."))),
        *renames(r"stages\.(\d)\.downsample\.", r"stages.\1.downsample.", (("proj.", "projection."),)),
        *blocks(r"(stages\.\d\.blocks\.\d+)\.", r"\1.", REDUCTION, _CONVOLUTION),
        *HEAD,
    )
)
_PVT_TRANSFORMERS_BLOCK = (
    ("layer_norm_1.", "mixer.norm."),
    *((f"attention.{name}query.", "mixer.op.q.") for name in ("self.", "")),
    *((f"attention.{name}kv.", "mixer.op.kv.") for name in ("self.", "")),
    *((f"attention.{name}.", "mixer.op.reduce.") for name in ("self.sequence_reduction", "spatial_reduction")),
    *((f"attention.{name}layer_norm.", "mixer.op.norm.") for name in ("self.", "")),
    *((f"attention.{name}.", "mixer.op.projection.") for name in ("output.dense", "proj")),
    ("layer_norm_2.", "feed_forward.norm."),
    ("mlp.dense1.", "feed_forward.op.expand."),
    ("mlp.dwconv.dwconv.", "feed_forward.op.middle."),
    ("mlp.dense2.", "feed_forward.op.contract."),
)
_PVT_TRANSFORMERS = KeyRules(
    (
        (rf"{BASE}patch_embeddings\.(\d)\.position_embeddings", r"stages.\1.position.table"),
        (rf"{BASE}patch_embeddings\.(\d)\.cls_token", r"stages.\1.prefix"),
        (rf"{BASE}patch_embeddings\.(\d)\.projection\.(.+)", r"stages.\1.downsample.projection.\2"),
        (rf"{BASE}patch_embeddings\.(\d)\.layer_norm\.(.+)", r"stages.\1.downsample.norm.\2"),
        *renames(rf"{BASE}block\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2.", _PVT_TRANSFORMERS_BLOCK),
        (rf"{BASE}layer_norm\.(.+)", r"norm.\1"),
        # PVTv2
        (rf"{BASE}layers\.(\d)\.patch_embedding\.proj\.(.+)", r"stages.\1.downsample.projection.\2"),
        (rf"{BASE}layers\.(\d)\.patch_embedding\.layer_norm\.(.+)", r"stages.\1.downsample.norm.\2"),
        *renames(rf"{BASE}layers\.(\d)\.blocks\.(\d+)\.", r"stages.\1.blocks.\2.", _PVT_TRANSFORMERS_BLOCK),
        (rf"{BASE}layers\.(\d)\.layer_norm\.(.+)", r"stages.\1.norm.\2"),
        *TRANSFORMERS_HEAD,
    ),
    joints=(("kv", ("key", "value")),),
)
PVT = KeyRules(
    (
        (r"cls_token", r"stages.3.prefix"),
        (r"pos_embed(?P<stage>\d)", r"stages.{stage}.position.table"),
        *_PATCHES,
        (r"norm(?P<stage>\d)\.(.+)", r"stages.{stage}.norm.\2"),
        *blocks(r"block(?P<stage>\d)\.(\d+)\.", r"stages.{stage}.blocks.\2.", REDUCTION, _CONVOLUTION),
        *HEAD,
    ),
    first_stage=1,
    others=(_PVT_TIMM, _PVT_TRANSFORMERS),
)
"""PVT, LocalViT on it, and PVTv2."""


def slide_order(name: str, value: Tensor, model: nn.Module) -> Tensor:
    """Return what slide attention's public code orders [head][q | k | v][channel] as [q | k | v][head][channel].

    Its bias table is flattened. Every other attention has our order already.
    """
    owner, _, leaf = name.rpartition(".")
    if leaf == "position_bias":
        return value.reshape(value.shape[1], -1)
    op = model.get_submodule(owner.rpartition(".")[0]) if owner.endswith(".qkv") else None
    if not isinstance(op, SlideAttention):
        return value
    return value.unflatten(0, (op.width // op.head_dim, 3, -1)).transpose(0, 1).flatten(0, 2)


def _swin(downsample: str, head: str) -> Renames:
    """Return the renames of Swin, given the stage that a numbered downsampling makes and the name of the head."""
    table = (("attn.relative_position_bias_table", "mixer.op.position.table"),)
    parts = (SLIDE, ATTENTION, table, content("norm4.", "attnC."))
    return (
        (r"absolute_pos_embed", r"stages.0.position.table"),
        *renames(r"patch_embed\.", "stages.0.downsample.", (("proj.", "projection."), ("norm.", "norm."))),
        (r"layers\.(?P<stage>\d)\.downsample\.reduction\.(.+)", rf"stages.{downsample}.downsample.projection.\2"),
        (r"layers\.(?P<stage>\d)\.downsample\.norm\.(.+)", rf"stages.{downsample}.downsample.norm.\2"),
        *blocks(r"layers\.(\d)\.blocks\.(\d+)\.", r"stages.\1.blocks.\2.", *parts),
        (r"(norm\..+)", r"\1"),
        (rf"{head}\.(weight|bias)", r"head.\1"),
    )


_SWIN_STRUCTURAL = ("*.attn_mask", "*.relative_position_index", "*.relative_coords_table", "*.dep_conv.weight")
_SWIN_TABLES = tuple(
    (f"attention.{place}.relative_position_bias_table", "mixer.op.position.table")
    for place in ("self", "relative_position_bias")
)
_SWIN_TRANSFORMERS = KeyRules(
    (
        (rf"{BASE}embeddings\.position_embeddings", "stages.0.position.table"),
        (rf"{BASE}embeddings\.patch_embeddings\.(.+)", r"stages.0.downsample.\1"),
        (rf"{BASE}embeddings\.norm\.(.+)", r"stages.0.downsample.norm.\1"),
        (rf"{BASE}layers\.(?P<stage>\d)\.downsample\.reduction\.(.+)", r"stages.{next}.downsample.projection.\2"),
        (rf"{BASE}layers\.(?P<stage>\d)\.downsample\.norm\.(.+)", r"stages.{next}.downsample.norm.\2"),
        *renames(
            rf"{BASE}layers\.(\d)\.blocks\.(\d+)\.", r"stages.\1.blocks.\2.", (*TRANSFORMERS_BLOCK, *_SWIN_TABLES)
        ),
        *TRANSFORMERS_HEAD,
    ),
    _SWIN_STRUCTURAL,
    joints=TRANSFORMERS_JOINTS,
)
SWIN = KeyRules(
    _swin("{next}", "head"),
    _SWIN_STRUCTURAL,
    transform=slide_order,
    others=(
        KeyRules(_swin("{stage}", r"head\.fc"), _SWIN_STRUCTURAL, transform=slide_order),
        _SWIN_TRANSFORMERS,
    ),
)
"""Swin, LocalViT, BOAT and slide attention on it; timm counts a downsampling with the stage behind it."""

_STRIPES = (
    ("norm1.", "mixer.norm."),
    ("qkv.", "mixer.op.qkv."),
    ("proj.", "mixer.op.projection."),
    *((f"attns.{branch}.get_v.", f"mixer.op.lepe.{branch}.") for branch in (0, 1)),
)
CSWIN = KeyRules(
    (
        (r"stage1_conv_embed\.0\.(.+)", r"stages.0.downsample.projection.\1"),
        (r"stage1_conv_embed\.2\.(.+)", r"stages.0.downsample.norm.\1"),
        (r"merge(?P<stage>\d)\.conv\.(.+)", r"stages.{next}.downsample.projection.\2"),
        (r"merge(?P<stage>\d)\.norm\.(.+)", r"stages.{next}.downsample.norm.\2"),
        *blocks(
            r"stage(?P<stage>\d)\.(\d+)\.",
            r"stages.{stage}.blocks.\2.",
            _STRIPES,
            content("norm3.", "content_attn."),
        ),
        *HEAD,
    ),
    first_stage=1,
)
"""CSWin and BOAT on it."""
