"""The server of trials lets go of what importing read, and everything works as before."""

import subprocess
import sys
from pathlib import Path

import pytest

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
