"""Take the pictures of the report and of the dashboard that the pages show: ``make screenshots``.

It needs Debian's chromium and a finished ablation, for example that of ``make demo``.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.cli.chromium import Chromium  # noqa: E402

from vitcli.commands.dashboard import VIEWS  # noqa: E402

OUT = ROOT / "docs" / "screenshots"
WIDE, PHONE = (1400, 900), (390, 844)
REPORTS = {"report": (WIDE, 1900), "report_phone": (PHONE, 1700)}
"""File -> the window, and how many pixels of the page are kept."""

TABS = {
    "dashboard_means": ("means over the seeds", "Tags matching filter"),
    "dashboard_intervals": ("... with intervals", "mean over the seeds with its 95 % t-interval"),
    "dashboard_hparams": ("one row per arm", "Trial ID"),
    "dashboard_figures": ("the figures", "figures/"),
}
"""File -> the view of the dashboard, and a text that it shows when it is there."""


def take(directory: Path) -> None:
    """Write the pictures of one ablation's report and dashboard into ``docs/screenshots``."""
    OUT.mkdir(exist_ok=True)
    subprocess.run(["vitcli", "report", str(directory)], check=True, stdout=subprocess.DEVNULL)
    for name, (window, height) in REPORTS.items():
        with Chromium(*window) as browser:
            browser.open((directory.absolute() / "report.html").as_uri())
            browser.wait_for("What the intervals mean")
            browser.resize(window[0], height)
            browser.screenshot(OUT / f"{name}.png")
    with subprocess.Popen(
        ["vitcli", "dashboard", str(directory), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as run:
        try:
            address = re.findall(r"http://\S+", run.stdout.readline() if run.stdout else "")[0]
            for name, (view, text) in TABS.items():
                with Chromium(*WIDE) as browser:
                    browser.open(address + VIEWS[view])
                    browser.wait_for(text)
                    time.sleep(6)  # charts are drawn after their text is there
                    browser.screenshot(OUT / f"{name}.png")
        finally:
            run.terminate()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
