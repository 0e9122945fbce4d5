"""A key with an earlier name in an arm declares the entry by its present name."""

import pytest

from vitcli.ablation.planning.difference import refuse_undeclared
from vitcli.config.errors import ConfigError

KEY = "model.backbone.stage1.alternate.content_mixer.op.overlap"


@pytest.mark.parametrize(
    "arm",
    [
        {"model.backbone.stage1.alternate.content.op.overlap": 3},
        {"model.backbone": {"every": {"content": {"op.overlap": 3}}}},
        {"model.backbone.stage1.content_mixer": {"op": {"overlap": 3}}},
    ],
)
def test_an_arm_declares_a_slot_by_its_earlier_name_too(arm):
    refuse_undeclared({KEY: [0, 3]}, ({}, arm), "here")


def test_another_slot_declares_nothing():
    with pytest.raises(ConfigError, match=r"content_mixer\.op\.overlap is 3 here and 0 in the baseline"):
        refuse_undeclared({KEY: [0, 3]}, ({}, {"model.backbone.stage1.mixer.op.overlap": 3}), "here")
