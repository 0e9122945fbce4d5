"""The README's links lead somewhere, as those of all pages do, its commands name files that exist, and it stays a page."""

import re
from pathlib import Path

import pytest

from tests.docs.snippets import blocks, pages

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", pages())
def test_every_link_and_picture_is_there(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target


def test_the_commands_name_files_that_exist():
    written = {block.file for block in blocks("README.md")}
    for file in re.findall(r"(?:--config|plan) (\S+\.yaml)", TEXT):
        assert file in written or (ROOT / file).exists(), file


def test_it_is_a_page_of_at_most_120_lines():
    assert len(TEXT.splitlines()) <= 120
