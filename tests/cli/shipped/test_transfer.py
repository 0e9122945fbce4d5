"""docs/transfer.md: the whole road from a public checkpoint to a trained model and out again, block by block."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_every_block_of_the_page_runs_in_order(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "benchmarks" / "transfer.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    for said in (
        "Predictions of 24 images",
        "Wrote shapes.onnx",
        "Wrote shapes_resnet",
        "['disc', 'square', 'triangle']",
    ):
        assert said in done.stdout
