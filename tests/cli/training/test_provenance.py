"""What is recorded of the code, the packages, the data and the machine behind a result."""

import hashlib
import importlib
import subprocess
import sys

import pytest

from vitcli.training.own_code import own_code
from vitcli.training.provenance import PACKAGES, code, packages, processor, provenance


def git(folder, *words):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(["git", *identity, "-C", folder, *words], check=True, capture_output=True).stdout


@pytest.fixture
def file(tmp_path):
    """A source file in a repository with one commit."""
    file = tmp_path / "package" / "module.py"
    file.parent.mkdir()
    file.write_text("one = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return file


def test_the_commit_of_the_code_is_recorded(file, tmp_path):
    assert code(file) == {"commit": git(tmp_path, "rev-parse", "HEAD").decode().strip(), "dirty": None}


def test_a_change_since_the_commit_is_recorded_by_its_hash(file, tmp_path):
    file.write_text("one = 2\n")
    changed = code(file)["dirty"]
    assert changed == hashlib.sha256(git(tmp_path, "diff", "HEAD")).hexdigest()
    git(tmp_path, "add", ".")
    assert code(file)["dirty"] == changed
    file.write_text("one = 3\n")
    assert code(file)["dirty"] not in (None, changed)
    file.write_text("one = 1\n")
    assert code(file)["dirty"] is None


def test_looking_does_not_write_in_the_repository(file, tmp_path):
    file.touch()  # git would note the new time in its index
    before = (tmp_path / ".git" / "index").read_bytes()
    code(file)
    assert (tmp_path / ".git" / "index").read_bytes() == before


def test_a_package_that_is_installed_in_another_s_repository_has_no_commit(file):
    installed = file.with_name("installed.py")
    installed.write_text("two = 2\n")
    assert code(installed) == {"commit": None, "dirty": None}


def test_without_a_repository_or_without_git_there_is_no_commit(file, tmp_path_factory, monkeypatch):
    assert code(tmp_path_factory.mktemp("bare") / "module.py") == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", "")
    assert code(file) == {"commit": None, "dirty": None}


def test_versions_are_those_of_python_and_of_every_package_that_results_depend_on():
    versions = packages()
    assert set(versions) == {"python", *PACKAGES}
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


def test_what_is_recorded_has_the_same_entries_everywhere():
    recorded = provenance("ab" * 32, processor(), {})
    assert list(recorded) == ["commit", "dirty", "versions", "code", "data", "device"]
    assert (recorded["data"], recorded["device"]) == ("ab" * 32, processor())
    assert processor()


def test_a_package_of_the_user_s_own_is_recorded_by_the_commit_of_its_repository(file, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (file.parent / "__init__.py").touch()
    (tmp_path / "single.py").write_text("class One: pass\n")
    (file.parent / "part.py").write_text("class Part: pass\n")
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "--quiet", "--message", "two")
    for name in ("package.part", "single"):
        importlib.import_module(name)
    try:
        own = own_code(["package.part.Part", "single.One"])
        versions = provenance(None, "", own)["versions"]
        assert versions["package"] == git(tmp_path, "rev-parse", "HEAD").decode()[:10]
        assert versions["single"].startswith("code ")
        (file.parent / "part.py").write_text("class Part: x = 1\n")
        assert provenance(None, "", own)["versions"]["package"].startswith(f"{versions['package']} with changes ")
    finally:
        for name in ("package.part", "package", "single"):
            sys.modules.pop(name, None)


def test_provenance_needs_no_torch():
    script = "import sys, vitcli.training.provenance, vitcli.ablation.run; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout == b"False\n"
