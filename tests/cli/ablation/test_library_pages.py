"""The server of trials lets go of what importing read, and everything works as before."""

import subprocess
import sys
from pathlib import Path

import pytest

from vitcli.ablation.library_pages import _unchanged

SCRIPT = """
from pathlib import Path
import torch
from vitcli.ablation.library_pages import release_library_pages

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:"))

def step():
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.GELU())
    loss = layer(torch.randn(2, 3, 16, 16)).square().mean()
    loss.backward()
    return [loss.item(), *(p.grad.norm().item() for p in layer.parameters())]

before, first = held(), step()
release_library_pages()
print(held() / before, step() == first)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="pages are listed by Linux alone")
def test_pages_of_libraries_are_released_and_come_back_as_they_were():
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    share, same = answer.stdout.split()
    assert float(share) < 0.3
    assert same == "True"


def mapping(start: str, rights: str, inode: int, anonymous: int, swap: int) -> str:
    size = "Rss:                  40 kB\nAnonymous:    {:>12} kB\nKSM:  0 kB\nSwap:         {:>12} kB\nSwapPss:  0 kB\n"
    return f"{start}000-{start}fff {rights} 00000000 fe:01 {inode}  /lib/one.so\n" + size.format(anonymous, swap)


def test_nothing_is_released_that_would_not_come_back():
    kept = [
        ("w", "rw-p", 7, 0, 0),
        ("own", "r--p", 0, 0, 0),
        ("changed", "r--p", 7, 8, 0),
        ("swapped", "r--p", 7, 0, 8),
    ]
    listing = "".join(mapping(f"7f{number}", *rest) for number, (_, *rest) in enumerate(kept))
    assert list(_unchanged(listing)) == []
    assert list(_unchanged(listing + mapping("7fa", "r-xp", 7, 0, 0) + listing)) == [(0x7FA000, 0x7FAFFF)]


def test_a_module_that_is_missing_leaves_the_server_as_it_should_be():
    script = """
import sys
sys.modules["attrs"] = sys.modules["torch.utils.tensorboard"] = None
import gc
import vitcli.ablation.preload
print(gc.isenabled(), gc.get_freeze_count() > 100_000, "xml.dom.minidom" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True", "True", "True"]
