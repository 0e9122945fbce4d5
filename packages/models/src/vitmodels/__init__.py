"""Vision transformers with locality as timm models, made of vitcore's parts. Importing this package registers them."""

from vitmodels.loading import load_checkpoint
from vitmodels.presets.axial import axial_base, axial_small, axial_tiny
from vitmodels.presets.boat import (
    PairedImageAttention,
    boat_cswin_base,
    boat_cswin_base_compat,
    boat_cswin_large,
    boat_cswin_large_compat,
    boat_cswin_small,
    boat_cswin_small_compat,
    boat_cswin_tiny,
    boat_cswin_tiny_compat,
    boat_swin_base,
    boat_swin_small,
    boat_swin_tiny,
)
from vitmodels.presets.cswin import (
    cswin_base,
    cswin_base_384,
    cswin_large,
    cswin_large_384,
    cswin_small,
    cswin_small_384,
    cswin_tiny,
    cswin_tiny_384,
)
from vitmodels.presets.dat import dat_base, dat_small, dat_tiny
from vitmodels.presets.deit import (
    deit_base,
    deit_base_distilled,
    deit_small,
    deit_small_distilled,
    deit_tiny,
    deit_tiny_distilled,
    deit_tiny_ratio6,
)
from vitmodels.presets.localvit import (
    localvit_small,
    localvit_tiny,
    localvit_tiny_eca,
    localvit_tiny_eca_hard,
    localvit_tiny_h_swish,
    localvit_tiny_ratio6_relu6,
    localvit_tiny_relu6,
    localvit_tiny_se4,
    localvit_tiny_se48,
    localvit_tiny_se96,
)
from vitmodels.presets.localvit_hosts import localvit_pvt_tiny, localvit_swin_tiny
from vitmodels.presets.msg import msg_base, msg_small, msg_tiny
from vitmodels.presets.nat import nat_base, nat_mini, nat_small, nat_tiny
from vitmodels.presets.pale import (
    pale_base,
    pale_base_compat,
    pale_small,
    pale_small_compat,
    pale_tiny,
    pale_tiny_compat,
)
from vitmodels.presets.pvt import pvt_large, pvt_medium, pvt_small, pvt_tiny
from vitmodels.presets.pvtv2 import pvtv2_b0, pvtv2_b1, pvtv2_b2, pvtv2_b2_li, pvtv2_b3, pvtv2_b4, pvtv2_b5
from vitmodels.presets.shuffle import shuffle_base, shuffle_small, shuffle_tiny
from vitmodels.presets.slide import (
    slide_cswin_base,
    slide_cswin_small,
    slide_cswin_tiny,
    slide_nat_mini,
    slide_nat_small,
    slide_nat_tiny,
    slide_pvt_medium,
    slide_pvt_small,
    slide_pvt_tiny,
    slide_pvtv2_b1,
    slide_pvtv2_b2,
    slide_pvtv2_b3,
    slide_pvtv2_b4,
    slide_swin_base,
    slide_swin_base_compat,
    slide_swin_small,
    slide_swin_small_compat,
    slide_swin_tiny,
    slide_swin_tiny_compat,
)
from vitmodels.presets.swin import (
    swin_base,
    swin_base_384,
    swin_large,
    swin_large_384,
    swin_small,
    swin_small_384,
    swin_tiny,
    swin_tiny_384,
)
from vitmodels.presets.t2t_vit import (
    IdleLayerNorm,
    RasterPosition,
    localvit_t2t,
    localvit_t2t_compat,
    localvit_t2t_t,
    t2t_vit_7,
    t2t_vit_10,
    t2t_vit_12,
    t2t_vit_14,
    t2t_vit_14_resnext,
    t2t_vit_14_wide,
    t2t_vit_19,
    t2t_vit_24,
    t2t_vit_t_14,
    t2t_vit_t_19,
    t2t_vit_t_24,
)
from vitmodels.presets.tnt import localvit_tnt_small, localvit_tnt_tiny, tnt_base, tnt_small, tnt_tiny
from vitmodels.presets.tokens_to_token import TokensToToken
from vitmodels.published import PAPERS, Published, read_published
from vitmodels.skeletons.checkpoint import KeyRules, MisfitError, translate
from vitmodels.skeletons.column import Column, column
from vitmodels.skeletons.distilled_column import DistilledColumn
from vitmodels.skeletons.initial import fan_out_weights, torch_weights, vision_transformer_weights
from vitmodels.skeletons.messenger_pyramid import MessengerPyramid, messenger_pyramid
from vitmodels.skeletons.nested_column import NestedColumn
from vitmodels.skeletons.parts import BlockSpec, Branch, part
from vitmodels.skeletons.pyramid import Pyramid, pyramid
from vitmodels.skeletons.stage import Alternate, NoAbsolutePosition, StageSpec
from vitmodels.skeletons.timm_interface import PRESETS
from vitmodels.skeletons.weights_file import read_checkpoint

MODELS = tuple(PRESETS)
"""Names of the models that this package registers with timm."""

__all__ = [
    *MODELS,
    "MODELS",
    "PAPERS",
    "PRESETS",
    "Alternate",
    "BlockSpec",
    "Branch",
    "Column",
    "DistilledColumn",
    "IdleLayerNorm",
    "KeyRules",
    "MessengerPyramid",
    "MisfitError",
    "NestedColumn",
    "NoAbsolutePosition",
    "PairedImageAttention",
    "Published",
    "Pyramid",
    "RasterPosition",
    "StageSpec",
    "TokensToToken",
    "column",
    "fan_out_weights",
    "load_checkpoint",
    "messenger_pyramid",
    "part",
    "pyramid",
    "read_checkpoint",
    "read_published",
    "torch_weights",
    "translate",
    "vision_transformer_weights",
]
