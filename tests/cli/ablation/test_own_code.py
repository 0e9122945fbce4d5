"""The user's own code is part of an arm's identity: an op that was edited is trained again, and nothing is mixed."""

import json
import sys

import pytest

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, results, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.state import CodeChangedError, cause_of, what_changed
from vitcli.ablation.trial import run_trial
from vitcli.config.command_line import parse_arguments
from vitcli.main import main
from vitcli.records.json_files import write_json

pytestmark = LIGHTNING

OP = '''
"""An op of somebody's own."""

from torch import nn
from vitcore import FeatureOp


class Roll(FeatureOp):
    def __init__(self, width: int, shift: int = 1):
        super().__init__()
        self.shift, self.mix = shift, nn.Linear(width, width)

    def forward(self, grid):
        return self.mix(grid.roll((self.shift, self.shift), (1, 2)))  # both ways

    def forward_prefixed(self, grid, prefix):
        return self(grid), None

    def macs(self, h, w, prefix=0):
        return h * w * self.mix.in_features ** 2
'''
COMMAND = ["fit", "--config", "arms.yaml"]


@pytest.fixture
def op(tmp_path, monkeypatch):
    """The file of an op, beside an ablation with one arm that uses it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "somebodys_op.py"
    file.write_text(OP)
    arms = {"plain": {}, "roll": {"model.backbone.every.feed_forward.op": "somebodys_op.Roll"}}
    write(tmp_path / "arms.yaml", PLAIN, ablation={"baseline": "plain", "seeds": 2, "arms": arms})
    yield file
    sys.modules.pop("somebodys_op", None)


def edit(file, old, new):
    file.write_text(file.read_text().replace(old, new))


def test_an_edit_changes_the_identity_of_the_arms_that_use_the_op_alone(op):
    plans = [make_plan(parse_arguments(["--config", "arms.yaml"]))]
    for change in (("# both ways", "# up and left"), ("(1, 2)", "(2, 1)")):
        edit(op, *change)
        plans.append(make_plan(parse_arguments(["--config", "arms.yaml"])))
    first, commented, edited = ({arm: one.id for arm, one in plan.arms.items()} for plan in plans)
    assert commented == first
    assert edited["plain"] == first["plain"]
    assert edited["roll"] != first["roll"]
    assert list(plans[0].arms["roll"].code) == ["somebodys_op.Roll"]
    assert plans[0].arms["plain"].code == {}


def test_a_sentence_says_which_trials_run_again(op):
    plan = make_plan(parse_arguments(["--config", "arms.yaml"]))
    trials = [("plain", 0), ("roll", 0), ("roll", 1)]
    assert what_changed(plan, trials) == []
    for seed in (0, 1):
        place = plan.trial_directory("roll", seed)
        place.mkdir(parents=True)
        made_by = {"code": {"somebodys_op.Roll": "0"}}
        write_json(place / "result.json", {"format": 1, "id": "0", "status": "done", "provenance": made_by})
    assert what_changed(plan, trials) == [
        "The code of somebodys_op.Roll has changed since 2 trials of roll ended: they run again, and their old directories are "
        "moved to runs/arms/.superseded."
    ]


def test_a_trial_does_not_train_code_that_was_edited_after_the_plan(op, tmp_path):
    plan = make_plan(parse_arguments(["--config", "arms.yaml"]))
    arm, config = plan.arms["roll"], plan.trial_config("roll", 0)
    edit(op, "(1, 2)", "(2, 1)")
    (tmp_path / "trial").mkdir()
    result = run_trial(config, tmp_path / "trial", "roll", 0, arm.id, lambda epoch: None, arm.code)
    assert result["status"] == "failed"
    assert result["cause"].startswith("interrupted: the code of somebodys_op.Roll was changed while the ablation ran")
    assert cause_of(CodeChangedError("so")) == "interrupted: so"
    assert not (tmp_path / "trial" / "last.ckpt").exists()


@pytest.mark.slow  # two runs of the command
def test_the_trials_of_an_edited_op_run_again_and_the_old_ones_are_set_aside(op, tmp_path, capsys):
    assert main([*COMMAND, "--ablation.seeds", "1"]) == 0
    directory = tmp_path / "runs" / "arms"
    before = results(directory)
    assert before["roll/seed0"]["provenance"]["versions"]["somebodys_op"].startswith("code ")
    op.write_text(OP.replace("self.mix(grid.roll((self.shift, self.shift), (1, 2)))", "-self.mix(grid)"))
    capsys.readouterr()
    assert main(COMMAND) == 0
    out = capsys.readouterr().out
    assert "1 of 4 trials are done already and are skipped." in out
    assert "The code of somebodys_op.Roll has changed since 1 trial of roll ended: they run again" in " ".join(
        out.split()
    )
    after = results(directory)
    assert after["plain/seed0"] == before["plain/seed0"]
    assert {after[f"roll/seed{seed}"]["id"] for seed in (0, 1)} != {before["roll/seed0"]["id"]}
    assert after["roll/seed0"]["metrics"] != before["roll/seed0"]["metrics"]
    kept = json.loads((directory / ".superseded" / "roll" / "seed0.1" / "result.json").read_text())
    assert kept == before["roll/seed0"]
