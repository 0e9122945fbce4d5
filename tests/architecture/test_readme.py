"""The README's snippets run, its links lead somewhere, and it stays a page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()


def test_the_snippets_run_one_after_the_other(capsys):
    namespace: dict = {}
    snippets = re.findall(r"```python\n(.+?)```", TEXT, flags=re.DOTALL)
    assert len(snippets) >= 3
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), namespace)
    assert "localvit_tiny" in capsys.readouterr().out


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "cli/README.md", "ablations/README.md"]
    + [f"docs/{name}.md" for name in ("ablations", "clusters", "data", "models", "ops", "statistics", "transfer")],
)
def test_every_link_and_picture_is_there(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target


def test_the_commands_name_files_that_exist():
    for file in re.findall(r"--config (\S+\.yaml)", TEXT):
        assert (ROOT / file).exists(), file


def test_it_is_a_page_of_at_most_120_lines():
    assert len(TEXT.splitlines()) <= 120
