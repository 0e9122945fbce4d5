"""The skeletons are the machinery of all models: no paper's name stands in them."""

import re
from pathlib import Path

import pytest

import vitmodels

SKELETONS = sorted((Path(vitmodels.__file__).parent / "skeletons").glob("*.py"))
SYSTEMS = (*vitmodels.PAPERS, "PVT v2", "T2T", "Transformer in Transformer")


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_a_skeleton_names_no_paper(path):
    found = re.findall(rf"\b(?:{'|'.join(map(re.escape, SYSTEMS))})\b", path.read_text())
    assert [name for name in found if name not in ("Axial", "Shuffle", "Slide")] == []
