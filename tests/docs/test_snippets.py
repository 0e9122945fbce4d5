"""Every snippet of the README and of the pages under docs runs, or ``CANNOT`` says why it does not."""

from pathlib import Path

import pytest

from tests.cli.ablation_directory import make_ablation
from tests.docs.snippets import CANNOT, LANGUAGES, blocks, pages, run_page
from tests.tasks.data.trees import pack_cifar

QUICK = {
    "ablations/README.md",
    "docs/ablations.md",
    "docs/library.md",
    "docs/ops.md",
    "docs/results.md",
    "docs/statistics.md",
    "packages/core/README.md",
    "packages/models/README.md",
    "packages/tasks/README.md",
}
"""Pages without commands, which take a second or two: they run whenever the tests run."""

SLOW = {"docs/transfer.md"}
"""Pages that run in CI. All others with commands are run by hand, with ``make test-slow``."""


def with_marks(page: str):
    if page in QUICK:
        return page
    marks = [pytest.mark.slow] if page in SLOW else [pytest.mark.slow, pytest.mark.exhaustive]
    return pytest.param(page, marks=marks)


@pytest.fixture
def road(tmp_path):
    """An empty folder of a clone."""
    folder = tmp_path / "road"
    folder.mkdir()
    return folder


def prepare(page: str, folder: Path) -> None:
    """Write what a page says is there already."""
    if page == "docs/results.md":
        make_ablation(folder / "runs" / "localvit_act")
    if page == "docs/data.md":
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            pack_cifar(folder / "cifar" / "cifar-10-batches-py" / name, 4, 10, 0)


@pytest.mark.parametrize("page", [with_marks(page) for page in pages() if any(blocks(page))])
def test_every_snippet_of_a_page_runs_after_those_before_it(page, road, monkeypatch):
    prepare(page, road)
    run_page(page, road, monkeypatch)


def test_the_python_of_the_readme_runs(road, monkeypatch, capsys):
    run_page("README.md", road, monkeypatch, ("python",))
    assert "localvit_tiny" in capsys.readouterr().out
    assert (road / "roll.py").exists()


def test_a_block_is_of_a_language_that_is_run():
    found = {(block.page, block.line, block.language) for page in pages() for block in blocks(page)}
    assert not {one for one in found if one[2] not in LANGUAGES}
    assert len(found) > 50


def test_no_command_is_passed_off_as_text():
    texts = [block for page in pages() for block in blocks(page) if block.language == "text"]
    assert not [one for one in texts if one.text.startswith(("vitcli ", "python ", "pip ", "srun ", "torchrun ", "#!"))]


def test_every_exception_is_needed():
    lines = [line for page in pages() for block in blocks(page) if block.language == "sh" for line in block.lines]
    assert not {part for part in CANNOT if not any(part in line for line in lines)}
