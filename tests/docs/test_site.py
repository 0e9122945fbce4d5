"""The site: every page is in its navigation, every public name in its API, and it needs nothing from a network."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vitcli
import vitcore
import vittasks
from tests.docs.snippets import ROOT

CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]


def places(entries: list) -> list[str]:
    """The pages of a navigation, from its tree."""
    found = []
    for entry in entries:
        for value in entry.values():
            found += [value] if isinstance(value, str) else places(value)
    return found


def test_every_page_of_docs_stands_in_the_navigation():
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    listed = places(CONFIG["nav"])
    assert pages <= set(listed)
    assert len(listed) == len(set(listed))
    assert all((ROOT / page).exists() for page in listed)


@pytest.mark.parametrize(
    ("package", "names"),
    [("vitcore", vitcore.__all__), ("vittasks", vittasks.__all__), ("vitcli", [*vitcli.MODULES, *vitcli.IN_PYTHON])],
)
def test_every_public_class_and_function_is_in_the_api(package, names):
    page = (ROOT / f"docs/api/{package}.md").read_text()
    types = {"ActivationFactory", "NormFactory", "OpFactory", "ProjectionFactory", "WindowPositionFactory"}
    assert set(names) - types <= set(re.findall(r"^::: \S+\.(\w+)$", page, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.exhaustive  # .ci/run builds the site by make docs
def test_the_site_builds_strictly_loads_nothing_from_elsewhere_and_shows_formulas_as_they_are(tmp_path):
    build = Path(sys.executable).with_name("zensical")
    listing = ["git", "ls-files", "-z", "*.md", "docs/*.png", "ablations/answers/*.png", ":!tests"]
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0"):
        if name:
            (tmp_path / "build/docs/pages" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "build/docs/pages" / name)
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    for folder in ("packages", "cli", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    subprocess.run([build, "build", "--strict"], cwd=tmp_path, check=True)
    for page in (tmp_path / "build/docs/site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"(https?://[^\"]+)", page.read_text())
        assert not loaded, f"{page.name} loads {loaded}"
    api = (tmp_path / "build/docs/site/docs/api/vitcore.html").read_text()
    assert "h * w * width**2, and n * t**2 * width multiply-adds" in api  # no star has become an emphasis
