"""The tables of single classes in a report."""

import json

import pytest

from tests.cli.ablation_directory import make_arms
from vitcli.records.ablation import load
from vitcli.report import write
from vitcli.report.classes import class_blocks, class_tables


@pytest.fixture
def runs(tmp_path):
    """Two arms of two seeds with scores of two classes, of which the second arm found one in one seed alone."""
    directory = make_arms(tmp_path / "dense", ("pvt", "swin"), 2)
    for arm, seed, scores in (
        ("pvt", 0, {"cat": 0.5, "a_b": 0.25}), ("pvt", 1, {"cat": 0.7, "a_b": 0.75}),
        ("swin", 0, {"cat": 0.9}), ("swin", 1, {"a_b": 1.0}),
    ):  # fmt: skip
        path = directory / arm / f"seed{seed}" / "result.json"
        result = json.loads(path.read_text())
        result["metrics"] |= {f"test/IoU/{name}": value for name, value in scores.items()}
        path.write_text(json.dumps(result))
    return directory


def test_each_class_has_a_row_and_each_arm_a_column(runs):
    (table,) = class_tables(load(runs))
    assert table.header == ("class, by test/IoU", "pvt", "swin")
    assert table.rows == (("cat", "0.600", "0.900"), ("a_b", "0.500", "1.000"))


def test_the_pages_hold_the_table(runs):
    write(runs)
    assert "## By class" in (runs / "report.md").read_text()
    assert "By class" in (runs / "report.html").read_text()


def test_without_scores_of_classes_there_is_no_section(tmp_path):
    assert list(class_blocks(load(make_arms(tmp_path / "plain", ("a", "b"), 2)))) == []
