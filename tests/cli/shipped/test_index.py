"""The table in ablations/README.md has a row for each file, with the budget that the file states."""

import re
from pathlib import Path

import pytest

from vitcli.config.yaml_files import read_yaml

FOLDER = Path(__file__).parents[3] / "ablations"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
ROWS = {
    row[0]: row[1:]
    for row in re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.M)
}


def test_every_file_has_a_row_and_every_row_a_file():
    assert sorted(ROWS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_row_states_the_budget_of_its_file(name):
    content = read_yaml(FOLDER / f"{name}.yaml")
    ablation, trainer = content["ablation"], content["trainer"]
    arms, seeds = len(ablation["arms"]), ablation["seeds"]
    trials = f"({seeds['baseline']} + {arms - 1} x {seeds['arms']})" if isinstance(seeds, dict) else f"{arms} x {seeds}"
    assert ROWS[name][2] == f"{trials} x {trainer['max_epochs']}"
