"""Every registered model.

By default one model of each kind of skeleton is tested. The slow tests add the smallest of every other family, the exhaustive
tests all others.
"""

from typing import Any

import pytest
import timm
import torch
from torch import nn

import vitmodels

SMALLEST = (
    *("deit_tiny", "deit_tiny_distilled", "localvit_tiny", "t2t_vit_7", "tnt_tiny"),
    *(
        "pvt_tiny",
        "pvtv2_b0",
        "swin_tiny",
        "cswin_tiny",
        "nat_mini",
        "shuffle_tiny",
        "msg_tiny",
        "axial_tiny",
        "dat_tiny",
    ),
    *("slide_swin_tiny", "boat_swin_tiny", "pale_tiny"),
)

QUICK = ("deit_tiny", "localvit_tiny", "tnt_tiny", "pvt_tiny", "msg_tiny", "pale_tiny")


def _marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    if name in QUICK:
        return ()
    return (pytest.mark.slow,) if name in SMALLEST else (pytest.mark.exhaustive,)


every_model = pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in vitmodels.MODELS])
smallest = pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in SMALLEST])


def made_on_meta(name: str, **arguments: Any) -> nn.Module:
    """A model of shapes alone, made in a fraction of the time: no weight is drawn."""
    with torch.device("meta"):
        return timm.create_model(name, **arguments)
