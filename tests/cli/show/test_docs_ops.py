"""docs/ops.md: it states the costs that the ops state, and no public name is missing."""

import inspect
import re
from pathlib import Path

import pytest
from torch import nn

import vitcore
from vitcli.show.gallery import FAMILIES, examples

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "ops.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.+?)(?=^##|\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))
EXAMPLES = examples()


def snippets(text):
    return re.findall(r"```python\n(.+?)```", text, flags=re.DOTALL)


def test_every_public_name_of_vitcore_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", TEXT)) | set(SECTIONS)
    assert set(vitcore.__all__) - named == set()


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_formula_cost_snippet_and_source(name):
    text = SECTIONS[name]
    assert name in vitcore.__all__
    assert len(re.findall(r"^\$\$.+\$\$$", text, flags=re.MULTILINE)) == 1
    assert re.search(r"^Cost: ", text, flags=re.MULTILINE)
    assert re.search(r"^Source: ", text, flags=re.MULTILINE)
    (snippet,) = snippets(text)
    assert re.search(rf"\b{name}\b", snippet)
    assert ".macs(" in snippet


def rooms() -> dict[str, list[str]]:
    """The headings of the page, each with the names of its sections, in the order of the page."""
    found: dict[str, list[str]] = {}
    for level, name in re.findall(r"^(##|###) (.+)", TEXT, flags=re.MULTILINE):
        if level == "##":
            found[name] = []
        else:
            found[list(found)[-1]].append(name)
    return found


@pytest.mark.parametrize("heading", [heading for heading in rooms() if heading != "Building blocks"])
def test_the_ops_under_a_heading_are_those_of_the_folder_of_that_name(heading):
    folder = re.sub("[ -]", "_", heading.lower())
    for name in rooms()[heading]:
        assert getattr(vitcore, name).__module__.split(".")[-2] == folder


def test_the_figure_shows_the_rooms_in_the_order_of_the_page():
    headings = [heading.lower() for heading in rooms()]
    assert list(FAMILIES) == [heading for heading in headings if heading in FAMILIES]
    for heading, drawn in FAMILIES.items():
        folder = heading.replace(" ", "_").replace("-", "_")
        assert {getattr(vitcore, example.op).__module__.split(".")[-2] for example in drawn} == {folder}


def test_every_op_has_a_section():
    base = {
        "FeatureOp",
        "Nothing",
        "Embedding",
        "Projection",
        "LinearProjection",
        "SeparableProjection",
        "WindowPosition",
    }
    convolutions = {"GridConv2d", "DepthwiseConv2d", "GridBatchNorm2d", "DeformedShift"}
    modules = {
        name
        for name in vitcore.__all__
        if inspect.isclass(found := getattr(vitcore, name)) and issubclass(found, nn.Module)
    }
    assert modules - set(SECTIONS) == base | convolutions


def test_every_picture_is_shown_by_the_section_of_its_op_and_every_drawn_op_has_one():
    for example in EXAMPLES:
        assert f"(ops/{example.file})" in SECTIONS[example.op]
    files = {path.name for path in (DOCS / "ops").iterdir()}
    assert files == {example.file for example in EXAMPLES}
    assert max(path.stat().st_size for path in (DOCS / "ops").iterdir()) < 15_000


def test_links_inside_the_page_lead_to_headings():
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.+)", TEXT, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
