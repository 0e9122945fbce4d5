"""The promises of the layout: contracts, what an import costs, and that no file knows the machine it was written on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "vitcore": ROOT / "packages/core",
    "vitmodels": ROOT / "packages/models",
    "vittasks": ROOT / "packages/tasks",
    "vitcli": ROOT / "cli",
}


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name]


def test_vitcore_imports_torch_and_jaxtyping_only():
    code = (
        "import sys, torch, jaxtyping; known = set(sys.modules); import vitcore; "
        "new = {m.split('.')[0] for m in set(sys.modules) - known} - {'vitcore'} - set(sys.stdlib_module_names); print(*new)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(out) <= {"torch", "jaxtyping", "triton", "numpy", "sympy", "mpmath"}


def test_the_report_imports_no_torch():
    code = (
        "import sys, vitcli.report, vitcli.main, vitcli.ablation.run; print({'torch', 'lightning'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_says_what_it_is(name):
    folder = PACKAGES[name]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == name
    assert project["requires-python"] == ">=3.11"
    lines = (folder / "README.md").read_text().splitlines()
    assert lines[0] == f"# {name}"
    assert 8 <= len(lines) <= 80
    assert (folder / "src" / name / "py.typed").exists()


def test_no_file_knows_a_machine_or_a_registry():
    wrong = []
    for path in tracked_files():
        if path.suffix in (".png", ".npz", ".svg", ".json", ".ckpt") or not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        if re.search(r"(?<![\w./])/(work|farm|root|home/\w+)/", text) or re.search(r"https?://\S*/simple\b", text):
            wrong.append(str(path.relative_to(ROOT)))
    assert not [name for name in wrong if name != "tests/architecture/test_workspace.py"]


def test_no_lock_file_is_tracked_and_constraints_are_names_and_versions():
    assert not [path for path in tracked_files() if path.name in ("uv.lock", "poetry.lock")]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!]+", line) for line in lines)


def test_source_files_stay_small():
    long = {
        str(path.relative_to(ROOT)): n
        for path in tracked_files()
        if path.suffix == ".py" and "/src/" in str(path) and (n := len(path.read_text().splitlines())) > 300
    }
    assert not long
