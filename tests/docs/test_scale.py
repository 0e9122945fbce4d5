"""docs/scale.md: its table of hours is what the script writes."""

import subprocess
import sys

from tests.docs.snippets import ROOT


def test_the_hours_on_the_page_are_those_of_the_script():
    written = subprocess.run(
        [sys.executable, "benchmarks/hours.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert written.stdout in (ROOT / "docs" / "scale.md").read_text()
