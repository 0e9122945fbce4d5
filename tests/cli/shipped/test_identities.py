"""The identity of every arm of every shipped ablation, recorded once for all: finished runs are recognised by it.

The record holds what the shipped recipes of 30 November 2026 compute. A new ablation is added to it. An identity in it
changes with its recipe alone, never because a name or a default moved.
"""

import json
import re
import shlex
from pathlib import Path

import pytest

from vitcli.ablation.planning.draft import resolve_arms
from vitcli.ablation.planning.identity import identity
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import resolve, schema
from vitcli.config.overlay import lay_over

ABLATIONS = Path(__file__).parents[3] / "ablations"
RECORD = json.loads((Path(__file__).parent / "identities.json").read_text())


def words_of(name):
    """Return the words after ``vitcli fit`` in the first lines of a file; those of a paper's size lay it over the small file."""
    text = (ABLATIONS / f"{name}.yaml").read_text().replace("\\\n#", "")
    words = shlex.split(re.search(r"^# Run +vitcli fit (.*)$", text, re.M)[1])
    return [str(ABLATIONS.parent / word) if word.startswith("ablations/") else word for word in words]


def configurations(name):
    """Return arm -> resolved configuration."""
    return resolve_arms(parse_arguments(words_of(name))).configs


def test_every_shipped_ablation_is_recorded():
    files = {path.relative_to(ABLATIONS).with_suffix("").as_posix() for path in ABLATIONS.rglob("*.yaml")}
    assert {name for name in files if not name.startswith(("shared/", "answers/", "recipes/"))} == set(RECORD)


@pytest.mark.parametrize("name", RECORD)
def test_the_arms_keep_their_identities(name):
    assert {arm: identity(config) for arm, config in configurations(name).items()} == RECORD[name]


@pytest.mark.parametrize(
    ("model", "recorded"),
    [
        ("localvit_t2t_compat", "91617e5b99eea306"),
        ("boat_cswin_tiny_compat", "d323afb7c68604ea"),
        ("msg_tiny", "d159f2490e1bd07d"),
    ],
)
def test_a_new_name_of_a_slot_or_a_class_changes_no_identity(model, recorded):
    config = {}
    backbone = {"class_path": f"vitmodels.{model}", "num_classes": 1000}
    classes = {
        "model": {"class_path": "vittasks.Classification", "backbone": backbone},
        "data": "vittasks.DigitScenes",
    }
    lay_over(config, schema(), classes, "here")
    assert identity(resolve(config, "here")) == recorded
