"""docs/pages.py drafts what is missing on the pages, in the form that the tests of the pages ask for."""

import re
import runpy
from pathlib import Path

import pytest

import vitcli
import vitcore
import vittasks
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.table import COMMANDS, Command

PAGES = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "pages.py"))


class InventedAttention(vitcore.GlobalAttention):
    r"""Each token attends to the tokens of an invented set.

    It computes width ** 2 products and ``head_dim ** 2`` others.

    $$S(i,j) = \lbrace (a,b) : a * b = 7 \rbrace$$

    Args:
        width: Channels of the grid.

    Cost: 4 * width**2 multiply-adds.

    Source: nobody, Invented Attention.
    """


class InventedLauncher(LocalLauncher):
    """Runs trials nowhere.

    Args:
        plan: The ablation.
        patience: Minutes until it gives up,
            at least 1.
    """


class InventedTask:
    """Train what has been invented."""


@pytest.fixture
def additions(monkeypatch):
    InventedAttention.__module__ = "vitcore.attention.stripes.invented_attention"
    monkeypatch.setattr(vitcore, "InventedAttention", InventedAttention, raising=False)
    monkeypatch.setattr(vitcore, "__all__", [*vitcore.__all__, "InventedAttention"])
    monkeypatch.setattr(vitcli, "InventedLauncher", InventedLauncher, raising=False)
    monkeypatch.setitem(vitcli.MODULES, "InventedLauncher", __name__)
    monkeypatch.setattr(vittasks, "InventedTask", InventedTask, raising=False)
    monkeypatch.setattr(vittasks, "__all__", [*vittasks.__all__, "InventedTask"])
    monkeypatch.setitem(COMMANDS, "invent", Command("invent:main", "FILE [--twice]", "invent something | anything"))


def added_lines(page: str) -> str:
    """What is drafted on a page, without the lines that were there."""
    path = PAGES[page]
    old = set(path.read_text().splitlines())
    return "\n".join(line for line in PAGES["new_texts"]()[path].splitlines() if line not in old)


def test_nothing_is_missing_on_the_pages():
    for path, text in PAGES["new_texts"]().items():
        assert path.read_text() == text, f"make pages would change {path.name}"


@pytest.mark.usefixtures("additions")
def test_a_new_op_gets_a_section_in_its_room_a_link_and_a_row():
    page = PAGES["new_texts"]()[PAGES["OPS"]]
    section = page[page.index("### InventedAttention\n") : page.index("\n## Windows\n")]
    assert section.splitlines()[2:9] == [
        "![InventedAttention](ops/InventedAttention.png)",
        "",
        "Each token attends to the tokens of an invented set.",
        "",
        r"It computes width \*\* 2 products and `head_dim \*\* 2` others.",
        "",
        r"$$S(i,j) = \lbrace (a,b) : a * b = 7 \rbrace$$",
    ]
    assert r"Cost: 4 \* width\*\*2 multiply-adds." in section
    assert "assert op.macs(28, 28) == 91_521_024" in section
    assert section.endswith("Source: nobody, Invented Attention.\n")
    assert re.search(
        r"\[VanillaPale\]\(#vanillapaleattention\),\s+\[Invented\]\(#inventedattention\)\n  - Windows", page
    )
    row = "|  | [InventedAttention](../../docs/ops.md#inventedattention) | the tokens of an invented set |"
    assert added_lines("CORE") == row


@pytest.mark.usefixtures("additions")
def test_a_new_launcher_gets_a_section_with_its_command_and_its_options():
    lines = added_lines("CLUSTERS").splitlines()
    assert lines[:2] == ["## Invented", "Runs trials nowhere."]
    assert "vitcli fit --config ablations/localvit_act.yaml --launcher invented" in lines
    assert lines[-1] == "| `patience` | Minutes until it gives up, at least 1. |"


@pytest.mark.usefixtures("additions")
def test_a_new_task_and_a_new_command_get_a_row():
    assert added_lines("TASKS") == "| `InventedTask` | Train what has been invented |"
    assert added_lines("CLI") == r"| `vitcli invent FILE [--twice]` | invent something \| anything |"
