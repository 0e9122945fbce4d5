"""Parameters and multiply-adds of whole networks at the papers' sizes, beside what was published."""

import runpy
from pathlib import Path

import pytest

from tests.cli.tiny_ablation import LIGHTNING

pytestmark = LIGHTNING
ROOT = Path(__file__).parents[2]
SIZES = runpy.run_path(str(ROOT / "benchmarks" / "dense_sizes.py"))
ROWS = SIZES["read_rows"]()
IN_CI = {
    ("ade20k_fpn_80k", "pvt_tiny", "512"),
    ("ade20k_upernet_160k", "swin_tiny", "2048"),
    ("coco_maskrcnn_1x", "slide_pvt_tiny", "1280"),
    ("coco_retinanet_1x", "pvtv2_b2", "1280"),
}
"""Networks that are counted in CI; all others are exhaustive."""


def named(row):
    return row["recipe"], row["model"], row["width"]


def marks(row):
    return (pytest.mark.slow,) if named(row) in IN_CI else (pytest.mark.slow, pytest.mark.exhaustive)


@pytest.mark.parametrize("row", [pytest.param(row, marks=marks(row), id="-".join(named(row))) for row in ROWS])
def test_a_network_has_the_published_size_or_a_remark_says_why_not(row):
    if row["recipe"] == "coco_detr_50e":
        pytest.importorskip("transformers", reason="the package transformers is not installed")
    ours = SIZES["cost"](row)
    found = dict(SIZES["differences"](row, ours))
    assert all(row["remark"] and abs(percent) <= float(row["within"]) for percent in found.values()), found
    assert found or not row["within"], "the remark explains a difference that is not there"
    assert SIZES["line"](row, ours) in (ROOT / "docs" / "dense.md").read_text().splitlines()


def test_the_page_has_a_line_for_every_network():
    text = (ROOT / "docs" / "dense.md").read_text()
    table = text.split(SIZES["BEGIN"])[1].split(SIZES["END"])[0].strip().splitlines()
    assert len(table) == 2 + len(ROWS)
    published = [row for row in ROWS if row["parameters"] or row["gmacs"]]
    assert len(published) == 60
