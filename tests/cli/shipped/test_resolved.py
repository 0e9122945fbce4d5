"""What each shipped ablation resolves to, to the last default: a change of any part's default shows up here as a diff.

``python -m tests.cli.shipped.test_resolved`` writes the texts anew; read the diff before you commit it.
"""

from pathlib import Path

import pytest
import yaml

from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments

ROOT = Path(__file__).parents[3]
TEXTS = Path(__file__).parent / "resolved"
NAMES = sorted(path.stem for path in (ROOT / "ablations").glob("*.yaml"))


def resolved(name: str) -> str:
    plan = make_plan(parse_arguments(["--config", str(ROOT / "ablations" / f"{name}.yaml")]))
    content = {
        "baseline": {plan.spec.baseline: plan.arms[plan.spec.baseline].config},
        "differences": {arm: planned.difference for arm, planned in plan.arms.items()},
    }
    return yaml.dump(content, Dumper=_WithoutAliases, sort_keys=False)


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_ablation_resolves_to_its_recorded_text(name):
    assert resolved(name) == (TEXTS / f"{name}.yaml").read_text()


def test_no_text_is_left_of_an_ablation_that_is_gone():
    assert sorted(path.stem for path in TEXTS.glob("*.yaml")) == NAMES


if __name__ == "__main__":
    TEXTS.mkdir(exist_ok=True)
    for each in NAMES:
        (TEXTS / f"{each}.yaml").write_text(resolved(each))
