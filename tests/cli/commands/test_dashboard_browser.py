"""The dashboard as a person sees it, in Debian's Chromium; ``screenshot`` saves what a tab shows of any directory of runs."""

import sys
import time
from pathlib import Path
from statistics import fmean

import pytest

from tests.cli.ablation_directory import make_ablation
from tests.cli.chromium import Chromium
from tests.cli.commands.test_dashboard import running
from vitcli.commands.dashboard import VIEWS
from vitcli.records.ablation import load
from vitcli.report.tensorboard.means import BANDS

MEANS, INTERVALS, HPARAMS, FIGURES, REPORT = VIEWS.values()


def screenshot(directory: Path, path: Path, view: str = HPARAMS, waits_for: tuple[str, ...] = ()) -> str:
    """Start the dashboard on ``directory``, save a picture of one of its views to ``path`` and return the view's text.

    Args:
        directory: An ablation, or a directory of ablations.
        path: Where the PNG goes.
        view: What follows the dashboard's address: one of ``vitcli.commands.dashboard.VIEWS``.
        waits_for: Texts that must be on the page before the picture is taken.
    """
    with running(directory, "--port", "0") as (_, address), Chromium(1600, 820) as browser:
        browser.open(address + view)
        browser.wait_for(*waits_for, *_ALWAYS.get(view, ()))
        time.sleep(2)  # Charts are drawn, and panels slide in, after their text is there.
        browser.screenshot(path)
        return browser.text()


_ALWAYS = {
    HPARAMS: ("Trial ID",),
    MEANS: ("Tags matching filter",),
    INTERVALS: (BANDS,),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ablation(tmp_path_factory.mktemp("runs") / "localvit_act")


@pytest.mark.browser
def test_the_table_of_hyperparameters_has_a_row_per_arm_with_its_mean(runs, tmp_path):
    arms = load(runs).arms
    means = {arm.name: f"{fmean(arm.values('test/acc1').values()):.5g}" for arm in arms}
    text = screenshot(runs, tmp_path / "hparams.png", HPARAMS, tuple(means.values()))
    for arm, mean in means.items():
        assert f" {arm} " in text
        assert mean in text
    assert text.index("(mean)") < text.index("(verdict)") < text.index("cost/parameters")
    assert "SqueezeExcitation" in text
    assert "hp_metric" not in text
    assert (tmp_path / "hparams.png").stat().st_size > 20_000


@pytest.mark.browser
def test_the_bare_address_shows_the_means_and_keeps_the_tab_that_was_asked_for(runs, tmp_path):
    text = screenshot(runs, tmp_path / "root.png", "", ("mean/relu6", "Tags matching filter"))
    assert "h_swish/seed0" not in text
    assert "Trial ID" in screenshot(runs, tmp_path / "tab.png", "#hparams")


@pytest.mark.browser
def test_the_curves_of_the_arms_lie_over_each_other(runs, tmp_path):
    arms = tuple(f"mean/{arm.name}" for arm in load(runs).arms)
    text = screenshot(runs, tmp_path / "means.png", MEANS, (*arms, "/acc1", "/loss", "479"))
    assert "h_swish/seed0" not in text
    assert "2 cards" in text


@pytest.mark.browser
def test_the_charts_with_intervals_find_all_their_tags(runs, tmp_path):
    text = screenshot(
        runs, tmp_path / "intervals.png", INTERVALS, ("val/acc1", "val/loss", "train/loss", "Matches (2)")
    )
    assert "h_swish and relu6" in text
    assert "Missing Tags" not in text


if __name__ == "__main__":
    screenshot(Path(sys.argv[1]), Path(sys.argv[2]), VIEWS[sys.argv[3]] if len(sys.argv) > 3 else HPARAMS)
