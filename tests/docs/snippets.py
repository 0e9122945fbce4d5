"""The fenced blocks of the README and of every page under docs, and how they are run.

The blocks of a page belong together. They run in the order of the page, in a folder that has nothing but ``ablations``:

* ``python`` runs in one namespace for the whole page; ``sh`` runs line by line, ``vitcli`` in this process and the rest in bash;
* a block of ``python`` or ``yaml`` whose first line names a file (``# roll.py``) is written to that file;
* any other ``yaml`` is a piece of a file: it must be read without an error;
* ``text`` is what a command prints, and is not run.

What cannot run is in ``CANNOT``, with the reason.
"""

import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from vitcli.main import main

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w/]+\.(?:py|yaml))\b")

CANNOT = {
    "make ": "takes minutes; .ci/run calls both",
    "pip install": "installs into the environment; tests/first_day.sh installs the wheels",
    "--launcher slurm": "needs Slurm",
    "--launcher ray": "starts a cluster; tests/cli/ablation/launch/test_ray.py does",
    "run.yaml": "needs eight devices; tests/cli/training/test_devices.py has two processes",
    "scontrol": "needs Slurm",
    "machine1$": "needs several machines",
    "machine2$": "needs several machines",
    "ablations/imagenet1k": "needs ImageNet",
    "my_package.MyOp": "stands for any package",
}
"""What a line of sh contains that no test can run, and why. Such a line is left out."""

LANGUAGES = {"python", "sh", "yaml", "text"}
SHORT = "--trainer.max_epochs 1 --trainer.limit_train_batches 2 --trainer.limit_val_batches 1 --trainer.limit_test_batches 1"
"""Added to every ``vitcli fit`` on a page: the commands of the page, but trainings of two steps."""
ONE_TRIAL = "--ablation.only relu6 --ablation.seeds 1"
"""Added to a command that would train all arms of a shipped question."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: Its page, relative to the repository.
        line: Line of the page at which it begins.
        language: After the fence.
        text: What stands in it, without the indentation of the fence.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that it is to be written to; empty if it is none."""
        named = FILE.match(self.text) if self.language in ("python", "yaml") else None
        return named[1] if named else ""

    @property
    def lines(self) -> list[str]:
        """The commands of a block of sh, without comments, continued lines joined."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [line for line in (re.sub(r"(^|\s)#.*", "", one).strip() for one in joined.splitlines()) if line]


def pages() -> list[str]:
    """Return every page whose blocks are run, relative to the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md"), ROOT / "cli/README.md"]
    return sorted(str(path.relative_to(ROOT)) for path in [*found, ROOT / "ablations/README.md"])


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    text = (ROOT / page).read_text()
    for found in FENCE.finditer(text):
        body = re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(page, text[: found.start()].count("\n") + 1, found[2], body)


def run_page(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, languages: Collection[str] = LANGUAGES) -> None:
    """Run the blocks of a page in a folder.

    Args:
        page: The page.
        folder: An empty folder, or what the page says is there already.
        monkeypatch: Sets the working directory and the path of modules.
        languages: The others are left out.
    """
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (folder / "ablations").symlink_to(ROOT / "ablations")
    (folder.parent / "benchmarks").symlink_to(ROOT / "benchmarks")
    before, namespace = set(sys.modules), {"__name__": "__main__"}
    try:
        with warnings.catch_warnings(action="ignore"):  # what Lightning says of two steps is not about the page
            for block in blocks(page):
                if block.language in languages:
                    run_block(block, folder, namespace)
    finally:
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def run_block(block: Block, folder: Path, namespace: dict) -> None:
    """Run one block."""
    if block.file:
        (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.file).write_text(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "python":
        exec(compile("\n" * block.line + block.text, block.page, "exec"), namespace)
    elif block.language == "sh":
        for line in block.lines:
            if not cannot(line):
                run_line(line, f"{block.page}:{block.line}")


def cannot(line: str) -> str:
    """Return why a line of sh cannot run; empty if it can."""
    return next((reason for part, reason in CANNOT.items() if part in line), "")


def run_line(line: str, place: str) -> None:
    """Run one command."""
    words = shlex.split(line)
    if words[0] == "PYTHONPATH=.":
        words = words[1:]
    if words[0] != "vitcli" or {"|", ">", "&&"} & set(words):
        subprocess.run(["bash", "-euc", line], check=True)
        return
    short = shlex.split(SHORT) if words[1] == "fit" else []
    if short and "ablations/" in line and "--ablation.only" not in words:
        short += shlex.split(ONE_TRIAL)
    code = main([*words[1:], *short])
    assert code == 0, f"{place}: {line} ended with exit code {code}"
