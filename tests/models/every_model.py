"""Every registered model. The smallest of each family is tested by default; all others are left to the exhaustive tests."""

import pytest

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

every_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SMALLEST else pytest.mark.exhaustive) for name in vitmodels.MODELS]
)
