"""Threads, default selection of tests, and the place of the golden records."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--exhaustive", action="store_true", help="run the tests marked exhaustive too")
    parser.addoption(
        "--gpu_on_cpu", action="store_true", help="run the tests marked gpu on the CPU where there is no GPU"
    )
    parser.addoption("--browser", action="store_true", help="run the tests that need Debian's chromium too")
    parser.addoption("--latex", action="store_true", help="run the tests that need pdflatex and booktabs too")


def pytest_collection_modifyitems(config, items):
    """Leave out what was not asked for: deselected rather than skipped, so that a skip always means something is missing."""
    left_out = {mark for mark in ("slow", "exhaustive", "browser", "latex") if not config.getoption(f"--{mark}")}
    if not torch.cuda.is_available() and not config.getoption("--gpu_on_cpu"):
        left_out.add("gpu")
    chosen = [item for item in items if not left_out & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


@pytest.fixture(autouse=True)
def _fixed_random_numbers():
    torch.manual_seed(0)
