"""What the server of trials imports once for all of them."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_module_that_is_missing_is_left_out_and_the_others_are_imported():
    script = """
import sys
sys.modules["attrs"] = sys.modules["torch.utils.tensorboard"] = None
import vitcli.ablation.preload
print({"xml.dom.minidom", "vitcli.ablation.trial", "vittasks"} <= set(sys.modules))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True"]
