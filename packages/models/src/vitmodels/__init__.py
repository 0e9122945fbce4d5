"""Vision transformers with locality as timm models, made of vitcore's parts. Importing this package registers them."""

from vitmodels.checkpoint import KeyRules, read_checkpoint, translate
from vitmodels.column import Column, column
from vitmodels.deit_column import deit_base, deit_small, deit_tiny
from vitmodels.localvit import (
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
from vitmodels.parts import BlockSpec, Branch, part

MODELS = (
    "deit_tiny",
    "deit_small",
    "deit_base",
    "localvit_tiny",
    "localvit_tiny_relu6",
    "localvit_tiny_h_swish",
    "localvit_tiny_eca",
    "localvit_tiny_eca_hard",
    "localvit_tiny_se96",
    "localvit_tiny_se48",
    "localvit_tiny_se4",
    "localvit_tiny_ratio6_relu6",
    "localvit_small",
)
"""Names of the models that this package registers with timm, in the order of the papers."""

__all__ = [
    "MODELS",
    "BlockSpec",
    "Branch",
    "Column",
    "KeyRules",
    "column",
    "deit_base",
    "deit_small",
    "deit_tiny",
    "localvit_small",
    "localvit_tiny",
    "localvit_tiny_eca",
    "localvit_tiny_eca_hard",
    "localvit_tiny_h_swish",
    "localvit_tiny_ratio6_relu6",
    "localvit_tiny_relu6",
    "localvit_tiny_se4",
    "localvit_tiny_se48",
    "localvit_tiny_se96",
    "part",
    "read_checkpoint",
    "translate",
]
