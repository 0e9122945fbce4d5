"""A column of the report is defined once, whatever shows it."""

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.ablation_directory import make_finished_ablation, write_speed
from vitcli.records.ablation import load
from vitcli.report import columns, summarise, tables, to_csv, to_terminal
from vitcli.report.columns import COST, CSV, RESULTS, SPEED, TERMINAL, Column
from vitcli.report.formats import csv as csv_format
from vitcli.report.formats import terminal as terminal_format


@pytest.fixture
def summary(tmp_path: Path):
    directory = make_finished_ablation(tmp_path / "localvit_act", seeds=(0, 1))
    write_speed(directory)
    return summarise(load(directory))


def test_a_new_column_is_one_line_and_stands_in_every_table_that_it_names(summary, monkeypatch):
    new = Column(
        "per_million",
        lambda _, row: row.parameters / 1e6,
        (RESULTS, COST, TERMINAL, CSV),
        "millions",
        lambda x, _: f"{x:.1f}",
    )
    for module in (tables, csv_format, terminal_format):
        monkeypatch.setattr(module, "COLUMNS", (*columns.COLUMNS, new))
    for table in (tables.results(summary), tables.costs(summary)):
        assert table.header[-1] == "millions"
        assert table.rows[0][-1] == "0.1"
    assert next(csv.DictReader(io.StringIO(to_csv(summary))))["per_million"] == "0.123456"
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(to_terminal(summary))
    text = console.export_text().splitlines()
    assert text[0].endswith("millions")
    assert text[1].endswith("0.1")


def test_no_two_columns_of_one_table_have_the_same_name():
    for table in (RESULTS, COST, SPEED, TERMINAL):
        headings = [column.heading for column in columns.columns_of(columns.COLUMNS, table)]
        assert len(set(headings)) == len(headings)
        assert all(headings)
    keys = [column.key for column in columns.columns_of(columns.COLUMNS, CSV)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "@SUM(A1)", "-2+3", "\tx"])
def test_a_spreadsheet_computes_no_cell_of_the_csv_file(name, tmp_path):
    directory = make_finished_ablation(tmp_path / "localvit_act", seeds=(0, 1))
    plan = json.loads((directory / "ablation.json").read_text())
    plan["arms"] = {name if arm == "h_swish" else arm: record for arm, record in plan["arms"].items()}
    (directory / "ablation.json").write_text(json.dumps(plan))
    rows = list(csv.DictReader(io.StringIO(to_csv(summarise(load(directory))))))
    assert f"'{name}" in [row["arm"] for row in rows]
    assert any(row["difference"].startswith("-") for row in rows)
