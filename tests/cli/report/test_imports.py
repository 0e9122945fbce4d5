import subprocess
import sys


def test_importing_the_report_loads_no_heavy_package():
    heavy = ("torch", "lightning", "timm", "vitcore", "scipy", "matplotlib", "tensorboard")
    script = f"import sys, vitcli.report; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"
