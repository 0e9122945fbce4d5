"""The pages of the four packages: their links lead somewhere, and they name what there is."""

import re
from pathlib import Path

import pytest

import vitcore
import vittasks
from vitcli.main import main
from vitcli.table import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = ("packages/core", "packages/models", "packages/tasks", "cli")


def text(package):
    return (ROOT / package / "README.md").read_text()


def anchors(page):
    headings = re.findall(r"^#+ (.+)", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("package", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(package):
    for target, anchor in re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", text(package)):
        if not target.startswith("http"):
            page = ROOT / package / target
            assert page.exists(), target
            assert not anchor or anchor in anchors(page), anchor


def test_core_names_every_mixer():
    mixers = {name for name in vitcore.__all__ if name.endswith("Attention") and name[0].isupper()}
    assert mixers <= set(re.findall(r"\[(\w+)\]", text("packages/core")))


def test_tasks_names_everything_public():
    assert set(vittasks.__all__) <= set(re.findall(r"`(\w+)`", text("packages/tasks")))


def test_cli_names_every_command_and_shows_what_it_prints(capsys):
    assert all(re.search(rf"`(vitcli )?{command}\b", text("cli")) for command in COMMANDS)
    (line,) = re.findall(r"^vitcli (show attention PaleAttention.+) --out", text("cli"), flags=re.MULTILINE)
    assert main(line.split()) == 0
    printed = [one.rstrip() for one in capsys.readouterr().out.splitlines()]
    (shown,) = re.findall(r"```text\n(.+?)```", text("cli"), flags=re.DOTALL)
    assert printed[: len(shown.splitlines())] == shown.splitlines()
    assert printed[-1] == "It sees 112 of 256 tokens."
