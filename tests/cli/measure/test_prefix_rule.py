"""An op of the user's own whose prefix and grid are exchanged is refused before anything is trained."""

import sys
import types

import pytest
import torch
from torch import nn

import vitcore
from vitcli.measure.prefix_rule import refuse_exchanged
from vitcore import FeatureOp, GlobalAttention
from vitcore.sequence import as_one_sequence


class Good(FeatureOp):
    """A linear map of every token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, width)

    def forward(self, grid):
        return self.mix(grid)

    def forward_prefixed(self, grid, prefix):
        return as_one_sequence(self.mix, grid, prefix)


class LeavesThePrefixAlone(Good):
    def forward_prefixed(self, grid, prefix):
        return self(grid), None


class Pools(Good):
    """The new prefix is made from the grid alone, which is no mistake."""

    def forward_prefixed(self, grid, prefix):
        return self(grid), self.mix(grid.mean((1, 2)))[:, None]


class Attends(GlobalAttention):
    pass


class TakesOtherSizes(Good):
    def forward_prefixed(self, grid, prefix):
        raise ValueError("needs two tokens for each window")


class NoRule(FeatureOp):
    pass


class ReturnsExchanged(Good):
    def forward_prefixed(self, grid, prefix):
        return prefix, self(grid)


class TakesExchanged(Good):
    def forward_prefixed(self, prefix, grid):
        return self.mix(prefix), self(grid)


class ForgetsTheGrid(Good):
    def forward_prefixed(self, grid, prefix):
        return self(grid).mean((1, 2), keepdim=True), prefix


class SplitsAtTheWrongEnd(Good):
    """The sequence begins with the prefix and is split as if it ended with it: all shapes are right."""

    def forward_prefixed(self, grid, prefix):
        tokens = self.mix(torch.cat((prefix, grid.flatten(1, 2)), 1))
        h, w = grid.shape[1:3]
        new_grid, new_prefix = tokens.split((h * w, prefix.shape[1]), 1)
        return new_grid.unflatten(1, (h, w)), new_prefix


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    module = types.ModuleType("somebodys_ops")
    for name, found in globals().items():
        if isinstance(found, type) and issubclass(found, FeatureOp):
            setattr(module, name, found)
    monkeypatch.setitem(sys.modules, "somebodys_ops", module)


def with_op(name: str) -> dict:
    op = {"class_path": f"somebodys_ops.{name}", "init_args": {}}
    return {"init_args": {"backbone": {"init_args": {"stage1": {"mixer": {"op": op}}}}}}


@pytest.mark.parametrize("name", ["Good", "LeavesThePrefixAlone", "Pools", "Attends", "TakesOtherSizes", "NoRule"])
def test_an_op_in_the_right_order_is_taken(name):
    refuse_exchanged(with_op(name))


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("ReturnsExchanged", r"returns \(1, 1, 48\) and \(1, 5, 7, 48\) for a grid \(1, 5, 7, 48\) and a prefix"),
        ("TakesExchanged", r"takes \(prefix, grid\), but is called with \(grid, prefix\)"),
        ("ForgetsTheGrid", r"returns \(1, 1, 1, 48\) and \(1, 1, 48\)"),
        ("SplitsAtTheWrongEnd", "returns tokens of the prefix in the grid"),
    ],
)
def test_an_op_in_the_wrong_order_is_refused_by_name(name, cause):
    with pytest.raises(
        ValueError, match=rf"somebodys_ops\.{name}\.forward_prefixed {cause}.*def forward_prefixed\(self, grid, pre"
    ):
        refuse_exchanged(with_op(name))


def test_the_check_draws_no_random_number_of_the_run():
    before = torch.get_rng_state()
    refuse_exchanged(with_op("Good"))
    assert torch.equal(before, torch.get_rng_state())


def test_ops_of_vitcore_are_not_tried():
    assert vitcore.MessengerExchange.forward_prefixed is not FeatureOp.forward_prefixed
    refuse_exchanged({"op": {"class_path": "vitcore.MessengerExchange"}})
