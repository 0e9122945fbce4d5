"""docs/ops.md: its snippets run, the costs in them are the ops' own, and no public name is missing."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import vitcore
from vitcli.show.gallery import FAMILIES, MORE

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "ops.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.+?)(?=^##|\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))
EXAMPLES = [example for examples in (*FAMILIES.values(), MORE) for example in examples]


def snippets(text):
    return re.findall(r"```python\n(.+?)```", text, flags=re.DOTALL)


def test_every_snippet_runs_after_those_before_it():
    namespace: dict = {}
    with torch.no_grad():
        for snippet in snippets(TEXT):
            exec(compile(snippet, "docs/ops.md", "exec"), namespace)
    assert isinstance(namespace["op"], nn.Module)


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
