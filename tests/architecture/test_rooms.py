"""The rooms of vitcli: what the import contracts of pyproject.toml cannot say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

VITCLI = Path(__file__).parents[2] / "cli/src/vitcli"
FILES = {"csv", "io", "json", "os", "pathlib", "shutil", "tempfile", "yaml"}
"""Packages by which a module would get at files."""


def imported(path: Path) -> Iterator[str]:
    """The full name of every module that a file imports, at its top or inside of functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted((VITCLI / "statistics").glob("*.py")), ids=lambda path: path.stem)
def test_statistics_read_and_write_no_files(path):
    assert not FILES & {name.split(".")[0] for name in imported(path)}
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "open"]


def test_other_rooms_see_the_face_of_the_report_alone():
    outside = [path for path in VITCLI.rglob("*.py") if VITCLI / "report" not in path.parents]
    deep = {path.relative_to(VITCLI).as_posix(): [*filter(is_inside_the_report, imported(path))] for path in outside}
    assert not {path: names for path, names in deep.items() if names}


def is_inside_the_report(module: str) -> bool:
    return module.startswith("vitcli.report.")


def test_every_name_of_a_record_file_is_spelled_once():
    names = ("result.json", "speed.json", "ablation.json", "metrics.csv")
    spelled = {name: [] for name in names}
    for path in VITCLI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in names:
                spelled[node.value].append(str(path.relative_to(VITCLI)))
    assert spelled == {
        "result.json": ["records/trial.py"],
        "speed.json": ["records/speed.py"],
        "ablation.json": ["records/ablation.py"],
        "metrics.csv": ["records/metrics.py"],
    }
