"""The hash of the user's own code: what changes it, what does not, and whose code it is."""

import importlib
import sys
import uuid

import pytest

from vitcli.training.own_code import own_code

OP = '''"""An op."""
from {package} import helper
from .scale import FACTOR


class Roll:
    """Rolls."""

    def forward(self, grid):
        """Roll once."""
        return helper.shift(grid) * FACTOR  # one step
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's own: an op, what it imports, and a module that it does not import."""
    name = f"own_{uuid.uuid4().hex}"
    home = tmp_path / name
    home.mkdir()
    (home / "__init__.py").write_text("from .op import Roll\n")
    (home / "op.py").write_text(OP.format(package=name))
    (home / "helper.py").write_text(
        "import math\nimport torch\nimport torch.nn.functional\n\n\ndef shift(x):\n    return x\n"
    )
    (home / "scale.py").write_text("FACTOR = 2\n")
    (home / "other.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)
    yield home
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def code(package) -> str:
    (path, found), *further = own_code([f"{package.name}.Roll"]).items()
    assert (path, further) == (f"{package.name}.Roll", [])
    return found


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("op.py", "* FACTOR", "+ FACTOR"),
        ("helper.py", "return x", "return x.roll(1)"),
        ("scale.py", "2", "3"),
    ],
)
def test_a_change_of_the_code_or_of_what_it_imports_changes_the_hash(file, old, new, package):
    before = code(package)
    path = package / file
    path.write_text(path.read_text().replace(old, new))
    assert code(package) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("op.py", "# one step", "# a step"),
        ("op.py", "Rolls.", "Rolls the grid."),
        ("op.py", "Roll once.", "Roll one time."),
        ("op.py", "helper.shift(grid) * FACTOR", "(helper.shift( grid )\n            *FACTOR)"),
        ("other.py", "1", "2"),
    ],
)
def test_comments_docstrings_layout_and_other_modules_do_not(file, old, new, package):
    before = code(package)
    path = package / file
    path.write_text(path.read_text().replace(old, new))
    assert code(package) == before


def test_code_that_is_installed_with_a_version_is_not_hashed():
    values = ["torch.nn.GELU", "vittasks.Classification", "vitmodels.localvit_tiny", "lightning.pytorch.Trainer", 3]
    for name in ("vittasks", "vitmodels", "lightning.pytorch"):
        importlib.import_module(name)
    assert own_code([*values, "datetime.timedelta", "rand-m9", "val/acc1", "no.such.thing", "not_imported.X"]) == {}


def test_a_module_that_cannot_be_read_or_imports_what_is_missing_is_hashed_all_the_same(package):
    before = code(package)
    (package / "scale.py").write_text("import not_there\nfrom ..... import nothing\nFACTOR = 2\n")
    assert code(package) != before
    (package / "scale.py").write_text("this is no Python\n")
    assert code(package) != before
    (package / "scale.py").unlink()
    assert code(package) != before
